package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.junit.jupiter.api.Test;

class JobTest {

  @Test
  void aWindowWaitsAtMostTenMillisecondsForItsWatermark() throws Exception {
    StreamExecutionEnvironment environment = Job.environment(JobArguments.parse());

    assertEquals(10, environment.getConfig().getAutoWatermarkInterval());
    assertEquals(
        "10",
        environment.getConfig().getGlobalJobParameters().toMap().get(Job.SHOWN_WATERMARK_INTERVAL));
  }

  @Test
  void objectsAreReusedWhateverTheClusterSays() throws Exception {
    assertTrue(Job.environment(JobArguments.parse()).getConfig().isObjectReuseEnabled());
  }
}
