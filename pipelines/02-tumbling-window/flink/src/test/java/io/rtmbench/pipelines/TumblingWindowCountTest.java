package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.List;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.transformations.OneInputTransformation;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class TumblingWindowCountTest {

  private static final long MINUTE = 60_000;

  private KeyedOneInputStreamOperatorTestHarness<String, KeyedEvent, TumblingWindowCount.Result>
      job;

  @AfterEach
  void close() throws Exception {
    job.close();
  }

  @Test
  void eachEventGivesItsWindowsCountSoFar() throws Exception {
    start();
    send("a", 10, 20, MINUTE + 5);
    send("b", 30);

    assertEquals(
        List.of("a 0-60000 1", "a 0-60000 2", "a 60000-120000 1", "b 0-60000 1"), results());
  }

  @Test
  void aResultCarriesTheStampsOfItsNewestEvent() throws Exception {
    start();
    send("a", 20, 10);

    List<TumblingWindowCount.Result> results = job.extractOutputValues();
    assertEquals(20, results.get(1).producedAt);
    assertEquals(20_000, results.get(1).scheduledAtUs);
  }

  @Test
  void aResultCarriesTheExactSumOfTheCountedValues() throws Exception {
    start();
    job.processElement(new KeyedEvent("a", Long.MAX_VALUE / 2, 10, 10_000), 10);
    job.processElement(new KeyedEvent("a", 3, 20, 20_000), 20);
    job.processElement(new KeyedEvent("a", 5, MINUTE, MINUTE * 1000), MINUTE);

    assertEquals(
        List.of(Long.MAX_VALUE / 2, Long.MAX_VALUE / 2 + 3, 5L),
        job.extractOutputValues().stream().map(r -> r.sum).toList());
  }

  @Test
  void theNewestEventIsThatOfTheLatestIntendedTimeWhateverItsEventTime() throws Exception {
    start();
    job.processElement(new KeyedEvent("a", 1, 50, 50_000), 50);
    job.processElement(new KeyedEvent("a", 1, 20, 60_000), 20);
    job.processElement(new KeyedEvent("a", 1, 40, 60_000), 40);

    assertEquals(
        List.of("50 50000", "20 60000", "40 60000"),
        job.extractOutputValues().stream().map(r -> r.producedAt + " " + r.scheduledAtUs).toList());
  }

  @Test
  void aClosedWindowIsForgottenWithoutAnotherResult() throws Exception {
    start();
    send("a", 10, MINUTE + 5);
    job.processWatermark(new Watermark(MINUTE - 1));

    assertEquals(List.of("a 0-60000 1", "a 60000-120000 1"), results());
    assertEquals(1, job.numKeyedStateEntries());
    assertEquals(1, job.numEventTimeTimers());
  }

  @Test
  void anEventBehindTheWatermarkIsDroppedOnceItsWindowHasClosed() throws Exception {
    start();
    job.processWatermark(new Watermark(MINUTE - 2));
    send("a", 10);
    job.processWatermark(new Watermark(MINUTE - 1));
    send("a", 20);

    assertEquals(List.of("a 0-60000 1"), results());
  }

  @Test
  void onRequestAWindowTellsItsCountOnceAsItCloses() throws Exception {
    start("--emit", "close", "--window-ms", "10000");
    send("a", 9_999, 10_000, 1);
    assertEquals(List.of(), results());

    job.processWatermark(new Watermark(9_999));
    assertEquals(List.of("a 0-10000 2"), results());
    assertEquals(1, job.numKeyedStateEntries());
  }

  private List<String> results() {
    return job.extractOutputValues().stream()
        .map(r -> r.key + " " + r.windowStart + "-" + r.windowEnd + " " + r.count)
        .toList();
  }

  private void send(String key, long... times) throws Exception {
    for (long time : times) {
      job.processElement(new KeyedEvent(key, time, time, time * 1000), time);
    }
  }

  /** Starts the job's window operator, as its graph has it. */
  private void start(String... arguments) throws Exception {
    JobArguments parsed = JobArguments.parseTumbling(Duration.ofMinutes(1), arguments);
    StreamExecutionEnvironment environment = Job.environment(parsed);
    @SuppressWarnings("unchecked") // The transformation of a keyed operator has one input.
    var counts =
        (OneInputTransformation<KeyedEvent, TumblingWindowCount.Result>)
            TumblingWindowCount.count(environment.fromData(new Event()), parsed)
                .getTransformation();
    job =
        new KeyedOneInputStreamOperatorTestHarness<>(
            counts.getOperator(), event -> event.key, Types.STRING);
    job.setup(
        counts.getOutputType().createSerializer(environment.getConfig().getSerializerConfig()));
    job.open();
  }
}
