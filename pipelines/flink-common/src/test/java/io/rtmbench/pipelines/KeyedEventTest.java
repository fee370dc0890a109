package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.java.typeutils.PojoTypeInfo;
import org.apache.flink.api.java.typeutils.runtime.PojoSerializer;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;

class KeyedEventTest {

  private static final Event EVENT =
      new Event(
          "5b0b4f9e-0d2f-4f43-9f0c-1f2f0a6a0c11",
          "click",
          "user_7",
          1000,
          1795426880123L,
          1795426880123456L);

  @Test
  void itHasTheFieldsOfTheKeyedStageAndNoOther() {
    PojoTypeInfo<KeyedEvent> type = (PojoTypeInfo<KeyedEvent>) TypeInformation.of(KeyedEvent.class);

    assertArrayEquals(
        new String[] {"key", "producedAt", "scheduledAtUs", "value"}, type.getFieldNames());
  }

  @Test
  void itTakesTheFieldsOfItsEvent() {
    KeyedEvent keyed = KeyedEvent.of(EVENT);

    assertEquals("user_7", keyed.key);
    assertEquals(1000, keyed.value);
    assertEquals(1795426880123L, keyed.producedAt);
    assertEquals(1795426880123456L, keyed.scheduledAtUs);
  }

  @Test
  void theShuffleCarriesLessThanHalfOfTheEvent() throws Exception {
    int whole = bytes(Event.class, EVENT);
    int keyed = bytes(KeyedEvent.class, KeyedEvent.of(EVENT));

    assertEquals(36, keyed);
    assertEquals(81, whole);
  }

  /** Serializes as the shuffle does, with generic types (Kryo) forbidden. */
  private static <T> int bytes(Class<T> type, T value) throws Exception {
    Configuration noGenericTypes = new Configuration();
    noGenericTypes.set(PipelineOptions.GENERIC_TYPES, false);
    TypeSerializer<T> serializer =
        TypeInformation.of(type)
            .createSerializer(new ExecutionConfig(noGenericTypes).getSerializerConfig());
    assertEquals(PojoSerializer.class, serializer.getClass());
    DataOutputSerializer out = new DataOutputSerializer(128);
    serializer.serialize(value, out);
    return out.length();
  }
}
