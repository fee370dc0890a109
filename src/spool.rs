//! Receipt times on disk: per partition one file of (offset, received) pairs in offset order.
//!
//! A trial's receipts are kept here rather than in memory, and joined with the records when the output is
//! read once more after the drain. A thread of its own writes them: write(2) may block while a checkpoint floods the
//! disk, and a receiving thread that waits for it would time the records behind too late.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::error::{Error, Result};

/// Bytes of an entry: offset and receipt time, i64 little-endian each.
const ENTRY: usize = 16;
/// Bytes that are handed over at once: 4,096 receipts.
const CHUNK: usize = 64 << 10;
/// Chunks that may wait for the disk: 64 MB, 4 million receipts. Then the receiving threads wait too.
const WAITING: usize = 1_024;

fn file_of(directory: &Path, partition: i32) -> PathBuf {
    directory.join(format!("partition-{partition:05}.receipts"))
}

/// What the writing thread is to do.
enum Task {
    Write(Arc<Receipts>, Vec<u8>),
    /// Answer when everything before is written.
    Answer(Arc<Receipts>, SyncSender<Result<()>>),
}

/// The file of one partition.
struct Receipts {
    path: PathBuf,
    file: File,
}

/// Creates the files of a spool and runs the thread that writes them; it ends with the last [`SpoolWriter`].
pub struct Spool {
    directory: PathBuf,
    tasks: SyncSender<Task>,
    failed: Arc<AtomicBool>,
}

impl Spool {
    /// Creates the directory and starts the thread.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory cannot be created or there is no thread.
    pub fn create(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|error| Error::io("cannot create", directory, error))?;
        let (tasks, received) = sync_channel(WAITING);
        let failed = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&failed);
        thread::Builder::new()
            .name("rtmbench-spool".to_owned())
            .spawn(move || write_all(&received, &noted))
            .map_err(|error| Error::io("no thread to write", directory, error))?;
        Ok(Self { directory: directory.to_owned(), tasks, failed })
    }

    /// Creates a partition's file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be created, or when it exists: a spool belongs to one consumer.
    pub fn partition(&self, partition: i32) -> Result<SpoolWriter> {
        let path = file_of(&self.directory, partition);
        let file = File::create_new(&path).map_err(|error| Error::io("cannot create", &path, error))?;
        Ok(self.writer(Receipts { path, file }))
    }

    fn writer(&self, receipts: Receipts) -> SpoolWriter {
        SpoolWriter {
            receipts: Arc::new(receipts),
            chunk: Vec::with_capacity(CHUNK),
            tasks: self.tasks.clone(),
            failed: Arc::clone(&self.failed),
        }
    }
}

/// The writing thread's body.
fn write_all(tasks: &Receiver<Task>, failed: &AtomicBool) {
    let mut failure = None;
    for task in tasks {
        match task {
            Task::Write(receipts, chunk) => {
                if failed.load(Ordering::Relaxed) {
                    continue;
                }
                if let Err(error) = (&receipts.file).write_all(&chunk) {
                    failure = Some(Error::io("cannot write", &receipts.path, error));
                    failed.store(true, Ordering::Relaxed);
                }
            }
            Task::Answer(receipts, answer) => {
                let outcome = if failed.load(Ordering::Relaxed) {
                    let again = || {
                        Error::io("cannot write", &receipts.path, io::Error::other("an earlier write failed"))
                    };
                    Err(failure.take().unwrap_or_else(again))
                } else {
                    Ok(())
                };
                // Nobody waits for it any more when the receiver is gone.
                let _ = answer.send(outcome);
            }
        }
    }
}

/// Takes the receipts of one partition.
pub struct SpoolWriter {
    receipts: Arc<Receipts>,
    chunk: Vec<u8>,
    tasks: SyncSender<Task>,
    failed: Arc<AtomicBool>,
}

impl SpoolWriter {
    /// Appends one receipt, µs since the Unix epoch. It does not wait for the disk unless 64 MB wait already.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    #[inline]
    pub fn push(&mut self, offset: i64, received_us: i64) -> Result<()> {
        self.chunk.extend_from_slice(&offset.to_le_bytes());
        self.chunk.extend_from_slice(&received_us.to_le_bytes());
        if self.chunk.len() < CHUNK { Ok(()) } else { self.hand_over() }
    }

    /// Waits until everything is handed to the operating system.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        self.send(Task::Write(Arc::clone(&self.receipts), chunk))?;
        let (answer, answered) = sync_channel(1);
        self.send(Task::Answer(Arc::clone(&self.receipts), answer))?;
        answered.recv().unwrap_or_else(|_| Err(self.ended()))
    }

    #[cold]
    fn hand_over(&mut self) -> Result<()> {
        if self.failed.load(Ordering::Relaxed) {
            return self.flush();
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        self.send(Task::Write(Arc::clone(&self.receipts), chunk))
    }

    fn send(&self, task: Task) -> Result<()> {
        self.tasks.send(task).map_err(|_| self.ended())
    }

    fn ended(&self) -> Error {
        Error::io("cannot write", &self.receipts.path, io::Error::other("the writing thread has ended"))
    }
}

impl Drop for SpoolWriter {
    /// What was not flushed is still written; a failure goes unseen.
    fn drop(&mut self) {
        if !self.chunk.is_empty() {
            let _ = self.flush();
        }
    }
}

/// Looks receipts of one partition up, in ascending order of offsets.
pub struct SpoolReader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    ahead: Option<(i64, i64)>,
}

impl SpoolReader {
    /// Opens the partition's file; a partition without one has no receipts.
    ///
    /// # Errors
    /// [`Error::Io`] when the file exists and cannot be opened.
    pub fn open(directory: &Path, partition: i32) -> Result<Self> {
        let path = file_of(directory, partition);
        let file = match File::open(&path) {
            Ok(file) => Some(BufReader::with_capacity(64 << 10, file)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("cannot read", &path, error)),
        };
        Ok(Self { path, file, ahead: None })
    }

    /// The first receipt of the record at `offset`, µs since the Unix epoch; `None` when it was not received.
    /// Offsets must be asked for in ascending order.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read.
    pub fn receipt(&mut self, offset: i64) -> Result<Option<i64>> {
        loop {
            match self.ahead {
                Some((at, received_us)) if at == offset => return Ok(Some(received_us)),
                Some((at, _)) if at > offset => return Ok(None),
                _ => {}
            }
            let Some(file) = &mut self.file else { return Ok(None) };
            let mut entry = [0; ENTRY];
            match file.read_exact(&mut entry) {
                Ok(()) => {
                    let (at, received) = entry.split_at(8);
                    let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap_or_default());
                    self.ahead = Some((number(at), number(received)));
                }
                // A last entry that was cut off by a crash is no entry.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.file = None,
                Err(error) => return Err(Error::io("cannot read", &self.path, error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("rtmbench-spool-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn receipts_are_found_again_and_gaps_are_none() {
        let directory = scratch("gaps");
        let mut writer = Spool::create(&directory).unwrap().partition(3).unwrap();
        for offset in [0, 1, 2, 5, 5, 7] {
            writer.push(offset, offset * 10 + 1).unwrap();
        }
        writer.flush().unwrap();
        let mut reader = SpoolReader::open(&directory, 3).unwrap();
        let found: Vec<_> = (0..9).map(|offset| reader.receipt(offset).unwrap()).collect();
        let expected = [Some(1), Some(11), Some(21), None, None, Some(51), None, Some(71), None];
        assert_eq!(found, expected);
        assert_eq!(SpoolReader::open(&directory, 4).unwrap().receipt(0).unwrap(), None);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_spool_is_never_shared_and_a_cut_entry_is_dropped() {
        let directory = scratch("cut");
        let spool = Spool::create(&directory).unwrap();
        let mut writer = spool.partition(0).unwrap();
        writer.push(0, 1).unwrap();
        writer.push(1, 2).unwrap();
        drop(writer);
        assert!(matches!(spool.partition(0), Err(Error::Io { .. })));
        let path = file_of(&directory, 0);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..20]).unwrap();
        let mut reader = SpoolReader::open(&directory, 0).unwrap();
        assert_eq!((reader.receipt(0).unwrap(), reader.receipt(1).unwrap()), (Some(1), None));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_disk_that_does_not_write_holds_nothing_up() {
        let directory = scratch("slow");
        let spool = Spool::create(&directory).unwrap();
        let path = directory.join("pipe");
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the name is a string that ends in 0.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        // A pipe takes 64 KB, then a write blocks until somebody reads.
        let mut pipe = File::options().read(true).write(true).open(&path).unwrap();
        let mut writer = spool.writer(Receipts { path, file: pipe.try_clone().unwrap() });
        let count = 100_000;
        for offset in 0..count {
            writer.push(offset, offset + 1).unwrap();
        }
        let reader = thread::spawn(move || {
            let mut bytes = vec![0; ENTRY * count as usize];
            pipe.read_exact(&mut bytes).unwrap();
            bytes
        });
        writer.flush().unwrap();
        let bytes = reader.join().unwrap();
        assert_eq!(bytes[bytes.len() - 8..], count.to_le_bytes());
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_full_disk_is_an_error_for_every_partition() {
        let directory = scratch("full");
        let spool = Spool::create(&directory).unwrap();
        let full = || Receipts {
            path: PathBuf::from("/dev/full"),
            file: File::options().write(true).open("/dev/full").unwrap(),
        };
        let (mut first, mut second) = (spool.writer(full()), spool.writer(full()));
        first.push(0, 1).unwrap();
        assert!(matches!(first.flush(), Err(Error::Io { .. })));
        let failed = (0..10_000).map(|offset| second.push(offset, 1)).find(Result::is_err).unwrap();
        assert!(failed.unwrap_err().to_string().contains("an earlier write failed"));
        fs::remove_dir_all(&directory).unwrap();
    }
}
