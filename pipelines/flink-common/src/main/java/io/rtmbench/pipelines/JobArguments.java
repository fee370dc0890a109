package io.rtmbench.pipelines;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

/**
 * The program arguments that every job takes, as {@code --name value}.
 *
 * <table>
 * <caption>Arguments</caption>
 * <tr><th>argument</th><th>default</th></tr>
 * <tr><td>{@code --bootstrap-servers}</td><td>{@code KAFKA_BOOTSTRAP_SERVERS}, else {@code localhost:9092}</td></tr>
 * <tr><td>{@code --input-topic}</td><td>{@code benchmark-input}</td></tr>
 * <tr><td>{@code --output-topic}</td><td>{@code benchmark-output}</td></tr>
 * <tr><td>{@code --checkpoint-interval-ms}</td><td>5000</td></tr>
 * <tr><td>{@code --buffer-timeout-ms}</td><td>1</td></tr>
 * <tr><td>{@code --kafka-properties}</td><td>none; a file of Kafka client settings, each named
 * {@code source.NAME} or {@code sink.NAME}</td></tr>
 * </table>
 */
public final class JobArguments {

  private static final Map<String, String> DEFAULTS =
      Map.of(
          "bootstrap-servers",
          System.getenv().getOrDefault("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
          "input-topic",
          "benchmark-input",
          "output-topic",
          "benchmark-output",
          "checkpoint-interval-ms",
          "5000",
          "buffer-timeout-ms",
          "1",
          "kafka-properties",
          "");

  private final Map<String, String> values;
  private final Properties kafkaProperties;

  private JobArguments(Map<String, String> values, Properties kafkaProperties) {
    this.values = values;
    this.kafkaProperties = kafkaProperties;
  }

  /**
   * Reads a job's command line.
   *
   * @throws IllegalArgumentException on an unknown argument, a missing value or a bad number
   * @throws IOException if the file of Kafka settings cannot be read
   */
  public static JobArguments parse(String... arguments) throws IOException {
    Map<String, String> values = new HashMap<>(DEFAULTS);
    for (int i = 0; i < arguments.length; i += 2) {
      String name = arguments[i].startsWith("--") ? arguments[i].substring(2) : "";
      if (!DEFAULTS.containsKey(name)) {
        throw new IllegalArgumentException(
            "Unknown argument " + arguments[i] + "; known: --" + String.join(", --", names()));
      }
      if (i + 1 == arguments.length) {
        throw new IllegalArgumentException("--" + name + " needs a value");
      }
      values.put(name, arguments[i + 1]);
    }
    JobArguments parsed =
        new JobArguments(values, readKafkaProperties(values.get("kafka-properties")));
    parsed.checkpointIntervalMs();
    parsed.bufferTimeoutMs();
    return parsed;
  }

  public String bootstrapServers() {
    return values.get("bootstrap-servers");
  }

  public String inputTopic() {
    return values.get("input-topic");
  }

  public String outputTopic() {
    return values.get("output-topic");
  }

  public long checkpointIntervalMs() {
    return milliseconds("checkpoint-interval-ms", 1);
  }

  public long bufferTimeoutMs() {
    return milliseconds("buffer-timeout-ms", 0);
  }

  /** The client settings given for one side, {@code source} or {@code sink}, without the prefix. */
  public Properties kafkaProperties(String side) {
    String prefix = side + ".";
    Properties properties = new Properties();
    for (String name : kafkaProperties.stringPropertyNames()) {
      if (name.startsWith(prefix)) {
        properties.setProperty(name.substring(prefix.length()), kafkaProperties.getProperty(name));
      }
    }
    return properties;
  }

  private long milliseconds(String name, long least) {
    String text = values.get(name);
    try {
      long value = Long.parseLong(text);
      if (value >= least) {
        return value;
      }
    } catch (NumberFormatException ignored) {
      // Said below, together with a number that is too small.
    }
    throw new IllegalArgumentException(
        "--" + name + " is a whole number of milliseconds, at least " + least + ", not " + text);
  }

  private static Properties readKafkaProperties(String file) throws IOException {
    Properties properties = new Properties();
    if (!file.isEmpty()) {
      try (InputStream in = new FileInputStream(file)) {
        properties.load(in);
      }
    }
    for (String name : properties.stringPropertyNames()) {
      if (!name.startsWith("source.") && !name.startsWith("sink.")) {
        throw new IllegalArgumentException(
            file
                + ": "
                + name
                + " starts with neither source. nor sink., so it would have no effect");
      }
    }
    return properties;
  }

  private static String[] names() {
    return DEFAULTS.keySet().stream().sorted().toArray(String[]::new);
  }
}
