package io.rtmbench.storage;

import java.net.URI;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystemFactory;

/**
 * Found by Flink on its class path: the file system of URIs {@code slow://mMEDIAN-pP99-sSEED/PATH}.
 */
public final class SlowFlinkFactory implements FileSystemFactory {

  @Override
  public String getScheme() {
    return "slow";
  }

  @Override
  public FileSystem create(URI uri) {
    return new SlowFlinkFileSystem(uri);
  }
}
