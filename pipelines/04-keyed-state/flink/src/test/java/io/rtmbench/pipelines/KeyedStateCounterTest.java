package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.transformations.OneInputTransformation;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;

class KeyedStateCounterTest {

  @Test
  void eachEventGivesItsKeysCountSoFar() throws Exception {
    try (var job = job()) {
      job.open();
      send(job, "a", 1, 2);
      send(job, "b", 3);
      send(job, "a", 4);

      assertEquals(List.of("a 1 1", "a 2 2", "b 1 3", "a 3 4"), results(job));
      assertEquals(2, job.numKeyedStateEntries());
    }
  }

  @Test
  void aResultCarriesTheStampsOfItsNewestEvent() throws Exception {
    try (var job = job()) {
      job.open();
      send(job, "a", 20, 10);

      assertEquals(List.of("a 1 20", "a 2 20"), results(job));
    }
  }

  @Test
  void theCountGoesOnAfterARestore() throws Exception {
    OperatorSubtaskState checkpoint;
    try (var job = job()) {
      job.open();
      send(job, "a", 1, 2);
      checkpoint = job.snapshot(1, 1);
    }
    try (var job = job()) {
      job.initializeState(checkpoint);
      job.open();
      send(job, "a", 3);

      assertEquals(List.of("a 3 3"), results(job));
    }
  }

  private static List<String> results(
      KeyedOneInputStreamOperatorTestHarness<String, Event, KeyedStateCounter.Result> job) {
    return job.extractOutputValues().stream()
        .map(r -> r.key + " " + r.count + " " + r.producedAt)
        .toList();
  }

  private static void send(
      KeyedOneInputStreamOperatorTestHarness<String, Event, KeyedStateCounter.Result> job,
      String key,
      long... times)
      throws Exception {
    for (long time : times) {
      job.processElement(new Event("id", "click", key, 1, time, time * 1000), time);
    }
  }

  /** The job's counter, as its graph has it. */
  private static KeyedOneInputStreamOperatorTestHarness<String, Event, KeyedStateCounter.Result>
      job() throws Exception {
    StreamExecutionEnvironment environment = Job.environment(JobArguments.parse());
    var counts =
        (OneInputTransformation<Event, KeyedStateCounter.Result>)
            KeyedStateCounter.count(environment.fromData(new Event())).getTransformation();
    var job =
        new KeyedOneInputStreamOperatorTestHarness<String, Event, KeyedStateCounter.Result>(
            counts.getOperator(), event -> event.key, Types.STRING);
    job.setup(
        counts.getOutputType().createSerializer(environment.getConfig().getSerializerConfig()));
    return job;
  }
}
