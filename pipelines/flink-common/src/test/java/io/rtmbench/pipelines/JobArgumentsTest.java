package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
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
  void windowsAreThePatternsUnlessTheyAreGiven() throws Exception {
    JobArguments tumbling = JobArguments.parseTumbling(Duration.ofMinutes(1));
    assertEquals(Duration.ofMinutes(1), tumbling.window());
    assertEquals(Duration.ofSeconds(10), tumbling.watermarkDelay());
    assertEquals(Duration.ZERO, tumbling.idleness());
    assertTrue(tumbling.emitsUpdates());

    String line = "--window-ms 4000 --slide-ms 1000 --emit close --watermark-delay-ms 0";
    JobArguments sliding = sliding((line + " --idleness-ms 500").split(" "));
    assertEquals(Duration.ofSeconds(4), sliding.window());
    assertEquals(Duration.ofSeconds(1), sliding.slide());
    assertEquals(Duration.ZERO, sliding.watermarkDelay());
    assertEquals(Duration.ofMillis(500), sliding.idleness());
    assertFalse(sliding.emitsUpdates());
  }

  @ParameterizedTest
  @CsvSource({
    "--emit row, --emit is update or close",
    "--window-ms 0, at least 1",
    "--window-ms 30000, --slide-ms 60000 is longer than --window-ms 30000",
    "--slide-ms 1m, whole number of milliseconds",
    "--watermark-delay-ms -1, at least 0",
    "--idleness-ms -1, at least 0",
  })
  void aWrongArgumentOfWindowsIsNamed(String line, String message) {
    IllegalArgumentException error =
        assertThrows(IllegalArgumentException.class, () -> sliding(line.split(" ")));

    assertTrue(error.getMessage().contains(message), error.getMessage());
  }

  @Test
  void anArgumentThatAJobHasNoUseForIsUnknownToIt() {
    assertThrows(IllegalArgumentException.class, () -> JobArguments.parse("--window-ms", "1000"));
    assertThrows(
        IllegalArgumentException.class,
        () -> JobArguments.parseTumbling(Duration.ofMinutes(1), "--slide-ms", "1000"));
  }

  private static JobArguments sliding(String... arguments) throws Exception {
    return JobArguments.parseSliding(Duration.ofMinutes(5), Duration.ofMinutes(1), arguments);
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
  void aClientsFileIsOfBothSides(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("kafka.properties");
    Files.writeString(file, "security.protocol=SSL\n");

    JobArguments arguments = JobArguments.parse("--kafka-properties", file.toString());

    for (String side : new String[] {"source", "sink"}) {
      assertEquals("SSL", arguments.kafkaProperties(side).getProperty("security.protocol"));
    }
  }

  @Test
  void aFileInTheJarIsRead() throws Exception {
    JobArguments arguments =
        JobArguments.parse("--kafka-properties", "classpath:kafka-of-a-test.properties");

    assertEquals("1", arguments.kafkaProperties("sink").getProperty("acks"));
    assertThrows(
        java.io.IOException.class,
        () -> JobArguments.parse("--kafka-properties", "classpath:none.properties"));
  }

  @Test
  void aKafkaSettingWithoutASideIsRefusedBesideOthersWithOne(@TempDir Path directory)
      throws Exception {
    Path file = directory.resolve("kafka.properties");
    Files.writeString(file, "acks=1\nsource.fetch.max.wait.ms=1\n");

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
