package io.rtmbench.pipelines;

import java.time.Duration;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.annotation.JsonProperty;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.annotation.JsonPropertyOrder;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** Pattern 02: events for each key and minute, counted, and their values added up. */
public final class TumblingWindowCount {

  private TumblingWindowCount() {}

  public static void main(String[] args) throws Exception {
    JobArguments arguments = JobArguments.parseTumbling(Duration.ofMinutes(1), args);
    StreamExecutionEnvironment environment = Job.environment(arguments);

    DataStream<Event> events =
        environment
            .fromSource(Job.source(arguments), EventTime.watermarks(arguments), "events")
            .uid("events");
    count(events, arguments)
        .sinkTo(Job.sink(arguments, result -> result.key))
        .name("results")
        .uid("results");

    environment.execute("02 tumbling window");
  }

  static SingleOutputStreamOperator<Result> count(
      DataStream<Event> events, JobArguments arguments) {
    return events
        .map(KeyedEvent::of)
        .name("fields of the keyed stage")
        .uid("keyed-fields")
        .keyBy(event -> event.key)
        .window(TumblingEventTimeWindows.of(arguments.window()))
        .trigger(EventTime.trigger(arguments))
        .aggregate(new Aggregate(), new ToResult())
        .name("count")
        .uid("count");
  }

  static final class ToResult extends ProcessWindowFunction<Totals, Result, String, TimeWindow> {

    private static final long serialVersionUID = 1L;

    @Override
    public void process(
        String key, Context context, Iterable<Totals> totals, Collector<Result> out) {
      out.collect(new Result(key, context.window(), totals.iterator().next()));
    }
  }

  /** One result as it stands on the wire. */
  @JsonPropertyOrder({
    "key",
    "window_start",
    "window_end",
    "count",
    "sum",
    "produced_at",
    "scheduled_at_us"
  })
  public static class Result {

    public String key;

    @JsonProperty("window_start")
    public long windowStart;

    @JsonProperty("window_end")
    public long windowEnd;

    public long count;
    public long sum;

    @JsonProperty("produced_at")
    public long producedAt;

    @JsonProperty("scheduled_at_us")
    public long scheduledAtUs;

    /** For Flink's serializer. */
    public Result() {}

    Result(String key, TimeWindow window, Totals totals) {
      this.key = key;
      windowStart = window.getStart();
      windowEnd = window.getEnd();
      count = totals.count;
      sum = totals.sum;
      producedAt = totals.producedAt;
      scheduledAtUs = totals.scheduledAtUs;
    }
  }
}
