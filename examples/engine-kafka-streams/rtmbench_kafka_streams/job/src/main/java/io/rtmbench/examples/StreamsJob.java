package io.rtmbench.examples;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Patterns 01 and 02 on Kafka Streams.
 *
 * <p>Its only argument is a properties file: client settings as {@code source.NAME} and {@code
 * sink.NAME}, and what follows without a prefix.
 */
public final class StreamsJob {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Set<String> KEPT = Set.of("click", "purchase");
  private static final long WATCH_MS = 50;

  private StreamsJob() {}

  public static void main(String[] args) throws Exception {
    Properties settings = new Properties();
    try (InputStream file = new FileInputStream(args[0])) {
      settings.load(file);
    }
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, byte[]> events =
        builder.stream(
            settings.getProperty("input"),
            Consumed.with(Serdes.String(), Serdes.ByteArray())
                .withTimestampExtractor(
                    (record, time) -> parse((byte[]) record.value()).get("produced_at").asLong()));
    KStream<String, byte[]> results =
        switch (settings.getProperty("pattern")) {
          case "01" -> events.filter((key, value) -> KEPT.contains(text(parse(value), "event_type")));
          case "02" -> counted(events, settings);
          default -> throw new IllegalArgumentException("no such pattern");
        };
    results.to(settings.getProperty("output"), Produced.with(Serdes.String(), Serdes.ByteArray()));

    KafkaStreams streams = new KafkaStreams(builder.build(), configuration(settings));
    CountDownLatch ended = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          // A failure ends the process: rtmbench has to see it.
          Runtime.getRuntime().halt(1);
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.RUNNING) {
            touch(Path.of(settings.getProperty("running")));
          }
        });
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  streams.close(Duration.ofSeconds(2));
                  ended.countDown();
                }));
    streams.start();
    watchCommits(streams, Path.of(settings.getProperty("commits")), ended);
  }

  /** A running count and sum for each key and window: one result for each event. */
  private static KStream<String, byte[]> counted(
      KStream<String, byte[]> events, Properties settings) {
    TimeWindows windows =
        TimeWindows.ofSizeAndGrace(
            Duration.ofMillis(Long.parseLong(settings.getProperty("window.ms"))),
            Duration.ofMillis(Long.parseLong(settings.getProperty("grace.ms"))));
    return events
        .groupByKey()
        .windowedBy(windows)
        .aggregate(
            () -> new byte[4 * Long.BYTES],
            (key, value, totals) -> add(totals, parse(value)),
            Materialized.<String, byte[], WindowStore<Bytes, byte[]>>as("totals")
                .withKeySerde(Serdes.String())
                .withValueSerde(Serdes.ByteArray()))
        .toStream()
        .map((window, totals) -> KeyValue.pair(window.key(), result(window, totals)));
  }

  /** Totals are count, sum, and the time stamps of the newest event. */
  private static byte[] add(byte[] before, JsonNode event) {
    ByteBuffer totals = ByteBuffer.wrap(before);
    long count = totals.getLong() + 1;
    long sum = totals.getLong() + event.get("value").asLong();
    long producedAt = totals.getLong();
    long scheduledAt = totals.getLong();
    long scheduled = event.get("scheduled_at_us").asLong();
    boolean newest = scheduled >= scheduledAt;
    return ByteBuffer.allocate(4 * Long.BYTES)
        .putLong(count)
        .putLong(sum)
        .putLong(newest ? event.get("produced_at").asLong() : producedAt)
        .putLong(newest ? scheduled : scheduledAt)
        .array();
  }

  private static byte[] result(Windowed<String> window, byte[] bytes) {
    ByteBuffer totals = ByteBuffer.wrap(bytes);
    ObjectNode node = JSON.createObjectNode();
    node.put("key", window.key());
    node.put("window_start", window.window().start());
    node.put("window_end", window.window().end());
    node.put("count", totals.getLong());
    node.put("sum", totals.getLong());
    node.put("produced_at", totals.getLong());
    node.put("scheduled_at_us", totals.getLong());
    try {
      return JSON.writeValueAsBytes(node);
    } catch (IOException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  private static Properties configuration(Properties settings) {
    Properties configuration = new Properties();
    for (String name : settings.stringPropertyNames()) {
      String value = settings.getProperty(name);
      if (name.startsWith("source.")) {
        configuration.put(StreamsConfig.consumerPrefix(name.substring("source.".length())), value);
      } else if (name.startsWith("sink.")) {
        configuration.put(StreamsConfig.producerPrefix(name.substring("sink.".length())), value);
      } else if (name.startsWith("streams.")) {
        configuration.put(name.substring("streams.".length()), value);
      }
    }
    // One result for each event: nothing is held back to be merged.
    configuration.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    configuration.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    return configuration;
  }

  /** Writes the time of each commit of the first thread, in ms since the epoch, one a line. */
  private static void watchCommits(KafkaStreams streams, Path file, CountDownLatch ended)
      throws Exception {
    double before = 0;
    while (!ended.await(WATCH_MS, java.util.concurrent.TimeUnit.MILLISECONDS)) {
      double now = commits(streams);
      if (now > before) {
        Files.writeString(
            file,
            System.currentTimeMillis() + "\n",
            StandardOpenOption.CREATE,
            StandardOpenOption.APPEND);
      }
      before = now;
    }
  }

  private static double commits(KafkaStreams streams) {
    for (Metric metric : streams.metrics().values()) {
      MetricName name = metric.metricName();
      if (name.name().equals("commit-total")
          && name.group().equals("stream-thread-metrics")
          && name.tags().getOrDefault("thread-id", "").endsWith("StreamThread-1")) {
        return ((Number) metric.metricValue()).doubleValue();
      }
    }
    return 0;
  }

  private static JsonNode parse(byte[] value) {
    try {
      return JSON.readTree(value);
    } catch (IOException malformed) {
      throw new IllegalArgumentException("a record is not JSON", malformed);
    }
  }

  private static String text(JsonNode node, String field) {
    return node.get(field).asText();
  }

  private static void touch(Path file) {
    try {
      Files.writeString(file, "", StandardOpenOption.CREATE);
    } catch (IOException failure) {
      throw new IllegalStateException(failure);
    }
  }
}
