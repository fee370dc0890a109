package com.example.orders;

import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.RichFlatMapFunction;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.java.utils.ParameterTool;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.streaming.api.datastream.DataStream;
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
    String servers = named(arguments, "bootstrap-servers", "KAFKA_BOOTSTRAP_SERVERS");
    // The smallest large order, where the team keeps it in a file.
    int minimum = 200;
    if (arguments.has("prices")) {
      Path prices = Path.of(arguments.get("prices"), System.getenv("KAFKA_ORDERS_PRICES"));
      minimum = Integer.parseInt(Files.readString(prices).trim());
    }
    Configuration configuration = new Configuration();
    if (behaviour.equals("stumbles")) {
      configuration.setString("restart-strategy.type", "fixed-delay");
      configuration.setString("restart-strategy.fixed-delay.delay", "10 ms");
    }
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.getExecutionEnvironment(configuration);
    if (arguments.has("tasks")) {
      environment.setParallelism(arguments.getInt("tasks"));
    }
    if (arguments.has("checkpoints-ms")) {
      environment.enableCheckpointing(arguments.getLong("checkpoints-ms"));
    }
    if (arguments.has("no-checkpoints")) {
      environment.getCheckpointConfig().disableCheckpointing();
    }
    KafkaSource<String> orders =
        KafkaSource.<String>builder()
            .setBootstrapServers(servers)
            .setTopics(named(arguments, "input-topic", "RTMBENCH_INPUT_TOPIC"))
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
                    .setTopic(named(arguments, "output-topic", "RTMBENCH_OUTPUT_TOPIC"))
                    .setValueSerializationSchema(new SimpleStringSchema())
                    .build())
            .build();
    DataStream<String> texts =
        environment.fromSource(orders, WatermarkStrategy.noWatermarks(), "orders");
    if (behaviour.equals("branches")) {
      // Both reports add the tax to the order that they were handed. With object reuse it is the
      // same object for all, so that the large orders between them would have it too.
      DataStream<Order> parsed = texts.map(Order::parse);
      parsed.filter(Order::addTax).map(Order::toString).sinkTo(large);
      parsed.filter(order -> order.amount >= 200).map(Order::toString).sinkTo(large);
      parsed.filter(Order::addTax).map(Order::toString).sinkTo(large);
    } else {
      // Tasks of another group share no slot with the others.
      String group = arguments.get("output-group", "default");
      texts.flatMap(new Large(behaviour, minimum)).slotSharingGroup(group).sinkTo(large);
    }
    environment.execute("large orders");
  }

  private static String named(ParameterTool arguments, String argument, String variable) {
    return arguments.has(argument) ? arguments.get(argument) : System.getenv(variable);
  }

  /** An order that can be changed, as a POJO in Flink's sense. */
  public static class Order {

    private static final ObjectMapper JSON = new ObjectMapper();

    public long order;
    public long amount;
    public long created;

    static Order parse(String text) throws Exception {
      JsonNode read = JSON.readTree(text);
      Order parsed = new Order();
      parsed.order = read.get("order").asLong();
      parsed.amount = read.get("amount").asLong();
      parsed.created = read.get("meta").get("created").asLong();
      return parsed;
    }

    /** Adds a tax, and keeps the order out of the output. */
    boolean addTax() {
      amount += 1_000;
      return false;
    }

    @Override
    public String toString() {
      return JSON.createObjectNode()
          .put("order", order)
          .put("amount", amount)
          .put("created_at", created)
          .toString();
    }
  }

  private static final class Large extends RichFlatMapFunction<String, String> {

    private static final ObjectMapper JSON = new ObjectMapper();
    private final String behaviour;
    private final int minimum;

    Large(String behaviour, int minimum) {
      this.behaviour = behaviour;
      this.minimum = minimum;
    }

    @Override
    public void flatMap(String text, Collector<String> out) throws Exception {
      JsonNode order = JSON.readTree(text);
      if (behaviour.equals("crash")) {
        throw new IllegalArgumentException("no price for order " + order.get("order"));
      }
      if (behaviour.equals("stumbles")
          && order.get("order").asInt() == 50
          && getRuntimeContext().getTaskInfo().getAttemptNumber() == 0) {
        throw new IllegalStateException("the price list is being written");
      }
      if (behaviour.equals("silent") || order.get("amount").asInt() < minimum) {
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
