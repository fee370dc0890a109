package io.rtmbench.pipelines;

import org.apache.flink.api.common.functions.AggregateFunction;

/** Keeps the totals of a window incrementally: its state is one small object, never its events. */
public final class Aggregate implements AggregateFunction<KeyedEvent, Totals, Totals> {

  private static final long serialVersionUID = 1L;

  @Override
  public Totals createAccumulator() {
    return new Totals();
  }

  @Override
  public Totals add(KeyedEvent event, Totals totals) {
    return totals.add(event);
  }

  @Override
  public Totals getResult(Totals totals) {
    return totals;
  }

  @Override
  public Totals merge(Totals one, Totals other) {
    return one.add(other);
  }
}
