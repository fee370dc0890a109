package io.rtmbench.pipelines;

import org.apache.flink.streaming.api.windowing.triggers.Trigger;
import org.apache.flink.streaming.api.windowing.triggers.TriggerResult;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;

/**
 * Emits a window's result with each event, as Spark's Real-Time Mode does, and never again as the
 * window closes.
 *
 * <p>It keeps no state and sets no timer: the window operator has one of its own for each window,
 * which drops the window's state once the watermark has passed its end.
 */
public final class PerEventTrigger extends Trigger<Object, TimeWindow> {

  private static final long serialVersionUID = 1L;

  @Override
  public TriggerResult onElement(
      Object element, long timestamp, TimeWindow window, TriggerContext context) {
    return TriggerResult.FIRE;
  }

  @Override
  public TriggerResult onEventTime(long time, TimeWindow window, TriggerContext context) {
    return TriggerResult.CONTINUE;
  }

  @Override
  public TriggerResult onProcessingTime(long time, TimeWindow window, TriggerContext context) {
    return TriggerResult.CONTINUE;
  }

  /** Session windows merge; there is nothing here to merge with them. */
  @Override
  public boolean canMerge() {
    return true;
  }

  @Override
  public void onMerge(TimeWindow window, OnMergeContext context) {
    // Nothing is kept.
  }

  @Override
  public void clear(TimeWindow window, TriggerContext context) {
    // Nothing is kept.
  }
}
