package io.rtmbench.claims;

import java.lang.reflect.Field;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.configuration.ExecutionOptions;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Prints a default of the classes on its class path, as {@code NAME=VALUE}: {@code linger}, {@code
 * buffer-timeout} or {@code sink-guarantee}.
 */
public final class Defaults {

  private Defaults() {}

  public static void main(String[] args) throws Exception {
    for (String name : args) {
      System.out.println(name + "=" + value(name));
    }
  }

  private static Object value(String name) throws Exception {
    return switch (name) {
      case "kafka-clients" -> AppInfoParser.getVersion();
      case "linger" -> ProducerConfig.configDef().defaultValues().get("linger.ms") + " ms";
      case "buffer-timeout" -> Flink.bufferTimeout();
      case "sink-guarantee" -> Flink.sinkGuarantee();
      default -> throw new IllegalArgumentException("There is no default named " + name);
    };
  }

  /** Apart, so that the Kafka client alone is enough for its own default. */
  private static final class Flink {

    static String bufferTimeout() {
      return ExecutionOptions.BUFFER_TIMEOUT.defaultValue().toMillis() + " ms";
    }

    static Object sinkGuarantee() throws Exception {
      KafkaSink<String> sink =
          KafkaSink.<String>builder()
              .setBootstrapServers("127.0.0.1:1")
              .setRecordSerializer(
                  KafkaRecordSerializationSchema.<String>builder()
                      .setTopic("none")
                      .setValueSerializationSchema(new SimpleStringSchema())
                      .build())
              .build();
      Field guarantee = KafkaSink.class.getDeclaredField("deliveryGuarantee");
      guarantee.setAccessible(true);
      return guarantee.get(sink);
    }
  }
}
