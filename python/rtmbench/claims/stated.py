"""Which claims other documents than the list of limitations state, for the message that one no longer holds."""

from __future__ import annotations

STATED = {
    "docs/api-mapping.md": """
        adaptive-execution-off aggregate append-mode apply-in-pandas-with-state batch-boundary
        checkpoint-of-microbatch console-sink current-timestamp default-addresses default-batch-duration
        drop-duplicates drop-duplicates-within-watermark file-sink flink-buffer-timeout flink-exactly-once
        flink-sink-guarantee foreach foreach-batch kafka-linger kill-duplicates minimum-batch-duration
        one-result-per-event progress-at-batch-end progress-without-latencies python-trigger python-udf
        python-udf-unchecked rate-source repartition session-window shuffle-buffer-wait shuffle-slots sigint
        sliding-window spark-client-linger starved-partitions stateless stream-static-join
        stream-static-shuffle-join stream-stream-join transform-with-state-jvm transform-with-state-python
        transform-with-state-rocksdb tumbling-window union
    """,
    "docs/decision-framework.md": """
        append-mode batch-boundary checkpoint-of-microbatch file-sink flink-window-at-close foreach-batch
        kill-duplicates leftover-checkpoint one-result-per-event shuffle-slots tumbling-window-unchecked union
    """,
    "docs/patterns.md": """
        aggregate append-mode batch-boundary flink-window-at-close flink-window-each-event sliding-window
        stateless transform-with-state-jvm transform-with-state-microbatch transform-with-state-python
        transform-with-state-rocksdb tumbling-window tumbling-window-unchecked
    """,
    "docs/tuning.md": """
        batch-boundary flink-buffer-timeout-effect flink-exactly-once flink-exactly-once-uncommitted shuffle-buffer-wait
    """,
}
"""Document, relative to the repository → the ids of the claims that it refers to."""


def documents(claim: str) -> tuple[str, ...]:
    """Return the documents, other than the list of limitations, that refer to a claim."""
    return tuple(document for document, ids in STATED.items() if claim in ids.split())


__all__ = ["STATED", "documents"]
