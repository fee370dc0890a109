package io.rtmbench.pipelines;

import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;

/**
 * The program arguments of a job, as {@code --name value}. Every job takes these:
 *
 * <table>
 * <caption>Arguments of every job</caption>
 * <tr><th>argument</th><th>default</th></tr>
 * <tr><td>{@code --bootstrap-servers}</td><td>{@code KAFKA_BOOTSTRAP_SERVERS}, else {@code localhost:9092}</td></tr>
 * <tr><td>{@code --input-topic}</td><td>{@code benchmark-input}</td></tr>
 * <tr><td>{@code --output-topic}</td><td>{@code benchmark-output}</td></tr>
 * <tr><td>{@code --checkpoint-interval-ms}</td><td>5000</td></tr>
 * <tr><td>{@code --buffer-timeout-ms}</td><td>1</td></tr>
 * <tr><td>{@code --kafka-properties}</td><td>none; a file of Kafka client settings, each named
 * {@code source.NAME} or {@code sink.NAME}, or the file of a client, for both sides; with
 * {@code classpath:} before its name, a file in the job's jar</td></tr>
 * </table>
 *
 * <p>A job with windows takes these beside them:
 *
 * <table>
 * <caption>Arguments of a job with windows</caption>
 * <tr><th>argument</th><th>default</th></tr>
 * <tr><td>{@code --window-ms}</td><td>the pattern's</td></tr>
 * <tr><td>{@code --slide-ms}</td><td>the pattern's; only where windows slide</td></tr>
 * <tr><td>{@code --emit}</td><td>{@code update}, a result for each event; or {@code close}, one for
 * each window</td></tr>
 * <tr><td>{@code --watermark-delay-ms}</td><td>10000</td></tr>
 * <tr><td>{@code --idleness-ms}</td><td>0: a partition without data holds the watermark</td></tr>
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

  private static final String CLASSPATH = "classpath:";

  private static final Map<String, String> OF_WINDOWS =
      Map.of("emit", "update", "watermark-delay-ms", "10000", "idleness-ms", "0");

  private final Map<String, String> values;
  private final Properties kafkaProperties;

  private JobArguments(Map<String, String> values, Properties kafkaProperties) {
    this.values = values;
    this.kafkaProperties = kafkaProperties;
  }

  /**
   * Reads the command line of a job without windows.
   *
   * @throws IllegalArgumentException on an unknown argument, a missing value or a bad one
   * @throws IOException if the file of Kafka settings cannot be read
   */
  public static JobArguments parse(String... arguments) throws IOException {
    return parse(new HashMap<>(DEFAULTS), arguments);
  }

  /**
   * Reads the command line of a job with tumbling windows.
   *
   * @param window how long a window is unless the command line says it
   * @throws IllegalArgumentException as in {@link #parse}
   * @throws IOException as in {@link #parse}
   */
  public static JobArguments parseTumbling(Duration window, String... arguments)
      throws IOException {
    Map<String, String> values = new HashMap<>(DEFAULTS);
    values.putAll(OF_WINDOWS);
    values.put("window-ms", Long.toString(window.toMillis()));
    JobArguments parsed = parse(values, arguments);
    parsed.window();
    parsed.watermarkDelay();
    parsed.idleness();
    parsed.emitsUpdates();
    return parsed;
  }

  /**
   * Reads the command line of a job with sliding windows.
   *
   * @param window how long a window is unless the command line says it
   * @param slide how far apart windows start unless the command line says it
   * @throws IllegalArgumentException as in {@link #parse}, and where windows would leave gaps
   * @throws IOException as in {@link #parse}
   */
  public static JobArguments parseSliding(Duration window, Duration slide, String... arguments)
      throws IOException {
    Map<String, String> values = new HashMap<>(DEFAULTS);
    values.putAll(OF_WINDOWS);
    values.put("window-ms", Long.toString(window.toMillis()));
    values.put("slide-ms", Long.toString(slide.toMillis()));
    JobArguments parsed = parse(values, arguments);
    parsed.watermarkDelay();
    parsed.idleness();
    parsed.emitsUpdates();
    if (parsed.slide().compareTo(parsed.window()) > 0) {
      throw new IllegalArgumentException(
          "--slide-ms "
              + parsed.slide().toMillis()
              + " is longer than --window-ms "
              + parsed.window().toMillis()
              + ", so that events between two windows would be lost");
    }
    return parsed;
  }

  private static JobArguments parse(Map<String, String> values, String... arguments)
      throws IOException {
    for (int i = 0; i < arguments.length; i += 2) {
      String name = arguments[i].startsWith("--") ? arguments[i].substring(2) : "";
      if (!values.containsKey(name)) {
        String known = String.join(", --", new TreeSet<>(values.keySet()));
        throw new IllegalArgumentException(
            "Unknown argument " + arguments[i] + "; known: --" + known);
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

  /** How long a window is. */
  public Duration window() {
    return Duration.ofMillis(milliseconds("window-ms", 1));
  }

  /** How far apart two windows start. */
  public Duration slide() {
    return Duration.ofMillis(milliseconds("slide-ms", 1));
  }

  /** How far the watermark stays behind the newest event time of a partition. */
  public Duration watermarkDelay() {
    return Duration.ofMillis(milliseconds("watermark-delay-ms", 0));
  }

  /** After how long a partition without data no longer holds the watermark; zero is never. */
  public Duration idleness() {
    return Duration.ofMillis(milliseconds("idleness-ms", 0));
  }

  /** Whether each event gives a result at once, as opposed to one result as its window closes. */
  public boolean emitsUpdates() {
    String emit = values.get("emit");
    if (!emit.equals("update") && !emit.equals("close")) {
      throw new IllegalArgumentException("--emit is update or close, not " + emit);
    }
    return emit.equals("update");
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
      try (InputStream in = open(file)) {
        properties.load(in);
      }
    }
    return bySide(file, properties);
  }

  private static InputStream open(String file) throws IOException {
    if (!file.startsWith(CLASSPATH)) {
      return new FileInputStream(file);
    }
    InputStream in =
        JobArguments.class.getClassLoader().getResourceAsStream(file.substring(CLASSPATH.length()));
    if (in == null) {
      throw new FileNotFoundException(file);
    }
    return in;
  }

  /** The settings by side. Those of a client's file, in which no name has a side, are of both. */
  private static Properties bySide(String file, Properties given) {
    Set<String> names = given.stringPropertyNames();
    Set<String> without = new TreeSet<>(names);
    without.removeIf(name -> name.startsWith("source.") || name.startsWith("sink."));
    if (without.isEmpty()) {
      return given;
    }
    if (without.size() < names.size()) {
      throw new IllegalArgumentException(
          file
              + ": "
              + without.iterator().next()
              + " starts with neither source. nor sink., while other names do");
    }
    Properties properties = new Properties();
    for (String name : names) {
      properties.setProperty("source." + name, given.getProperty(name));
      properties.setProperty("sink." + name, given.getProperty(name));
    }
    return properties;
  }
}
