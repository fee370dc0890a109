package io.rtmbench.pipelines;

import java.time.Duration;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.annotation.JsonProperty;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.annotation.JsonPropertyOrder;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** Pattern 03: the average of the last five minutes for each key, every minute. */
public final class SlidingWindowAvg {

  private SlidingWindowAvg() {}

  public static void main(String[] args) throws Exception {
    JobArguments arguments =
        JobArguments.parseSliding(Duration.ofMinutes(5), Duration.ofMinutes(1), args);
    StreamExecutionEnvironment environment = Job.environment(arguments);

    DataStream<Event> events =
        environment
            .fromSource(Job.source(arguments), EventTime.watermarks(arguments), "events")
            .uid("events");
    average(events, arguments)
        .sinkTo(Job.sink(arguments, result -> result.key))
        .name("results")
        .uid("results");

    environment.execute("03 sliding window");
  }

  static SingleOutputStreamOperator<Result> average(
      DataStream<Event> events, JobArguments arguments) {
    return events
        .map(KeyedEvent::of)
        .name("fields of the keyed stage")
        .uid("keyed-fields")
        .keyBy(event -> event.key)
        .window(SlidingEventTimeWindows.of(arguments.window(), arguments.slide()))
        .trigger(EventTime.trigger(arguments))
        .aggregate(new Aggregate(), new ToResult())
        .name("average")
        .uid("average");
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
    "avg",
    "count",
    "produced_at",
    "scheduled_at_us"
  })
  public static class Result {

    public String key;

    @JsonProperty("window_start")
    public long windowStart;

    @JsonProperty("window_end")
    public long windowEnd;

    public double avg;
    public long count;

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
      // The sum is a whole number, so that the order of events leaves no trace in it.
      avg = (double) totals.sum / totals.count;
      count = totals.count;
      producedAt = totals.producedAt;
      scheduledAtUs = totals.scheduledAtUs;
    }
  }
}
