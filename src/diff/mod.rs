//! Two topics that must hold the same results: which records differ, are missing, late or duplicated.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`fields`] | a record → its identity and a digest of its values |
//! | [`progress`] | up to which time a topic has been read |
//! | [`every`] | each record of one topic has one equal record in the other |
//! | [`latest`] | the last record of each identity is equal in both |
//! | [`follow`] | reads both topics, compares them, stores the state |
//! | [`state`] | what a resumed comparison starts from |
//!
//! No record is kept: 64-bit digests are compared, and the records of an example are read again at the end.

mod every;
pub mod fields;
pub mod follow;
mod latest;
mod progress;
mod state;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use fields::Digest;

pub use follow::{DiffReport, DiffSettings, DiffSnapshot, TopicDiff};

/// One of the two topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// The first one.
    A,
    /// The second one.
    B,
}

impl Side {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Its place in an array of two.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Where a record is, and which time Kafka keeps of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Partition.
    pub partition: i32,
    /// Offset in it.
    pub offset: i64,
    /// µs since the Unix epoch.
    pub at_us: i64,
}

/// What is compared of a record.
#[derive(Clone, Copy, Debug)]
struct Observed {
    identity: u64,
    digest: Digest,
    position: Position,
}

/// A kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Both topics have the identity, with different values.
    Different,
    /// Topic A has no such record.
    MissingInA,
    /// Topic B has no such record.
    MissingInB,
    /// Topic A has one more of a record that both have.
    DuplicateInA,
    /// Topic B has one more of a record that both have.
    DuplicateInB,
    /// Both have it, and the times are further apart than the lag.
    Late,
}

impl Kind {
    /// Every kind, in the order of a report.
    pub const ALL: [Self; 6] = [
        Self::Different,
        Self::MissingInA,
        Self::MissingInB,
        Self::DuplicateInA,
        Self::DuplicateInB,
        Self::Late,
    ];

    /// Its name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::MissingInA => "missing_in_a",
            Self::MissingInB => "missing_in_b",
            Self::DuplicateInA => "duplicate_in_a",
            Self::DuplicateInB => "duplicate_in_b",
            Self::Late => "late",
        }
    }

    /// A record of `side` without an equal one in the other topic.
    const fn missing(side: Side) -> Self {
        match side {
            Side::A => Self::MissingInB,
            Side::B => Self::MissingInA,
        }
    }

    /// One more record of `side`.
    const fn duplicate(side: Side) -> Self {
        match side {
            Side::A => Self::DuplicateInA,
            Side::B => Self::DuplicateInB,
        }
    }
}

/// A difference, by the positions of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// What differs.
    pub kind: Kind,
    /// The record in each topic, where it has one.
    pub positions: [Option<Position>; 2],
}

impl Example {
    fn at_us(&self) -> i64 {
        self.positions.iter().flatten().map(|position| position.at_us).min().unwrap_or(i64::MAX)
    }
}

/// Examples of differences, a few of each kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Examples {
    most: usize,
    kept: Vec<Example>,
}

impl Examples {
    fn new(most: usize) -> Self {
        Self { most, kept: Vec::new() }
    }

    fn add(&mut self, example: Example) {
        if self.kept.iter().filter(|kept| kept.kind == example.kind).count() < self.most {
            self.kept.push(example);
        }
    }
}

/// How many records are equal, and how many differ in which way. Signed, because a difference that ends is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Pairs of equal records, or identities whose last records are equal.
    pub matched: i64,
    /// Of these, pairs whose times are further apart than the lag.
    pub late: i64,
    /// Pairs of one identity with different values.
    pub different: i64,
    /// Records that topic A and topic B do not have.
    pub missing: [i64; 2],
    /// Records that topic A and topic B have once more.
    pub duplicates: [i64; 2],
    /// Records whose counterpart may lie outside the time that was compared.
    pub undecided: i64,
}

impl Tally {
    /// All differences.
    pub fn differences(&self) -> i64 {
        self.late + self.different + self.missing.iter().sum::<i64>() + self.duplicates.iter().sum::<i64>()
    }

    /// Adds `sign` times another.
    fn add(&mut self, other: &Self, sign: i64) {
        self.matched += sign * other.matched;
        self.late += sign * other.late;
        self.different += sign * other.different;
        self.undecided += sign * other.undecided;
        for side in 0..2 {
            self.missing[side] += sign * other.missing[side];
            self.duplicates[side] += sign * other.duplicates[side];
        }
    }
}

/// When a record without a counterpart counts as a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deadline {
    /// The longest time between the two records, µs; without one, at the end of the comparison.
    lag_us: Option<i64>,
    /// Records before this time may have a counterpart before the start, which is not read.
    judged_from_us: i64,
}

/// How two topics are compared.
trait Matching: Send {
    /// Takes the next record of a topic.
    ///
    /// # Errors
    /// [`crate::Error::Harness`] when more records wait for a counterpart than the memory holds.
    fn take(&mut self, side: Side, observed: Observed) -> Result<()>;

    /// Judges what is due now that the topics have been read up to these times, µs since the Unix epoch.
    fn judge(&mut self, reached_us: [i64; 2]);

    /// Judges everything, because nothing more will come.
    fn judge_all(&mut self);

    /// The counts so far.
    fn tally(&self) -> Tally;

    /// Records, or identities, that are not judged yet.
    fn waiting(&self) -> u64;

    /// How far apart the times of equal records are: those where B is later, and those where A is.
    fn distances(&self) -> &Distances;

    /// A few differences of each kind, the earliest first.
    fn examples(&self) -> Vec<Example>;

    /// What a resumed comparison needs.
    fn stored(&self) -> state::Stored;
}

/// How far apart the times of equal records are.
#[derive(Clone, Debug, Default)]
pub struct Distances {
    /// B after A, or at the same time.
    pub b_later: crate::histogram::Histogram,
    /// B before A.
    pub a_later: crate::histogram::Histogram,
}

impl Distances {
    fn record(&mut self, b_after_a_us: i64) {
        if b_after_a_us < 0 {
            self.a_later.record(-b_after_a_us);
        } else {
            self.b_later.record(b_after_a_us);
        }
    }
}

/// Keys that are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A map whose keys are hashes.
type ByHash<V> = HashMap<u64, V, BuildHasherDefault<AsIs>>;
