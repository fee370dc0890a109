package io.rtmbench.storage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.LongStream;
import org.apache.flink.core.fs.FileSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SlowStorageTest {

  private static final String FIXED = "m20000-p20000-s7";

  @TempDir Path directory;

  private static long millis(Executable work) throws IOException {
    long start = System.nanoTime();
    work.run();
    return (System.nanoTime() - start) / 1_000_000;
  }

  private interface Executable {
    void run() throws IOException;
  }

  @Test
  void theDelaysAreThoseOfTheSeed() {
    long[] first = drawn("m30000-p200000-s11", 5_000);
    assertEquals(30_000, first[first.length / 2], 1_500);
    assertEquals(200_000, first[first.length * 99 / 100], 40_000);
    assertTrue(LongStream.of(drawn("m30000-p30000-s12", 100)).allMatch(delay -> delay == 30_000));
  }

  private static long[] drawn(String authority, int count) {
    Delays delays = Delays.of(authority);
    return LongStream.generate(delays::nextMicros).limit(count).sorted().toArray();
  }

  @Test
  void anotherAuthorityIsAnError() {
    assertThrows(IllegalArgumentException.class, () -> Delays.of("30"));
    assertThrows(IllegalArgumentException.class, () -> Delays.of(null));
  }

  @Test
  void whatAFileSystemAsksOfItselfIsPartOfTheRequest() throws IOException {
    Delays delays = Delays.of(FIXED);
    long took = millis(() -> delays.request(() -> delays.request(() -> delays.request(() -> 1))));
    assertTrue(took >= 20 && took < 40, took + " ms");
  }

  @Test
  void flinkWritesAfterTwoRequests() throws IOException {
    FileSystem storage = new SlowFlinkFactory().create(URI.create("slow://" + FIXED + "/"));
    org.apache.flink.core.fs.Path file =
        new org.apache.flink.core.fs.Path("slow://" + FIXED + directory + "/chk-1/_metadata");
    long took =
        millis(
            () -> {
              try (OutputStream out = storage.create(file, FileSystem.WriteMode.NO_OVERWRITE)) {
                out.write(new byte[] {1, 2, 3});
              }
            });
    assertTrue(took >= 40, took + " ms");
    assertArrayEquals(
        new byte[] {1, 2, 3}, Files.readAllBytes(directory.resolve("chk-1/_metadata")));
    assertTrue(storage.exists(file));
    assertTrue(storage.delete(file.getParent(), true));
    assertFalse(storage.exists(file));
  }
}
