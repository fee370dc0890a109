package io.rtmbench.pipelines;

import java.util.Set;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Pattern 01: Kafka to filter to Kafka. Keeps clicks and purchases, with every field unchanged. */
public final class StatelessPassthrough {

  private static final Set<String> KEPT = Set.of("click", "purchase");

  private StatelessPassthrough() {}

  public static void main(String[] args) throws Exception {
    JobArguments arguments = JobArguments.parse(args);
    StreamExecutionEnvironment environment = Job.environment(arguments);

    environment
        .fromSource(Job.source(arguments), WatermarkStrategy.noWatermarks(), "events")
        .uid("events")
        .filter(StatelessPassthrough::keeps)
        .name("clicks and purchases")
        .uid("clicks-and-purchases")
        .sinkTo(Job.sink(arguments, event -> event.key))
        .name("results")
        .uid("results");

    environment.execute("01 stateless passthrough");
  }

  static boolean keeps(Event event) {
    return KEPT.contains(event.eventType);
  }
}
