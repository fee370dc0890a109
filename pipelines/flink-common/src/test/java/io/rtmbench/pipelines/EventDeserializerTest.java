package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.java.typeutils.runtime.PojoSerializer;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.formats.json.JsonSerializationSchema;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EventDeserializerTest {

  private static final String EVENT =
      "{\"event_id\":\"5b0b4f9e-0d2f-4f43-9f0c-1f2f0a6a0c11\",\"event_type\":\"click\","
          + "\"key\":\"user_7\",\"value\":1000,\"produced_at\":1795426880123,"
          + "\"scheduled_at_us\":1795426880123456}";

  @Test
  void anEventComesOutAsItWentIn() throws Exception {
    JsonSerializationSchema<Event> writer = new JsonSerializationSchema<>();
    writer.open(null);

    assertEquals(EVENT, new String(writer.serialize(read(EVENT)), StandardCharsets.UTF_8));
  }

  @Test
  void aFieldOfALaterVersionIsIgnored() throws Exception {
    assertEquals("user_7", read(EVENT.replace("}", ",\"region\":\"eu\"}")).key);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "not json",
        "null",
        "[1]",
        "{}",
        "{\"event_id\":\"a\",\"event_type\":\"click\",\"key\":\"k\",\"value\":1,\"produced_at\":1}",
        "{\"event_id\":\"a\",\"event_type\":null,\"key\":\"k\",\"value\":1,\"produced_at\":1,"
            + "\"scheduled_at_us\":1}",
        "{\"event_id\":\"a\",\"event_type\":\"click\",\"key\":\"k\",\"value\":null,"
            + "\"produced_at\":1,\"scheduled_at_us\":1}",
      })
  void whatIsNoEventEndsTheJobAndSaysWhere(String value) {
    SuppressRestartsException failure =
        assertThrows(SuppressRestartsException.class, () -> read(value));

    assertTrue(
        failure
            .getCause()
            .getMessage()
            .startsWith("Topic in, partition 3, offset 42 is not an event"),
        failure.getCause().getMessage());
  }

  @Test
  void aRecordWithoutAValueEndsTheJob() {
    assertThrows(SuppressRestartsException.class, () -> read(null));
  }

  @Test
  void flinkSerializesAnEventWithoutKryo() {
    Configuration noGenericTypes = new Configuration();
    noGenericTypes.set(PipelineOptions.GENERIC_TYPES, false);

    TypeSerializer<Event> serializer =
        new EventDeserializer()
            .getProducedType()
            .createSerializer(new ExecutionConfig(noGenericTypes).getSerializerConfig());

    assertEquals(PojoSerializer.class, serializer.getClass());
  }

  private static Event read(String value) throws Exception {
    EventDeserializer deserializer = new EventDeserializer();
    deserializer.open(null);
    List<Event> events = new ArrayList<>();
    byte[] bytes = value == null ? null : value.getBytes(StandardCharsets.UTF_8);
    deserializer.deserialize(
        new ConsumerRecord<>("in", 3, 42, null, bytes), new ListCollector<>(events));
    return events.get(0);
  }
}
