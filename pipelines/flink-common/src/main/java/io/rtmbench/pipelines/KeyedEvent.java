package io.rtmbench.pipelines;

/**
 * The fields of an {@link Event} that a keyed stage needs: what goes through the shuffle.
 *
 * <p>Spark's optimizer prunes the columns that a query does not use; in Flink the job does it,
 * before {@code keyBy}. Without it every record would carry its id and its type to the other side,
 * more than half of its bytes. A POJO in Flink's sense. Each event gets an instance of its own, so
 * that nothing downstream can see a later event's fields, with object reuse or without.
 */
public class KeyedEvent {

  public String key;

  public long value;

  /** {@code produced_at} of the event: the event time in milliseconds since the epoch. */
  public long producedAt;

  /** {@code scheduled_at_us} of the event: the intended send time in microseconds. */
  public long scheduledAtUs;

  /** For Flink's serializer. */
  public KeyedEvent() {}

  KeyedEvent(String key, long value, long producedAt, long scheduledAtUs) {
    this.key = key;
    this.value = value;
    this.producedAt = producedAt;
    this.scheduledAtUs = scheduledAtUs;
  }

  /** Returns what the keyed stages need of an event. */
  public static KeyedEvent of(Event event) {
    return new KeyedEvent(event.key, event.value, event.producedAt, event.scheduledAtUs);
  }
}
