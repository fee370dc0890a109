//! The file that a resumed comparison starts from.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::every::Entry;
use super::latest::Identity;
use super::{Distances, Example, Tally};
use crate::error::{Error, Result};
use crate::histogram::Histogram;

/// The version of the file.
const VERSION: u32 = 1;

/// What a way to compare keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub tally: Tally,
    #[serde(with = "distances")]
    pub distances: Distances,
    pub examples: Vec<Example>,
    pub entries: Vec<Entry>,
    pub identities: Vec<(u64, Identity)>,
}

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    /// What is compared, and how: another comparison cannot go on from here.
    pub comparison: String,
    /// The next offset of each partition of each topic.
    pub next: [Vec<i64>; 2],
    pub judged_from_us: i64,
    pub read: [u64; 2],
    pub malformed: [u64; 2],
    pub stored: Stored,
}

impl State {
    pub fn new(
        comparison: String,
        next: [Vec<i64>; 2],
        judged_from_us: i64,
        read: [u64; 2],
        malformed: [u64; 2],
        stored: Stored,
    ) -> Self {
        Self { version: VERSION, comparison, next, judged_from_us, read, malformed, stored }
    }

    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Invalid`] when it is not such a file, or of another comparison.
    pub fn read(path: &Path, comparison: &str) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot read", path, error)),
        };
        let state: Self = serde_json::from_reader(BufReader::new(file)).map_err(|error| {
            Error::Invalid(format!(
                "{} does not hold the state of a comparison: {error}. Name another file, or delete it to start anew",
                path.display()
            ))
        })?;
        if state.version != VERSION || state.comparison != comparison {
            return Err(Error::Invalid(format!(
                "{} holds the state of another comparison ({}), not of this one ({comparison}). Name another file, or \
                 delete it to start anew",
                path.display(),
                state.comparison
            )));
        }
        Ok(Some(state))
    }

    /// Writes the file; an interruption leaves the one before.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = Path::new(&beside);
        let failed = |error| Error::io("cannot write", path, error);
        let mut file = BufWriter::new(File::create(beside).map_err(failed)?);
        serde_json::to_writer(&mut file, self).map_err(|error| failed(error.into()))?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        fs::rename(beside, path).map_err(failed)
    }
}

mod distances {
    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    use super::{Deserialize, Distances, Engine, Histogram, STANDARD, Serialize};

    pub fn serialize<S: Serializer>(distances: &Distances, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |histogram: &Histogram| STANDARD.encode(histogram.to_bytes());
        [text(&distances.b_later), text(&distances.a_later)].serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Distances, D::Error> {
        let histogram = |text: &str| {
            let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
            Histogram::from_bytes(&bytes).map_err(D::Error::custom)
        };
        let [b_later, a_later] = <[String; 2]>::deserialize(deserializer)?;
        Ok(Distances { b_later: histogram(&b_later)?, a_later: histogram(&a_later)? })
    }
}
