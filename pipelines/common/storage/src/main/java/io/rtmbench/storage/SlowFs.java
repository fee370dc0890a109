package io.rtmbench.storage;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.DelegateToFileSystem;

/** {@link SlowFileSystem} for Hadoop's other interface, which Spark's checkpoints use. */
public final class SlowFs extends DelegateToFileSystem {

  /**
   * Called by Hadoop ({@code fs.AbstractFileSystem.slow.impl}).
   *
   * @param uri {@code slow://mMEDIAN-pP99-sSEED/PATH}
   * @param configuration Hadoop's
   * @throws IOException never
   * @throws URISyntaxException never
   */
  public SlowFs(URI uri, Configuration configuration) throws IOException, URISyntaxException {
    super(uri, new SlowFileSystem(), configuration, SlowFileSystem.SCHEME, false);
  }

  @Override
  public int getUriDefaultPort() {
    return -1;
  }

  @Override
  public boolean isValidName(String name) {
    return true;
  }
}
