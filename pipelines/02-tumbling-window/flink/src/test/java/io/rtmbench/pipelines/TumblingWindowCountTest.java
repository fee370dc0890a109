package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.List;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.transformations.OneInputTransformation;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;

class TumblingWindowCountTest {

  private static final long MINUTE = 60_000;

  @Test
  void eachEventGivesItsWindowsCountSoFar() throws Exception {
    try (var job = job()) {
      send(job, "a", 10, 20, MINUTE + 5);
      send(job, "b", 30);

      assertEquals(
          List.of("a 0-60000 1", "a 0-60000 2", "a 60000-120000 1", "b 0-60000 1"), results(job));
    }
  }

  @Test
  void aResultCarriesTheStampsOfItsNewestEvent() throws Exception {
    try (var job = job()) {
      send(job, "a", 20, 10);

      List<TumblingWindowCount.Result> results = job.extractOutputValues();
      assertEquals(20, results.get(1).producedAt);
      assertEquals(20_000, results.get(1).scheduledAtUs);
    }
  }

  @Test
  void aClosedWindowIsForgottenWithoutAnotherResult() throws Exception {
    try (var job = job()) {
      send(job, "a", 10, MINUTE + 5);
      job.processWatermark(new Watermark(MINUTE - 1));

      assertEquals(List.of("a 0-60000 1", "a 60000-120000 1"), results(job));
      assertEquals(1, job.numKeyedStateEntries());
      assertEquals(1, job.numEventTimeTimers());
    }
  }

  @Test
  void anEventBehindTheWatermarkIsDroppedOnceItsWindowHasClosed() throws Exception {
    try (var job = job()) {
      job.processWatermark(new Watermark(MINUTE - 2));
      send(job, "a", 10);
      job.processWatermark(new Watermark(MINUTE - 1));
      send(job, "a", 20);

      assertEquals(List.of("a 0-60000 1"), results(job));
    }
  }

  @Test
  void onRequestAWindowTellsItsCountOnceAsItCloses() throws Exception {
    try (var job = job("--emit", "close", "--window-ms", "10000")) {
      send(job, "a", 9_999, 10_000, 1);
      assertEquals(List.of(), results(job));

      job.processWatermark(new Watermark(9_999));
      assertEquals(List.of("a 0-10000 2"), results(job));
      assertEquals(1, job.numKeyedStateEntries());
    }
  }

  private static List<String> results(
      KeyedOneInputStreamOperatorTestHarness<String, Event, TumblingWindowCount.Result> job) {
    return job.extractOutputValues().stream()
        .map(r -> r.key + " " + r.windowStart + "-" + r.windowEnd + " " + r.count)
        .toList();
  }

  private static void send(
      KeyedOneInputStreamOperatorTestHarness<String, Event, TumblingWindowCount.Result> job,
      String key,
      long... times)
      throws Exception {
    for (long time : times) {
      job.processElement(new Event("id", "click", key, 1, time, time * 1000), time);
    }
  }

  /** The job's window operator, as its graph has it. */
  private static KeyedOneInputStreamOperatorTestHarness<String, Event, TumblingWindowCount.Result>
      job(String... arguments) throws Exception {
    JobArguments parsed = JobArguments.parseTumbling(Duration.ofMinutes(1), arguments);
    StreamExecutionEnvironment environment = Job.environment(parsed);
    var counts =
        (OneInputTransformation<Event, TumblingWindowCount.Result>)
            TumblingWindowCount.count(environment.fromData(new Event()), parsed)
                .getTransformation();
    var job =
        new KeyedOneInputStreamOperatorTestHarness<String, Event, TumblingWindowCount.Result>(
            counts.getOperator(), event -> event.key, Types.STRING);
    job.setup(
        counts.getOutputType().createSerializer(environment.getConfig().getSerializerConfig()));
    job.open();
    return job;
  }
}
