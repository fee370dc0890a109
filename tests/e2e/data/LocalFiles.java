import java.io.OutputStream;
import java.util.EnumSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;

/** Does with a directory what a checkpoint does: arguments are the directory and settings, each as key=value. */
class LocalFiles {
  public static void main(String[] arguments) throws Exception {
    Configuration configuration = new Configuration();
    for (int i = 1; i < arguments.length; i++) {
      String[] setting = arguments[i].split("=", 2);
      configuration.set(setting[0], setting[1]);
    }
    Path root = new Path("file://" + arguments[0]);
    FileContext files = FileContext.getFileContext(root.toUri(), configuration);
    Path temporary = new Path(root, "state/.1.tmp");
    Path kept = new Path(root, "state/1");
    for (String content : new String[] {"first", "second"}) {
      try (OutputStream out =
          files.create(
              temporary,
              EnumSet.of(CreateFlag.CREATE, CreateFlag.OVERWRITE),
              Options.CreateOpts.createParent(),
              Options.CreateOpts.checksumParam(Options.ChecksumOpt.createDisabled()))) {
        out.write(content.getBytes());
      }
      files.rename(temporary, kept, Options.Rename.OVERWRITE);
    }
    FileSystem system = FileSystem.get(root.toUri(), configuration);
    try (OutputStream out = system.create(new Path(root, "log/2"))) {
      out.write("third".getBytes());
    }
    for (FileStatus found : system.listStatus(new Path(root, "log"))) {
      System.out.println(found.getPath().getName() + " " + found.getLen());
    }
    System.out.println(new String(system.open(kept).readAllBytes()));
  }
}
