package io.rtmbench.storage;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The time that a request to a storage takes: a log-normal distribution, or always the same.
 *
 * <p>The authority of a URI states it: {@code mMEDIAN-pP99-sSEED}, times in µs. Both engines draw
 * from the same sequence, each process from its start.
 */
final class Delays {

  /** How many standard deviations the 99th percentile of a normal distribution is from its mean. */
  private static final double P99 = 2.3263478740408408;

  private static final Pattern AUTHORITY = Pattern.compile("m(\\d+)-p(\\d+)-s(\\d+)");
  private static final Map<String, Delays> KNOWN = new ConcurrentHashMap<>();
  private static final ThreadLocal<Boolean> INSIDE = ThreadLocal.withInitial(() -> false);

  private final double medianMicros;
  private final double sigma;
  private final Random random;

  private Delays(String authority) {
    Matcher numbers = AUTHORITY.matcher(authority);
    if (!numbers.matches()) {
      throw new IllegalArgumentException("slow://mMEDIAN-pP99-sSEED/PATH, not " + authority);
    }
    medianMicros = Long.parseLong(numbers.group(1));
    sigma = Math.log(Long.parseLong(numbers.group(2)) / medianMicros) / P99;
    random = new Random(Long.parseLong(numbers.group(3)));
  }

  /** Returns the delays of an authority: within a process one sequence, whoever asks. */
  static Delays of(String authority) {
    return KNOWN.computeIfAbsent(String.valueOf(authority), Delays::new);
  }

  /** Returns the next delay in µs. */
  synchronized long nextMicros() {
    return Math.round(medianMicros * Math.exp(sigma * random.nextGaussian()));
  }

  /**
   * Does what a request asks for, after its delay. What a file system asks of itself meanwhile is
   * part of the same request.
   */
  <T> T request(Request<T> request) throws IOException {
    if (INSIDE.get()) {
      return request.run();
    }
    INSIDE.set(true);
    try {
      TimeUnit.MICROSECONDS.sleep(nextMicros());
      return request.run();
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
      InterruptedIOException interrupted = new InterruptedIOException("interrupted in a request");
      interrupted.initCause(error);
      throw interrupted;
    } finally {
      INSIDE.set(false);
    }
  }

  /** One request to the storage. */
  interface Request<T> {
    T run() throws IOException;
  }
}
