"""What the errors, statuses and exit codes mean that users of rtmbench, Spark and Flink meet, and what to do."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One code: what it says, why it comes, and the way out."""

    code: str
    of: str
    """Who says it: `Spark`, `Flink`, `Kafka` or `rtmbench`."""
    meaning: str
    why: str
    do: str
    aliases: tuple[str, ...] = ()


def explain(code: str) -> Explanation | None:
    """Return the explanation of a code, whatever its case; `None` for one that is not known."""
    return _BY_NAME.get(_normal(code))


def closest(code: str, count: int = 5) -> list[str]:
    """Return the known codes most like `code`, the likeliest first."""
    names = {_normal(one.code): one.code for one in EXPLANATIONS}
    wanted = _normal(code)
    inside = [shown for name, shown in names.items() if wanted and (wanted in name or name in wanted)]
    alike = [names[name] for name in difflib.get_close_matches(wanted, names, n=count, cutoff=0.3)]
    return list(dict.fromkeys([*inside, *alike]))[:count]


def _normal(code: str) -> str:
    return code.strip().strip("[]").replace("-", "_").replace(" ", "_").upper()


EXPLANATIONS = (
    Explanation(
        code="STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST",
        of="Spark",
        meaning="The query has an operator or a sink that this Spark does not run in Real-Time Mode.",
        why="Open-source Spark 4.1 and 4.2 stream stateless queries only: no window, no aggregation, no transformWithState. "
        "4.3 adds groupBy().agg(), windows and dropDuplicates, but not stream-stream joins, session windows, "
        "flatMapGroupsWithState or foreachBatch.",
        do="Run the query on Spark 4.3 (`--engines spark@4.3`), or in micro-batches (`spark@4.1:microbatch`). With "
        "spark.sql.streaming.realTimeMode.allowlistCheck=false it starts on 4.1, but its later stages wait for the end of the "
        "batch: rtmbench calls that `rtm-unchecked`, never real time.",
        aliases=("OPERATOR_OR_SINK_NOT_IN_ALLOWLIST",),
    ),
    Explanation(
        code="STREAMING_REAL_TIME_MODE.INPUT_STREAM_NOT_SUPPORTED",
        of="Spark",
        meaning="The source of the query cannot be read in Real-Time Mode.",
        why="The mode needs a source that hands records over while the batch runs; of the open-source ones, Kafka does.",
        do="Read from Kafka, or run the query in micro-batches.",
    ),
    Explanation(
        code="STREAMING_REAL_TIME_MODE.OUTPUT_MODE_NOT_SUPPORTED",
        of="Spark",
        meaning="Real-Time Mode was asked for with an output mode other than update.",
        why="A result can be written at once only if a later one may replace it; append and complete wait for the end of a batch.",
        do='Use .outputMode("update"), and let the reader of the topic keep the newest result of each key.',
    ),
    Explanation(
        code="INVALID_STREAMING_REAL_TIME_MODE_TRIGGER_INTERVAL",
        of="Spark",
        meaning="The duration of the real-time trigger is shorter than Spark allows.",
        why="Each batch ends with a commit during which nothing is processed. Spark's minimum is 5 s.",
        do="Use 5 seconds or more. spark.sql.streaming.realTimeMode.minBatchDuration lowers the minimum, at the price of more "
        "boundaries, which are what makes the tail.",
    ),
    Explanation(
        code="STREAMING_REAL_TIME_MODE.SINK_NOT_SUPPORTED",
        of="Spark",
        meaning="The sink of the query cannot be written in Real-Time Mode.",
        why="A sink has to take records one by one while the batch runs; files and foreachBatch take whole batches.",
        do="Write to Kafka, or with foreach; or run the query in micro-batches.",
    ),
    Explanation(
        code="STREAMING_REAL_TIME_MODE.ASYNC_PROGRESS_TRACKING_NOT_SUPPORTED",
        of="Spark",
        meaning="Asynchronous progress tracking was switched on together with Real-Time Mode.",
        why="Real-Time Mode decides itself when it commits its offsets.",
        do="Remove the option asyncProgressTrackingEnabled, or set it to false.",
    ),
    Explanation(
        code="STREAMING_REAL_TIME_MODE.IDENTICAL_SOURCES_IN_UNION_NOT_SUPPORTED",
        of="Spark",
        meaning="The query unites a streaming source with itself.",
        why="Real-Time Mode reads each source by its own tasks and cannot tell two identical ones apart.",
        do="Make each side of the union a DataFrame of its own, with a configuration of its own.",
    ),
    Explanation(
        code="STREAMING_REAL_TIME_MODE",
        of="Spark",
        meaning="Spark refuses to run the query in Real-Time Mode; the part of the code behind the dot says what is in the way.",
        why="The mode supports some sources, operators, sinks and output modes only, and which ones depends on the version.",
        do="Run `rtmbench explain` with the whole code. `rtmbench claims` checks on this machine what each version really does.",
    ),
    Explanation(
        code="STDS_FAILED_TO_READ_OPERATOR_METADATA",
        of="Spark",
        meaning="A stateful operator could not read its own metadata from the checkpoint.",
        why="transformWithState in PySpark looks for its batch in the offset log when it starts, and Real-Time Mode writes that "
        "entry only when the batch has ended. So it fails in batch 0, on 4.1 and on 4.3, whatever the state store.",
        do="Count with groupBy(key).agg(…) on 4.3, which streams; or run transformWithState in micro-batches; or, on 4.3, call "
        "a StatefulProcessor of the JVM from Python (pattern 04 shows all three).",
    ),
    Explanation(
        code="CHECKPOINT_FORMAT_V1_NOT_SUPPORTED",
        of="Spark",
        meaning="The checkpoint was written in a format that Real-Time Mode with state cannot go on from.",
        why="It comes where a query in micro-batches made the checkpoint first, for instance to prime it for Real-Time Mode.",
        do="Start with a fresh checkpoint directory. The state does not come along: plan the move as a new start.",
    ),
    Explanation(
        code="STATE_STORE_CHECKPOINT_LOCATION_NOT_EMPTY",
        of="Spark",
        meaning="The state store found files in its checkpoint directory that it did not expect there.",
        why="Seen after the driver was killed in the middle of a commit: a file such as offsets/.0.<uuid>.tmp stays behind, and the "
        "query takes the directory for another one's.",
        do="Look for left-over *.tmp files under offsets/ and commits/ with the query stopped, and remove them; or start with a "
        "fresh checkpoint. Never point two queries to one directory.",
    ),
    Explanation(
        code="UNSUPPORTED_STREAMING_OPERATOR_WITHOUT_WATERMARK",
        of="Spark",
        meaning="The query aggregates over event time in append mode without a watermark.",
        why="Without a watermark Spark never knows that a window is complete, so it could never append its result.",
        do='Add .withWatermark("ts", "10 seconds") before the window, or use update mode (Real-Time Mode needs that anyway).',
        aliases=("UNSUPPORTED_STREAMING", "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION"),
    ),
    Explanation(
        code="STREAM_FAILED",
        of="Spark",
        meaning="The streaming query ended with an exception; the message behind it is the cause.",
        why="Spark wraps whatever a task, a source or a sink threw.",
        do="Read the innermost `Caused by` of the engine's log; rtmbench quotes it and names the file.",
    ),
    Explanation(
        code="UNKNOWN_TOPIC_OR_PARTITION",
        of="Kafka",
        meaning="The topic does not exist on the brokers that were asked.",
        why="rtmbench makes the topics of its trials itself; with `produce`, `measure` and `submit` they have to be there.",
        do="Check --bootstrap-servers and the topic's name, and create the topic before the job starts.",
        aliases=("UNKNOWNTOPICORPARTITIONEXCEPTION",),
    ),
    Explanation(
        code="NoResourceAvailableException",
        of="Flink",
        meaning="Flink has fewer free task slots than the job needs.",
        why="A job takes as many slots as its largest parallelism; another job may hold some, or the TaskManager never registered.",
        do="Give more slots (`--slots`, taskmanager.numberOfTaskSlots), or a lower parallelism, or cancel the other job. If the "
        "TaskManager's log ends early, that is the cause: often its memory.",
        aliases=("NoResourceAvailable", "org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException"),
    ),
    Explanation(
        code="NoSuchMethodError: BufferRecycler.releaseToPool",
        of="Flink",
        meaning="Two versions of Jackson are on the job's class path.",
        why="jackson-core, jackson-databind and jackson-annotations have to be of one release; a connector or the shaded jar "
        "brought another one of them.",
        do="Pin all three to one version in the job's pom.xml (dependencyManagement with jackson-bom) and build the jar again.",
        aliases=("BufferRecycler", "releaseToPool", "NoSuchMethodError"),
    ),
    Explanation(
        code="InaccessibleObjectException",
        of="Flink",
        meaning="A library reached into a module of the JDK that is closed to it.",
        why="On JDK 17 and newer Flink needs a list of --add-opens and --add-exports options; they come with its own scripts, and "
        "are lost where a process is started in another way.",
        do="Start Flink through rtmbench or its scripts, or copy env.java.opts.all from the config.yaml of its distribution.",
        aliases=("IllegalAccessError",),
    ),
    Explanation(
        code="OutOfMemoryError: Direct buffer memory",
        of="Flink",
        meaning="The TaskManager used up the memory outside of its heap that network buffers and Kafka's client take.",
        why="taskmanager.memory.network and framework.off-heap are fixed sizes; many partitions or large fetches outgrow them.",
        do="Raise `--memory`, or taskmanager.memory.task.off-heap.size, or lower fetch.max.bytes of the source.",
        aliases=("OutOfMemoryError", "Direct buffer memory"),
    ),
    Explanation(
        code="UNSUPPORTED_CLASS_VERSION",
        of="Flink",
        meaning="A class was compiled for a newer Java than the one that runs.",
        why="The pipelines' jars and Spark 4 need Java 17.",
        do="Point JAVA_HOME to a JDK 17 or 21; `rtmbench doctor` says which Java it finds.",
        aliases=("UnsupportedClassVersionError",),
    ),
    *(
        Explanation(code=code, of="rtmbench, status of a trial", meaning=meaning, why=why, do=do)
        for code, meaning, why, do in (
            (
                "valid",
                "The trial's figures can be used, and its output was proven equal to what the input asks for.",
                "Nothing spoilt it: no fault, no growing backlog, no contention.",
                "Nothing. The reasons beside it still say what to know, such as `drift`.",
            ),
            (
                "contended",
                "The figures are shown and labelled, but no verdict rests on them.",
                "The generator's schedule slip or the consumer's lag was over 5 ms and over a fifth of the engine's own p99: the "
                "machine was too busy to measure cleanly.",
                "Lower --rate, close other programs, or use a machine with 4 cores or more, where broker and harness get their own.",
            ),
            (
                "unsustained",
                "The engine did not keep up: its backlog grew through the measurement, or events were still out at the end.",
                "The rate is above what the engine sustains with these slots, partitions and memory. Percentiles that reach "
                "events which had not come out are lower bounds (≥).",
                "Lower --rate, or give more slots, partitions or memory. A longer --warmup helps where it was still compiling.",
            ),
            (
                "failed",
                "The trial has no figure: the engine crashed, or its output was wrong.",
                "Missing, unexpected, wrong or duplicate output without a fault that would allow it; late drops; a restart.",
                "Read the reasons and the offending records (`trials[].offending` of result.json), then the engine's log.",
            ),
            (
                "refused",
                "The engine would not run the query. That is a result: the exit code stays 0.",
                "The query, the mode and the version do not go together.",
                "Run `rtmbench explain` with the engine's code, which stands beside the status.",
            ),
            (
                "void",
                "The trial says nothing about the engine.",
                "A cause outside of it: a jump of the clock, a fault of broker or harness, nothing to measure, an interruption. It "
                "was run again once.",
                "Read the reason; a void trial again and again points to the machine. More than 1 in 4: there is no verdict.",
            ),
        )
    ),
    Explanation(
        code="boundary-free",
        of="rtmbench, remark on a trial",
        meaning="No checkpoint or batch boundary lay inside the measurement.",
        why="The measuring phase is shorter than one checkpoint interval, so the tail leaves out what a boundary costs.",
        do="Use a --duration of at least five checkpoint intervals. Such figures are never a headline, nor compared with others.",
    ),
    Explanation(
        code="shared-cores",
        of="rtmbench, remark on a trial",
        meaning="Engine, broker and harness ran on the same cores.",
        why="The machine has fewer than 4 cores; both engines run at the same lower priority than broker and harness.",
        do="Take the figures as those of this machine. For absolute ones use a machine with 8 cores.",
    ),
    Explanation(
        code="no verdict",
        of="rtmbench, comparison",
        meaning="The ratio is shown, but it is not said which engine is faster.",
        why="A verdict needs 6 balanced pairs of valid trials; three trials make a median and nothing more.",
        do="Use --trials 6 or more on an otherwise idle machine.",
        aliases=("NO_VERDICT",),
    ),
    *(
        Explanation(code=code, of="rtmbench, exit code", meaning=meaning, why=why, do=do)
        for code, meaning, why, do in (
            ("0", "Done.", "A refused query is a result too.", "Nothing."),
            (
                "1",
                "A run failed.",
                "An engine crashed, or its output was wrong.",
                "The message names the log; `rtmbench explain failed` says more.",
            ),
            (
                "2",
                "Usage or configuration.",
                "An unknown command, option, engine, pattern or key, or a value out of its range.",
                "The message says which, and what there is. Check rtmbench.toml and RTMBENCH_* variables too.",
            ),
            (
                "3",
                "Preflight: this machine cannot do what was asked.",
                "Java is missing or broken, a port is taken, memory or slots do not suffice, an artifact is corrupt, a directory "
                "cannot be written, or a Python package is missing.",
                "`rtmbench doctor` checks all of it and says how to fix it.",
            ),
            (
                "4",
                "Some engine has no valid trial.",
                "All of its trials were void, unsustained or measured without a boundary.",
                "Look at the reasons of its trials, mostly the rate is too high for the machine.",
            ),
            (
                "5",
                "A threshold or a verdict that was asked for was not met.",
                "A target (--slo) was missed, or --fail-on found what it should fail on.",
                "The table marks what was missed. It is meant for CI: the run itself went well.",
            ),
            (
                "130",
                "Interrupted (Ctrl-C).",
                "What was measured is on disk and marked incomplete; nothing is left running.",
                "`rtmbench report` shows what there is.",
            ),
            (
                "143",
                "Terminated (SIGTERM).",
                "As with 130.",
                "`rtmbench report` shows what there is.",
            ),
        )
    ),
)

_BY_NAME = {_normal(name): one for one in EXPLANATIONS for name in (one.code, *one.aliases)}


__all__ = ["EXPLANATIONS", "Explanation", "closest", "explain"]
