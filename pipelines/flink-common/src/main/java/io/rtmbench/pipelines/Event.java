package io.rtmbench.pipelines;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.annotation.JsonCreator;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.annotation.JsonProperty;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.annotation.JsonPropertyOrder;

/**
 * One input event as it stands on the wire, and a POJO in Flink's sense: a public class with public
 * fields and a public constructor without arguments, so that its serializer is Flink's own and
 * never Kryo.
 */
@JsonPropertyOrder({"event_id", "event_type", "key", "value", "produced_at", "scheduled_at_us"})
public class Event {

  /** A UUID, unique in a run. */
  @JsonProperty("event_id")
  public String eventId;

  /** {@code click}, {@code view} or {@code purchase}. */
  @JsonProperty("event_type")
  public String eventType;

  /** The key of the Kafka record, too. */
  public String key;

  public long value;

  /** The intended send time in milliseconds since the epoch: the event time. */
  @JsonProperty("produced_at")
  public long producedAt;

  /** The intended send time in microseconds since the epoch: what latency is measured from. */
  @JsonProperty("scheduled_at_us")
  public long scheduledAtUs;

  /** For Flink's serializer. */
  public Event() {}

  /** For the JSON reader, to which every field is required. */
  @JsonCreator
  public Event(
      @JsonProperty(value = "event_id", required = true) String eventId,
      @JsonProperty(value = "event_type", required = true) String eventType,
      @JsonProperty(value = "key", required = true) String key,
      @JsonProperty(value = "value", required = true) long value,
      @JsonProperty(value = "produced_at", required = true) long producedAt,
      @JsonProperty(value = "scheduled_at_us", required = true) long scheduledAtUs) {
    this.eventId = eventId;
    this.eventType = eventType;
    this.key = key;
    this.value = value;
    this.producedAt = producedAt;
    this.scheduledAtUs = scheduledAtUs;
  }
}
