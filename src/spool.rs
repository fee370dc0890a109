//! Receipt times on disk: per partition one file of (offset, received) pairs in offset order.
//!
//! A trial's receipts are kept here rather than in memory, and joined with the records when the output is
//! read once more after the drain.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes of an entry: offset and receipt time, i64 little-endian each.
const ENTRY: usize = 16;

fn file_of(directory: &Path, partition: i32) -> PathBuf {
    directory.join(format!("partition-{partition:05}.receipts"))
}

/// Writes the receipts of one partition.
pub struct SpoolWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl SpoolWriter {
    /// Creates the partition's file in `directory`, which is created too.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be created, or when it exists: a spool belongs to one consumer.
    pub fn create(directory: &Path, partition: i32) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|error| Error::io("cannot create", directory, error))?;
        let path = file_of(directory, partition);
        let file = File::create_new(&path).map_err(|error| Error::io("cannot create", &path, error))?;
        Ok(Self { path, file: BufWriter::with_capacity(64 << 10, file) })
    }

    /// Appends one receipt, µs since the Unix epoch.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    #[inline]
    pub fn push(&mut self, offset: i64, received_us: i64) -> Result<()> {
        let mut entry = [0; ENTRY];
        entry[..8].copy_from_slice(&offset.to_le_bytes());
        entry[8..].copy_from_slice(&received_us.to_le_bytes());
        self.file.write_all(&entry).map_err(|error| Error::io("cannot write", &self.path, error))
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|error| Error::io("cannot write", &self.path, error))
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
        let mut writer = SpoolWriter::create(&directory, 3).unwrap();
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
        let mut writer = SpoolWriter::create(&directory, 0).unwrap();
        writer.push(0, 1).unwrap();
        writer.push(1, 2).unwrap();
        drop(writer);
        assert!(matches!(SpoolWriter::create(&directory, 0), Err(Error::Io { .. })));
        let path = file_of(&directory, 0);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..20]).unwrap();
        let mut reader = SpoolReader::open(&directory, 0).unwrap();
        assert_eq!((reader.receipt(0).unwrap(), reader.receipt(1).unwrap()), (Some(1), None));
        fs::remove_dir_all(&directory).unwrap();
    }
}
