package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.transformations.OneInputTransformation;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class KeyedStateCounterTest {

  private KeyedOneInputStreamOperatorTestHarness<String, KeyedEvent, KeyedStateCounter.Result> job;

  @AfterEach
  void close() throws Exception {
    job.close();
  }

  @Test
  void eachEventGivesItsKeysCountAndSumSoFar() throws Exception {
    start(null);
    send("a", 1, 2);
    send("b", 3);
    send("a", 4);

    assertEquals(List.of("a 1 1 1", "a 2 3 2", "b 1 3 3", "a 3 7 4"), results());
    assertEquals(2, job.numKeyedStateEntries());
  }

  @Test
  void aResultCarriesTheStampsOfItsNewestEvent() throws Exception {
    start(null);
    send("a", 20, 10);

    assertEquals(List.of("a 1 20 20", "a 2 30 20"), results());
  }

  @Test
  void countAndSumGoOnAfterARestore() throws Exception {
    start(null);
    send("a", 1, 2);
    OperatorSubtaskState checkpoint = job.snapshot(1, 1);
    job.close();
    start(checkpoint);
    send("a", 3);

    assertEquals(List.of("a 3 6 3"), results());
  }

  private List<String> results() {
    return job.extractOutputValues().stream()
        .map(r -> r.key + " " + r.count + " " + r.sum + " " + r.producedAt)
        .toList();
  }

  private void send(String key, long... times) throws Exception {
    for (long time : times) {
      job.processElement(new KeyedEvent(key, time, time, time * 1000), time);
    }
  }

  /** Starts the job's counter, as its graph has it, from a checkpoint or from nothing. */
  private void start(OperatorSubtaskState checkpoint) throws Exception {
    StreamExecutionEnvironment environment = Job.environment(JobArguments.parse());
    @SuppressWarnings("unchecked") // The transformation of a keyed operator has one input.
    var counts =
        (OneInputTransformation<KeyedEvent, KeyedStateCounter.Result>)
            KeyedStateCounter.count(environment.fromData(new Event())).getTransformation();
    job =
        new KeyedOneInputStreamOperatorTestHarness<>(
            counts.getOperator(), event -> event.key, Types.STRING);
    job.setup(
        counts.getOutputType().createSerializer(environment.getConfig().getSerializerConfig()));
    job.initializeState(checkpoint);
    job.open();
  }
}
