package io.rtmbench.spark;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.ChecksumFs;
import org.apache.hadoop.fs.DelegateToFileSystem;
import org.apache.hadoop.fs.FsConstants;

/** {@link PlainLocalFileSystem} for Hadoop's other interface, which Spark's checkpoints use. */
public final class PlainLocalFs extends ChecksumFs {

  /**
   * Called by Hadoop ({@code fs.AbstractFileSystem.file.impl}).
   *
   * @param uri {@code file:///}
   * @param configuration Hadoop's
   * @throws IOException never
   * @throws URISyntaxException never
   */
  public PlainLocalFs(URI uri, Configuration configuration) throws IOException, URISyntaxException {
    super(new Raw(configuration));
  }

  private static final class Raw extends DelegateToFileSystem {

    Raw(Configuration configuration) throws IOException, URISyntaxException {
      super(
          FsConstants.LOCAL_FS_URI,
          new PlainLocalFileSystem.Raw(),
          configuration,
          FsConstants.LOCAL_FS_URI.getScheme(),
          false);
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
}
