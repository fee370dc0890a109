package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.transformations.OneInputTransformation;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SlidingWindowAvgTest {

  private static final long MINUTE = 60_000;

  private KeyedOneInputStreamOperatorTestHarness<String, KeyedEvent, SlidingWindowAvg.Result> job;

  @AfterEach
  void close() throws Exception {
    job.close();
  }

  @Test
  void eachEventUpdatesEveryWindowThatItFallsInto() throws Exception {
    start();
    send(10 * MINUTE, 4);

    assertEquals(
        List.of("6-11 4.0 1", "7-12 4.0 1", "8-13 4.0 1", "9-14 4.0 1", "10-15 4.0 1"), results());
  }

  @Test
  void theAverageIsThatOfTheWindow() throws Exception {
    start("--window-ms", "120000", "--slide-ms", "60000");
    send(9 * MINUTE, 1);
    send(10 * MINUTE, 2);

    assertEquals(List.of("8-10 1.0 1", "9-11 1.0 1", "9-11 1.5 2", "10-12 2.0 1"), results());
  }

  @Test
  void onRequestAWindowTellsItsAverageOnceAsItCloses() throws Exception {
    start("--emit", "close", "--window-ms", "120000", "--slide-ms", "60000");
    send(9 * MINUTE, 1);
    send(10 * MINUTE, 2);
    assertEquals(List.of(), results());

    job.processWatermark(new Watermark(11 * MINUTE - 1));
    assertEquals(List.of("8-10 1.0 1", "9-11 1.5 2"), results());
    assertEquals(1, job.numKeyedStateEntries());
  }

  /** In windows of minutes, in the order in which they end: Flink itself keeps no order of them. */
  private List<String> results() {
    return job.extractOutputValues().stream()
        .sorted(
            Comparator.<SlidingWindowAvg.Result>comparingLong(r -> r.windowStart)
                .thenComparingLong(r -> r.count))
        .map(r -> r.windowStart / MINUTE + "-" + r.windowEnd / MINUTE + " " + r.avg + " " + r.count)
        .toList();
  }

  private void send(long time, long value) throws Exception {
    job.processElement(new KeyedEvent("a", value, time, time * 1000), time);
  }

  /** Starts the job's window operator, as its graph has it. */
  private void start(String... arguments) throws Exception {
    JobArguments parsed =
        JobArguments.parseSliding(Duration.ofMinutes(5), Duration.ofMinutes(1), arguments);
    StreamExecutionEnvironment environment = Job.environment(parsed);
    @SuppressWarnings("unchecked") // The transformation of a keyed operator has one input.
    var averages =
        (OneInputTransformation<KeyedEvent, SlidingWindowAvg.Result>)
            SlidingWindowAvg.average(environment.fromData(new Event()), parsed).getTransformation();
    job =
        new KeyedOneInputStreamOperatorTestHarness<>(
            averages.getOperator(), event -> event.key, Types.STRING);
    job.setup(
        averages.getOutputType().createSerializer(environment.getConfig().getSerializerConfig()));
    job.open();
  }
}
