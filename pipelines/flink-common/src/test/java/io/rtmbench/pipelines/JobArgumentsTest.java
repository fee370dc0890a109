package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JobArgumentsTest {

  @Test
  void whatIsNotGivenHasADefault() throws Exception {
    JobArguments arguments = JobArguments.parse("--input-topic", "in");

    assertEquals("in", arguments.inputTopic());
    assertEquals("benchmark-output", arguments.outputTopic());
    assertEquals(5000, arguments.checkpointIntervalMs());
    assertEquals(1, arguments.bufferTimeoutMs());
  }

  @ParameterizedTest
  @CsvSource({
    "--in-topic x, Unknown argument --in-topic",
    "in x, Unknown argument in",
    "--input-topic, --input-topic needs a value",
    "--checkpoint-interval-ms 0, at least 1",
    "--checkpoint-interval-ms 5s, whole number of milliseconds",
    "--buffer-timeout-ms -1, at least 0",
  })
  void aWrongArgumentIsNamed(String line, String message) {
    IllegalArgumentException error =
        assertThrows(IllegalArgumentException.class, () -> JobArguments.parse(line.split(" ")));

    assertTrue(error.getMessage().contains(message), error.getMessage());
  }

  @Test
  void kafkaSettingsAreGivenBySide(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("kafka.properties");
    Files.writeString(file, "source.fetch.max.wait.ms=1\nsink.acks=1\n");

    JobArguments arguments = JobArguments.parse("--kafka-properties", file.toString());

    Properties source = new Properties();
    source.setProperty("fetch.max.wait.ms", "1");
    assertEquals(source, arguments.kafkaProperties("source"));
    assertEquals("1", arguments.kafkaProperties("sink").getProperty("acks"));
  }

  @Test
  void aKafkaSettingWithoutASideIsRefused(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("kafka.properties");
    Files.writeString(file, "acks=1\n");

    assertThrows(
        IllegalArgumentException.class,
        () -> JobArguments.parse("--kafka-properties", file.toString()));
  }

  @Test
  void aMissingFileOfKafkaSettingsIsAnError(@TempDir Path directory) {
    assertThrows(
        java.io.IOException.class,
        () -> JobArguments.parse("--kafka-properties", directory.resolve("none").toString()));
  }
}
