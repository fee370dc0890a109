package io.rtmbench.pipelines;

import java.io.IOException;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.formats.json.JsonDeserializationSchema;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.DeserializationFeature;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.json.JsonMapper;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Reads an {@link Event} from a record's JSON value.
 *
 * <p>A record that is not an event ends the job for good, and the failure names its topic,
 * partition and offset: skipping it would make the output silently incomplete, and a restart would
 * meet the same record again.
 */
public final class EventDeserializer implements KafkaRecordDeserializationSchema<Event> {

  private static final long serialVersionUID = 1L;

  private final JsonDeserializationSchema<Event> json =
      new JsonDeserializationSchema<>(
          Event.class,
          () ->
              JsonMapper.builder()
                  .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                  .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
                  .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
                  .build());

  @Override
  public void open(DeserializationSchema.InitializationContext context) throws Exception {
    json.open(context);
  }

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Event> out) {
    Event event;
    try {
      event = record.value() == null ? null : json.deserialize(record.value());
    } catch (IOException malformed) {
      throw failure(record, malformed);
    }
    if (event == null) {
      throw failure(record, new IOException("the record has no value"));
    }
    out.collect(event);
  }

  private static SuppressRestartsException failure(
      ConsumerRecord<byte[], byte[]> record, IOException cause) {
    // The parser's message is part of this one instead of its cause: Flink's clients show the
    // innermost cause.
    return new SuppressRestartsException(
        new IOException(
            String.format(
                "Topic %s, partition %d, offset %d is not an event (JSON with event_id, event_type, key, value,"
                    + " produced_at, scheduled_at_us); the job ends, since no restart would get past it: %s",
                record.topic(), record.partition(), record.offset(), cause.getMessage())));
  }

  @Override
  public TypeInformation<Event> getProducedType() {
    return json.getProducedType();
  }
}
