package io.rtmbench.claims;

import io.rtmbench.pipelines.Event;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.annotation.JsonProperty;

/** One output: what it was computed from, and the newest event in it. */
public class Result {

  public String key;

  public long count;

  /** When the newest event was due, in microseconds since the epoch. */
  @JsonProperty("scheduled_at_us")
  public long scheduledAtUs;

  /** For Flink's serializer. */
  public Result() {}

  public Result(String key, long count, long scheduledAtUs) {
    this.key = key;
    this.count = count;
    this.scheduledAtUs = scheduledAtUs;
  }

  /** The result of one event. */
  public static Result of(Event event) {
    return new Result(event.key, 1, event.scheduledAtUs);
  }

  /** Both results in one. */
  public Result plus(Result other) {
    return new Result(key, count + other.count, Math.max(scheduledAtUs, other.scheduledAtUs));
  }
}
