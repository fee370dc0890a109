package io.rtmbench.pipelines;

import org.apache.spark.api.java.function.MapFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.streaming.OutputMode;
import org.apache.spark.sql.streaming.StatefulProcessor;
import org.apache.spark.sql.streaming.TTLConfig;
import org.apache.spark.sql.streaming.TimeMode;
import org.apache.spark.sql.streaming.TimerValues;
import org.apache.spark.sql.streaming.ValueState;
import org.apache.spark.sql.types.StructType;
import scala.Tuple4;
import scala.collection.Iterator;

/**
 * The running count and sum of {@code stateful_counter.py} as a processor in the JVM, one result a
 * row.
 */
public final class KeyedCounter extends StatefulProcessor<String, Row, Row> {

  private static final long serialVersionUID = 1L;

  /** Count, sum, {@code produced_at} and {@code scheduled_at_us} of a key. */
  private transient ValueState<Tuple4<Long, Long, Long, Long>> state;

  /**
   * Counts for each key and adds up its values.
   *
   * @param events {@code key}, {@code value}, {@code produced_at} and {@code scheduled_at_us} of
   *     each event
   * @return {@code key}, {@code count}, {@code sum}, {@code produced_at} and {@code
   *     scheduled_at_us}
   */
  public static Dataset<Row> apply(Dataset<Row> events) {
    StructType result =
        StructType.fromDDL(
            "key string, count bigint, sum bigint, produced_at bigint, scheduled_at_us bigint");
    return events
        .select("key", "value", "produced_at", "scheduled_at_us")
        .groupByKey((MapFunction<Row, String>) row -> row.getString(0), Encoders.STRING())
        .transformWithState(
            new KeyedCounter(), TimeMode.None(), OutputMode.Update(), Encoders.row(result));
  }

  @Override
  public void init(OutputMode outputMode, TimeMode timeMode) {
    state =
        getHandle()
            .getValueState(
                "totals",
                Encoders.tuple(Encoders.LONG(), Encoders.LONG(), Encoders.LONG(), Encoders.LONG()),
                TTLConfig.NONE());
  }

  @Override
  public Iterator<Row> handleInputRows(String key, Iterator<Row> rows, TimerValues timers) {
    return rows.map(row -> count(key, row.getLong(1), row.getLong(2), row.getLong(3)));
  }

  private Row count(String key, long value, long producedAt, long scheduledAtUs) {
    Tuple4<Long, Long, Long, Long> before = state.get();
    long count = before == null ? 1 : before._1() + 1;
    long sum = before == null ? value : before._2() + value;
    Tuple4<Long, Long, Long, Long> totals =
        before == null || scheduledAtUs >= before._4()
            ? new Tuple4<>(count, sum, producedAt, scheduledAtUs)
            : new Tuple4<>(count, sum, before._3(), before._4());
    state.update(totals);
    return RowFactory.create(key, totals._1(), totals._2(), totals._3(), totals._4());
  }
}
