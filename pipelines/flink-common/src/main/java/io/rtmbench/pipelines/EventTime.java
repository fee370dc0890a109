package io.rtmbench.pipelines;

import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.streaming.api.windowing.triggers.EventTimeTrigger;
import org.apache.flink.streaming.api.windowing.triggers.Trigger;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;

/** When an event happened, how far time has come, and when a window emits its result. */
public final class EventTime {

  private EventTime() {}

  /**
   * Event time is {@code produced_at}; the watermark of each partition follows its newest event
   * with a fixed delay, and an event behind it is dropped: lateness is zero.
   */
  public static WatermarkStrategy<Event> watermarks(JobArguments arguments) {
    WatermarkStrategy<Event> watermarks =
        WatermarkStrategy.<Event>forBoundedOutOfOrderness(arguments.watermarkDelay())
            .withTimestampAssigner((event, timestamp) -> event.producedAt);
    Duration idleness = arguments.idleness();
    return idleness.isZero() ? watermarks : watermarks.withIdleness(idleness);
  }

  /** With each event ({@code --emit update}), or once, as the window closes. */
  public static Trigger<Object, TimeWindow> trigger(JobArguments arguments) {
    return arguments.emitsUpdates() ? new PerEventTrigger() : EventTimeTrigger.create();
  }
}
