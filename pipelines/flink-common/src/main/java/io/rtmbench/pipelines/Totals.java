package io.rtmbench.pipelines;

/**
 * What a job keeps of the events so far, of one key or of one window of a key. A POJO in Flink's
 * sense, updated in place.
 */
public class Totals {

  public long count;
  public long sum;

  /** {@code produced_at} of the newest event. */
  public long producedAt;

  /** The largest {@code scheduled_at_us}; of equal ones, the last to arrive is the newest. */
  public long scheduledAtUs;

  /** Adds one event. */
  public Totals add(KeyedEvent event) {
    count++;
    sum += event.value;
    if (event.scheduledAtUs >= scheduledAtUs) {
      scheduledAtUs = event.scheduledAtUs;
      producedAt = event.producedAt;
    }
    return this;
  }

  /** Adds the events of another; only merging windows, which no pattern has, would ask for it. */
  public Totals add(Totals other) {
    count += other.count;
    sum += other.sum;
    if (other.scheduledAtUs >= scheduledAtUs) {
      scheduledAtUs = other.scheduledAtUs;
      producedAt = other.producedAt;
    }
    return this;
  }
}
