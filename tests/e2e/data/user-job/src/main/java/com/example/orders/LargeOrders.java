package com.example.orders;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.java.utils.ParameterTool;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;

/** Tells of orders of 200 and more; {@code --behaviour} makes it do so badly. */
public final class LargeOrders {

  private LargeOrders() {}

  public static void main(String[] args) throws Exception {
    ParameterTool arguments = ParameterTool.fromArgs(args);
    String behaviour = arguments.get("behaviour", "good");
    if (behaviour.equals("no-start")) {
      throw new IllegalStateException("the price list is missing");
    }
    String servers = arguments.getRequired("bootstrap-servers");
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    KafkaSource<String> orders =
        KafkaSource.<String>builder()
            .setBootstrapServers(servers)
            .setTopics(arguments.getRequired("input-topic"))
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setValueOnlyDeserializer(new SimpleStringSchema())
            .build();
    KafkaSink<String> large =
        KafkaSink.<String>builder()
            .setBootstrapServers(servers)
            .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
            .setProperty("linger.ms", "0")
            .setRecordSerializer(
                KafkaRecordSerializationSchema.builder()
                    .setTopic(arguments.getRequired("output-topic"))
                    .setValueSerializationSchema(new SimpleStringSchema())
                    .build())
            .build();
    environment
        .fromSource(orders, WatermarkStrategy.noWatermarks(), "orders")
        .flatMap(new Large(behaviour))
        .sinkTo(large);
    environment.execute("large orders");
  }

  private static final class Large implements FlatMapFunction<String, String> {

    private static final ObjectMapper JSON = new ObjectMapper();
    private final String behaviour;

    Large(String behaviour) {
      this.behaviour = behaviour;
    }

    @Override
    public void flatMap(String text, Collector<String> out) throws Exception {
      JsonNode order = JSON.readTree(text);
      if (behaviour.equals("crash")) {
        throw new IllegalArgumentException("no price for order " + order.get("order"));
      }
      if (behaviour.equals("silent") || order.get("amount").asInt() < 200) {
        return;
      }
      ObjectNode result = JSON.createObjectNode();
      result.set("order", order.get("order"));
      result.set("amount", order.get("amount"));
      if (!behaviour.equals("no-stamp")) {
        result.set("created_at", order.get("meta").get("created"));
      }
      out.collect(result.toString());
    }
  }
}
