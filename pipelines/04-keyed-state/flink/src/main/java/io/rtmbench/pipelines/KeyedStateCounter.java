package io.rtmbench.pipelines;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.annotation.JsonProperty;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.annotation.JsonPropertyOrder;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Pattern 04: a running count and sum for each key, in state that the code reads and writes. */
public final class KeyedStateCounter {

  private KeyedStateCounter() {}

  public static void main(String[] args) throws Exception {
    JobArguments arguments = JobArguments.parse(args);
    StreamExecutionEnvironment environment = Job.environment(arguments);

    DataStream<Event> events =
        environment
            .fromSource(Job.source(arguments), WatermarkStrategy.noWatermarks(), "events")
            .uid("events");
    count(events).sinkTo(Job.sink(arguments, result -> result.key)).name("results").uid("results");

    environment.execute("04 keyed state");
  }

  static SingleOutputStreamOperator<Result> count(DataStream<Event> events) {
    return events
        .map(KeyedEvent::of)
        .name("fields of the keyed stage")
        .uid("keyed-fields")
        .keyBy(event -> event.key)
        .process(new Counter())
        .name("counter")
        .uid("counter");
  }

  static final class Counter extends KeyedProcessFunction<String, KeyedEvent, Result> {

    private static final long serialVersionUID = 1L;

    private transient ValueState<Totals> state;

    @Override
    public void open(OpenContext context) {
      state = getRuntimeContext().getState(new ValueStateDescriptor<>("totals", Totals.class));
    }

    @Override
    public void processElement(KeyedEvent event, Context context, Collector<Result> out)
        throws Exception {
      Totals totals = state.value();
      if (totals == null) {
        totals = new Totals();
      }
      state.update(totals.add(event));
      out.collect(new Result(event.key, totals));
    }
  }

  /** One result as it stands on the wire. */
  @JsonPropertyOrder({"key", "count", "sum", "produced_at", "scheduled_at_us"})
  public static class Result {

    public String key;
    public long count;
    public long sum;

    @JsonProperty("produced_at")
    public long producedAt;

    @JsonProperty("scheduled_at_us")
    public long scheduledAtUs;

    /** For Flink's serializer. */
    public Result() {}

    Result(String key, Totals totals) {
      this.key = key;
      count = totals.count;
      sum = totals.sum;
      producedAt = totals.producedAt;
      scheduledAtUs = totals.scheduledAtUs;
    }
  }
}
