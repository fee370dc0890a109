package io.rtmbench.storage;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * Local files as Spark sees those of a storage elsewhere: each request takes its time, and so does
 * the end of a written file, which is when an object store has it.
 *
 * <p>{@code slow://mMEDIAN-pP99-sSEED/PATH} is the file {@code /PATH}; see {@link Delays}.
 */
public final class SlowFileSystem extends RawLocalFileSystem {

  /** The scheme of its URIs. */
  static final String SCHEME = "slow";

  private URI uri;
  private Delays delays;

  @Override
  public void initialize(URI name, Configuration configuration) throws IOException {
    uri = URI.create(SCHEME + "://" + name.getAuthority());
    delays = Delays.of(name.getAuthority());
    super.initialize(uri, configuration);
  }

  @Override
  public String getScheme() {
    return SCHEME;
  }

  @Override
  public URI getUri() {
    // Asked for before it is known, for a working directory.
    return uri == null ? super.getUri() : uri;
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    return delays.request(() -> super.open(path, bufferSize));
  }

  @Override
  public FSDataOutputStream create(
      Path path,
      boolean overwrite,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    return slowly(
        delays.request(
            () -> super.create(path, overwrite, bufferSize, replication, blockSize, progress)));
  }

  @Override
  public FSDataOutputStream create(
      Path path,
      FsPermission permission,
      boolean overwrite,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    return slowly(
        delays.request(
            () ->
                super.create(
                    path, permission, overwrite, bufferSize, replication, blockSize, progress)));
  }

  @Override
  public FSDataOutputStream createNonRecursive(
      Path path,
      FsPermission permission,
      EnumSet<CreateFlag> flags,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    return slowly(
        delays.request(
            () ->
                super.createNonRecursive(
                    path, permission, flags, bufferSize, replication, blockSize, progress)));
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
  public boolean mkdirs(Path path, FsPermission permission) throws IOException {
    return delays.request(() -> super.mkdirs(path, permission));
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
  public FileStatus getFileLinkStatus(Path path) throws IOException {
    // Hadoop would start a process to read a link; there are none.
    return getFileStatus(path);
  }

  @Override
  public void setPermission(Path path, FsPermission permission) throws IOException {
    // Hadoop would start a process; an object store has no permissions to set.
    Files.setPosixFilePermissions(
        pathToFile(path).toPath(), PosixFilePermissions.fromString(permission.toString()));
  }

  private FSDataOutputStream slowly(FSDataOutputStream file) throws IOException {
    return new FSDataOutputStream(new Upload(file), null);
  }

  /** A written file, which is there when its end has been acknowledged. */
  private final class Upload extends FilterOutputStream {

    private boolean closed;

    Upload(OutputStream file) {
      super(file);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
      out.write(bytes, from, length);
    }

    @Override
    public void close() throws IOException {
      if (closed) {
        return;
      }
      closed = true;
      delays.request(
          () -> {
            super.close();
            return null;
          });
    }
  }
}
