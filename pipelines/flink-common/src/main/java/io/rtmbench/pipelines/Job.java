package io.rtmbench.pipelines;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.formats.json.JsonSerializationSchema;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** What every job has in common: its environment, where events come from, where results go. */
public final class Job {

  /** The same client settings as the Spark twin's and the harness's; see the pipelines' README. */
  private static final Map<String, String> SOURCE_DEFAULTS =
      Map.of(
          "fetch.min.bytes", "1",
          "fetch.max.wait.ms", "500",
          // Like Spark, the job keeps its position in its checkpoints only.
          "commit.offsets.on.checkpoint", "false");

  private static final Map<String, String> SINK_DEFAULTS =
      Map.of(
          "acks", "all",
          "enable.idempotence", "true",
          "linger.ms", "0",
          "batch.size", "16384",
          "compression.type", "none",
          "max.in.flight.requests.per.connection", "5");

  /**
   * How often a source emits its watermark. A window closes up to this long after its watermark was
   * due; Flink's default of 200 ms would add 100 ms on average. Spark's micro-batches, which follow
   * each other at once, take the new watermark with each batch and know no such wait. At 10 ms the
   * watermarks of a source are 100 small records a second.
   */
  static final Duration WATERMARK_INTERVAL = Duration.ofMillis(10);

  /** Where the REST API shows the interval that the job has: it lists no such setting by itself. */
  static final String SHOWN_WATERMARK_INTERVAL = "rtmbench.auto-watermark-interval-ms";

  private Job() {}

  /** An environment with checkpoints, object reuse and without generic types (no Kryo). */
  public static StreamExecutionEnvironment environment(JobArguments arguments) {
    Configuration configuration = new Configuration();
    configuration.set(PipelineOptions.OBJECT_REUSE, true);
    configuration.set(PipelineOptions.GENERIC_TYPES, false);
    configuration.set(PipelineOptions.AUTO_WATERMARK_INTERVAL, WATERMARK_INTERVAL);
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.getExecutionEnvironment(configuration);
    environment.enableCheckpointing(
        arguments.checkpointIntervalMs(), CheckpointingMode.EXACTLY_ONCE);
    environment.setBufferTimeout(arguments.bufferTimeoutMs());
    Configuration shown = new Configuration();
    shown.setString(
        SHOWN_WATERMARK_INTERVAL,
        Long.toString(environment.getConfig().getAutoWatermarkInterval()));
    environment.getConfig().setGlobalJobParameters(shown);
    return environment;
  }

  /** The input topic, from its beginning. */
  public static KafkaSource<Event> source(JobArguments arguments) {
    return KafkaSource.<Event>builder()
        .setBootstrapServers(arguments.bootstrapServers())
        .setTopics(arguments.inputTopic())
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setDeserializer(new EventDeserializer())
        .setProperties(properties(SOURCE_DEFAULTS, arguments.kafkaProperties("source")))
        .build();
  }

  /**
   * The output topic: results as JSON, at least once, partitioned by their key as every Kafka
   * client does it.
   *
   * @param key the key of a result's record
   */
  public static <T> KafkaSink<T> sink(JobArguments arguments, KeyOf<T> key) {
    SerializationSchema<T> keyBytes = result -> key.keyOf(result).getBytes(StandardCharsets.UTF_8);
    return KafkaSink.<T>builder()
        .setBootstrapServers(arguments.bootstrapServers())
        .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .setRecordSerializer(
            KafkaRecordSerializationSchema.<T>builder()
                .setTopic(arguments.outputTopic())
                .setKeySerializationSchema(keyBytes)
                .setValueSerializationSchema(new JsonSerializationSchema<T>())
                .build())
        .setKafkaProducerConfig(properties(SINK_DEFAULTS, arguments.kafkaProperties("sink")))
        .build();
  }

  /** The key of a result; serializable, since it travels to the task managers. */
  @FunctionalInterface
  public interface KeyOf<T> extends java.io.Serializable {
    String keyOf(T result);
  }

  private static Properties properties(Map<String, String> defaults, Properties given) {
    Properties properties = new Properties();
    properties.putAll(defaults);
    properties.putAll(given);
    return properties;
  }
}
