package io.rtmbench.claims;

import io.rtmbench.pipelines.Event;
import io.rtmbench.pipelines.Job;
import io.rtmbench.pipelines.JobArguments;
import io.rtmbench.pipelines.PerEventTrigger;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExecutionOptions;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.formats.json.JsonSerializationSchema;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.co.ProcessJoinFunction;
import org.apache.flink.streaming.api.windowing.assigners.EventTimeSessionWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.util.Collector;

/** One small job for each claim about Flink: {@code NAME --bootstrap-servers … --input-topic …}. */
public final class ClaimJob {

  private ClaimJob() {}

  public static void main(String[] args) throws Exception {
    String name = args[0];
    JobArguments arguments = JobArguments.parse(Arrays.copyOfRange(args, 1, args.length));
    StreamExecutionEnvironment environment = environment(name, arguments);
    // No event of the other jobs may be late, however long a busy machine holds a partition back.
    Duration delay = name.equals("window-at-close") ? Duration.ZERO : Duration.ofSeconds(10);
    DataStream<Event> events =
        environment.fromSource(
            Job.source(arguments),
            WatermarkStrategy.<Event>forBoundedOutOfOrderness(delay)
                .withTimestampAssigner((event, time) -> event.producedAt)
                .withIdleness(Duration.ofSeconds(1)),
            "events");
    results(name, events).sinkTo(sink(name, arguments));
    environment.execute(name);
  }

  /** Flink's own settings, but for the buffer timeout, which only one job has from Flink. */
  private static StreamExecutionEnvironment environment(String name, JobArguments arguments) {
    Configuration configuration = new Configuration();
    configuration.set(PipelineOptions.GENERIC_TYPES, false);
    configuration.set(
        ExecutionOptions.BUFFER_TIMEOUT,
        name.equals("default-buffer-timeout")
            ? ExecutionOptions.BUFFER_TIMEOUT.defaultValue()
            : Duration.ofMillis(arguments.bufferTimeoutMs()));
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.getExecutionEnvironment(configuration);
    environment.enableCheckpointing(arguments.checkpointIntervalMs());
    return environment;
  }

  private static DataStream<Result> results(String name, DataStream<Event> events) {
    DataStream<Result> each = events.map(Result::of);
    KeyedStream<Result, String> byKey = each.keyBy(result -> result.key);
    Duration two = Duration.ofSeconds(2);
    return switch (name) {
      case "stateless", "exactly-once" -> each;
      case "default-buffer-timeout", "keyed-state" -> byKey.process(new Count());
      case "window-at-close" -> byKey.window(TumblingEventTimeWindows.of(two)).reduce(Result::plus);
      case "window-each-event" ->
          byKey
              .window(TumblingEventTimeWindows.of(two))
              .trigger(new PerEventTrigger())
              .reduce(Result::plus);
      case "session-window" ->
          byKey
              .window(EventTimeSessionWindows.withGap(two))
              .trigger(new PerEventTrigger())
              .reduce(Result::plus);
      case "deduplicate" -> events.keyBy(event -> event.eventId).process(new First());
      case "join" -> {
        KeyedStream<Event, String> byId = events.keyBy(event -> event.eventId);
        yield byId.intervalJoin(byId)
            .between(Duration.ofSeconds(-1), Duration.ofSeconds(1))
            .process(new Joined());
      }
      default -> throw new IllegalArgumentException("There is no job for the claim " + name);
    };
  }

  private static KafkaSink<Result> sink(String name, JobArguments arguments) {
    if (!name.equals("exactly-once")) {
      return Job.sink(arguments, result -> result.key);
    }
    SerializationSchema<Result> key = result -> result.key.getBytes(StandardCharsets.UTF_8);
    return KafkaSink.<Result>builder()
        .setBootstrapServers(arguments.bootstrapServers())
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(arguments.outputTopic())
        .setProperty("transaction.timeout.ms", "600000")
        .setRecordSerializer(
            KafkaRecordSerializationSchema.<Result>builder()
                .setTopic(arguments.outputTopic())
                .setKeySerializationSchema(key)
                .setValueSerializationSchema(new JsonSerializationSchema<Result>())
                .build())
        .build();
  }

  private static final class Count extends KeyedProcessFunction<String, Result, Result> {
    private static final long serialVersionUID = 1;
    private transient ValueState<Long> count;

    @Override
    public void open(OpenContext context) {
      count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
    }

    @Override
    public void processElement(Result event, Context context, Collector<Result> out)
        throws Exception {
      long seen = count.value() == null ? 1 : count.value() + 1;
      count.update(seen);
      out.collect(new Result(event.key, seen, event.scheduledAtUs));
    }
  }

  private static final class First extends KeyedProcessFunction<String, Event, Result> {
    private static final long serialVersionUID = 1;
    private transient ValueState<Boolean> known;

    @Override
    public void open(OpenContext context) {
      known = getRuntimeContext().getState(new ValueStateDescriptor<>("known", Types.BOOLEAN));
    }

    @Override
    public void processElement(Event event, Context context, Collector<Result> out)
        throws Exception {
      if (known.value() == null) {
        known.update(true);
        out.collect(Result.of(event));
      }
    }
  }

  private static final class Joined extends ProcessJoinFunction<Event, Event, Result> {
    private static final long serialVersionUID = 1;

    @Override
    public void processElement(Event left, Event right, Context context, Collector<Result> out) {
      out.collect(Result.of(left));
    }
  }
}
