package io.rtmbench.storage;

import java.io.IOException;
import java.net.URI;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.fs.local.LocalFileSystem;

/**
 * Local files as Flink sees those of a storage elsewhere: each request takes its time, and so does
 * the end of a written file, as in {@link SlowFileSystem}.
 */
final class SlowFlinkFileSystem extends LocalFileSystem {

  private final URI uri;
  private final Delays delays;

  SlowFlinkFileSystem(URI uri) {
    this.uri = URI.create("slow://" + uri.getAuthority());
    this.delays = Delays.of(uri.getAuthority());
  }

  @Override
  public URI getUri() {
    return uri;
  }

  @Override
  public boolean isDistributedFS() {
    return true;
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    return delays.request(() -> super.open(path, bufferSize));
  }

  @Override
  public FSDataInputStream open(Path path) throws IOException {
    return delays.request(() -> super.open(path));
  }

  @Override
  public FSDataOutputStream create(Path path, WriteMode mode) throws IOException {
    return new Upload(delays.request(() -> super.create(path, mode)));
  }

  @Override
  public boolean rename(Path from, Path to) throws IOException {
    return delays.request(() -> super.rename(from, to));
  }

  @Override
  public boolean delete(Path path, boolean recursive) throws IOException {
    return delays.request(() -> super.delete(path, recursive));
  }

  @Override
  public boolean mkdirs(Path path) throws IOException {
    return delays.request(() -> super.mkdirs(path));
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    return delays.request(() -> super.listStatus(path));
  }

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    return delays.request(() -> super.getFileStatus(path));
  }

  @Override
  public boolean exists(Path path) throws IOException {
    return delays.request(() -> super.exists(path));
  }

  /** A written file, which is there when its end has been acknowledged. */
  private final class Upload extends FSDataOutputStream {

    private final FSDataOutputStream file;
    private boolean closed;

    Upload(FSDataOutputStream file) {
      this.file = file;
    }

    @Override
    public void write(int value) throws IOException {
      file.write(value);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
      file.write(bytes, from, length);
    }

    @Override
    public long getPos() throws IOException {
      return file.getPos();
    }

    @Override
    public void flush() throws IOException {
      file.flush();
    }

    @Override
    public void sync() throws IOException {
      file.sync();
    }

    @Override
    public void close() throws IOException {
      if (closed) {
        return;
      }
      closed = true;
      delays.request(
          () -> {
            file.close();
            return null;
          });
    }
  }
}
