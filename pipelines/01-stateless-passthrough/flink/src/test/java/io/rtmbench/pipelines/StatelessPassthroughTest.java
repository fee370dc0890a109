package io.rtmbench.pipelines;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StatelessPassthroughTest {

  @ParameterizedTest
  @CsvSource({"click, true", "purchase, true", "view, false", "Click, false", "'', false"})
  void keepsClicksAndPurchases(String eventType, boolean kept) {
    Event event = new Event("id", eventType, "user_1", 1, 1, 1);

    assertEquals(kept, StatelessPassthrough.keeps(event));
  }
}
