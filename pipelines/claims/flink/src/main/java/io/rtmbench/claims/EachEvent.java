package io.rtmbench.claims;

import org.apache.flink.streaming.api.windowing.triggers.Trigger;
import org.apache.flink.streaming.api.windowing.triggers.TriggerResult;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;

/** Emits a window's running result with each of its events, and keeps no state for that. */
public final class EachEvent<T> extends Trigger<T, TimeWindow> {

  private static final long serialVersionUID = 1;

  @Override
  public TriggerResult onElement(T element, long time, TimeWindow window, TriggerContext context) {
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

  @Override
  public boolean canMerge() {
    return true;
  }

  @Override
  public void onMerge(TimeWindow window, OnMergeContext context) {}

  @Override
  public void clear(TimeWindow window, TriggerContext context) {}
}
