//! The last record of each identity is equal in both topics: what counts where a job updates its results.

use serde::{Deserialize, Serialize};

use super::every::earliest;
use super::fields::Digest;
use super::{
    ByHash, Deadline, Distances, Example, Examples, Kind, Matching, Observed, Position, Side, Tally, state,
};
use crate::error::{Error, Result};

/// What one identity takes, bytes, with what the map has in reserve.
pub(super) const IDENTITY_BYTES: u64 = 384;

/// The last record of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    digest: Digest,
    /// The first record with this digest since the last one with another.
    position: Position,
}

/// How an identity was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Judgement {
    /// Not yet, since its last change.
    Pending,
    Equal {
        late: bool,
    },
    Different,
    /// The topic that has none.
    Missing(Side),
}

impl Judgement {
    fn tally(self) -> Tally {
        let mut tally = Tally::default();
        match self {
            Self::Pending => {}
            Self::Equal { late } => {
                tally.matched = 1;
                tally.late = i64::from(late);
            }
            Self::Different => tally.different = 1,
            Self::Missing(side) => tally.missing[side.index()] = 1,
        }
        tally
    }

    fn is_difference(self) -> bool {
        self.tally().differences() > 0
    }
}

/// One identity.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    sides: [Option<Last>; 2],
    judgement: Judgement,
}

impl Identity {
    fn changed_us(&self) -> i64 {
        self.sides.iter().flatten().map(|last| last.position.at_us).max().unwrap_or(i64::MIN)
    }

    fn judged(&self, lag_us: Option<i64>) -> Judgement {
        match self.sides {
            [Some(a), Some(b)] if a.digest.agrees(b.digest) => {
                let apart_us = (a.position.at_us - b.position.at_us).abs();
                Judgement::Equal { late: lag_us.is_some_and(|lag_us| apart_us > lag_us) }
            }
            [Some(_), Some(_)] => Judgement::Different,
            [None, _] => Judgement::Missing(Side::A),
            [_, None] => Judgement::Missing(Side::B),
        }
    }

    fn example(&self) -> Option<Example> {
        let kind = match self.judgement {
            Judgement::Pending | Judgement::Equal { late: false } => return None,
            Judgement::Equal { late: true } => Kind::Late,
            Judgement::Different => Kind::Different,
            Judgement::Missing(Side::A) => Kind::MissingInA,
            Judgement::Missing(Side::B) => Kind::MissingInB,
        };
        Some(Example { kind, positions: self.sides.map(|last| last.map(|last| last.position)) })
    }
}

/// The last records of both topics.
pub(super) struct Latest {
    deadline: Deadline,
    limit: usize,
    identities: ByHash<Identity>,
    /// Those that are not judged since their last change.
    pending: Vec<u64>,
    tally: Tally,
    distances: Distances,
    examples: Examples,
}

impl Latest {
    pub fn new(deadline: Deadline, memory_bytes: u64, examples: usize) -> Self {
        Self {
            deadline,
            limit: (memory_bytes / IDENTITY_BYTES).max(1_000) as usize,
            identities: ByHash::default(),
            pending: Vec::new(),
            tally: Tally::default(),
            distances: Distances::default(),
            examples: Examples::new(examples),
        }
    }

    /// Goes on from a stored state.
    pub fn restore(mut self, stored: state::Stored) -> Self {
        for (hash, identity) in stored.identities {
            if identity.judgement == Judgement::Pending {
                self.pending.push(hash);
            }
            self.identities.insert(hash, identity);
        }
        self.tally = stored.tally;
        self.distances = stored.distances;
        self.examples.kept = stored.examples;
        self
    }

    fn judge_where(&mut self, due: impl Fn(&Identity) -> bool) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|&hash| {
            let Some(identity) = self.identities.get_mut(&hash) else { return false };
            if !due(identity) {
                return true;
            }
            let judgement = identity.judged(self.deadline.lag_us);
            if judgement.is_difference() && identity.changed_us() < self.deadline.judged_from_us {
                self.tally.undecided += 1;
                self.identities.remove(&hash);
                return false;
            }
            identity.judgement = judgement;
            self.tally.add(&judgement.tally(), 1);
            if let ([Some(a), Some(b)], Judgement::Equal { .. }) = (identity.sides, judgement) {
                self.distances.record(b.position.at_us - a.position.at_us);
            }
            false
        });
        self.pending = pending;
    }

    /// Makes room: the identities that have not changed for longest are forgotten; what they were counted as stays.
    fn settle(&mut self) -> Result<()> {
        let judged = self.identities.values().filter(|identity| identity.judgement != Judgement::Pending);
        let mut times: Vec<i64> = judged.map(Identity::changed_us).collect();
        if times.len() < self.limit / 8 {
            return Err(Error::Harness(format!(
                "{} identities wait for a counterpart, as many as the memory holds: one topic is far behind the \
                 other, or the fields do not identify a record in both. Use more memory or a shorter lag",
                self.identities.len()
            )));
        }
        for example in self.examples() {
            if !self.examples.kept.contains(&example) {
                self.examples.add(example);
            }
        }
        let middle = times.len() / 2;
        let (_, &mut until_us, _) = times.select_nth_unstable(middle);
        self.identities.retain(|_, identity| {
            identity.judgement == Judgement::Pending || identity.changed_us() > until_us
        });
        Ok(())
    }
}

impl Matching for Latest {
    fn take(&mut self, side: Side, observed: Observed) -> Result<()> {
        if self.identities.len() >= self.limit && !self.identities.contains_key(&observed.identity) {
            self.settle()?;
        }
        let identity = self
            .identities
            .entry(observed.identity)
            .or_insert(Identity { sides: [None; 2], judgement: Judgement::Equal { late: false } });
        let is_new = identity.sides == [None, None];
        if let Some(last) = &identity.sides[side.index()] {
            // Another partition may hold an older record of the same identity.
            let older = last.position.partition != observed.position.partition
                && observed.position.at_us < last.position.at_us;
            if older || last.digest == observed.digest {
                return Ok(());
            }
        }
        identity.sides[side.index()] = Some(Last { digest: observed.digest, position: observed.position });
        if is_new {
            identity.judgement = Judgement::Pending;
            self.pending.push(observed.identity);
        } else if identity.judgement != Judgement::Pending {
            self.tally.add(&identity.judgement.tally(), -1);
            identity.judgement = Judgement::Pending;
            self.pending.push(observed.identity);
        }
        Ok(())
    }

    fn judge(&mut self, reached_us: [i64; 2]) {
        if let Some(lag_us) = self.deadline.lag_us {
            let reached_us = reached_us[0].min(reached_us[1]);
            self.judge_where(|identity| reached_us >= identity.changed_us().saturating_add(lag_us));
        }
    }

    fn judge_all(&mut self) {
        self.judge_where(|_| true);
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn waiting(&self) -> u64 {
        self.pending.len() as u64
    }

    fn distances(&self) -> &Distances {
        &self.distances
    }

    fn examples(&self) -> Vec<Example> {
        let mut examples = self.examples.kept.clone();
        examples.extend(self.identities.values().filter_map(Identity::example));
        earliest(examples, self.examples.most)
    }

    fn stored(&self) -> state::Stored {
        state::Stored {
            tally: self.tally,
            distances: self.distances.clone(),
            examples: self.examples.kept.clone(),
            entries: Vec::new(),
            identities: self.identities.iter().map(|(&hash, &identity)| (hash, identity)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG_US: i64 = 30_000_000;

    fn latest() -> Latest {
        Latest::new(Deadline { lag_us: Some(LAG_US), judged_from_us: i64::MIN }, 1 << 20, 10)
    }

    fn give(latest: &mut Latest, side: Side, identity: u64, value: u64, at_us: i64) {
        let digest = Digest { exact: value, shifted: value };
        let position = Position { partition: 0, offset: at_us, at_us };
        latest.take(side, Observed { identity, digest, position }).unwrap();
    }

    #[test]
    fn only_the_last_record_of_an_identity_counts() {
        let mut latest = latest();
        for value in 1..=5 {
            give(&mut latest, Side::A, 1, value, value as i64);
        }
        give(&mut latest, Side::B, 1, 2, 6);
        give(&mut latest, Side::B, 1, 5, 7);
        give(&mut latest, Side::B, 1, 5, 8);
        latest.judge([LAG_US + 6; 2]);
        assert_eq!((latest.tally(), latest.waiting()), (Tally::default(), 1));
        latest.judge([LAG_US + 7; 2]);
        assert_eq!(latest.tally(), Tally { matched: 1, ..Tally::default() });
        assert_eq!(latest.distances().b_later.max(), 2);
    }

    #[test]
    fn differences_are_counted_and_taken_back() {
        let mut latest = latest();
        give(&mut latest, Side::A, 1, 10, 0);
        give(&mut latest, Side::B, 1, 11, 0);
        give(&mut latest, Side::A, 2, 20, 0);
        give(&mut latest, Side::B, 3, 30, 0);
        latest.judge([LAG_US; 2]);
        assert_eq!(latest.tally(), Tally { different: 1, missing: [1, 1], ..Tally::default() });
        let kinds: Vec<Kind> = latest.examples().iter().map(|example| example.kind).collect();
        assert_eq!(kinds, [Kind::Different, Kind::MissingInA, Kind::MissingInB]);
        give(&mut latest, Side::B, 1, 10, 2 * LAG_US);
        give(&mut latest, Side::B, 2, 20, LAG_US - 1);
        latest.judge([3 * LAG_US; 2]);
        assert_eq!(latest.tally(), Tally { matched: 2, late: 1, missing: [1, 0], ..Tally::default() });
    }

    #[test]
    fn a_topic_that_is_read_whole_before_the_other_makes_no_false_alarm() {
        let mut latest = latest();
        let values = [(1, 1), (2, 40_000_000), (1, 99_000_000)];
        for (value, at_us) in values {
            give(&mut latest, Side::B, 1, value, at_us + 1);
        }
        latest.judge([i64::MIN, i64::MAX]);
        for (value, at_us) in values {
            give(&mut latest, Side::A, 1, value, at_us);
        }
        latest.judge([i64::MAX; 2]);
        assert_eq!(latest.tally(), Tally { matched: 1, ..Tally::default() });
    }

    #[test]
    fn the_memory_has_a_bound() {
        let mut latest = Latest::new(Deadline { lag_us: Some(0), judged_from_us: i64::MIN }, 0, 3);
        for identity in 0..5_000 {
            for side in Side::BOTH {
                give(
                    &mut latest,
                    side,
                    identity,
                    1 + u64::from(side == Side::B && identity % 100 == 0),
                    identity as i64,
                );
            }
            latest.judge([i64::MAX; 2]);
        }
        assert!(latest.identities.len() <= 1_000);
        assert_eq!(latest.tally(), Tally { matched: 4_950, different: 50, ..Tally::default() });
        assert_eq!(latest.examples().len(), 3);
    }

    #[test]
    fn a_restored_state_goes_on() {
        let mut first = latest();
        give(&mut first, Side::A, 1, 10, 0);
        give(&mut first, Side::A, 2, 20, 0);
        first.judge([LAG_US; 2]);
        give(&mut first, Side::A, 3, 30, LAG_US);
        let mut second = latest().restore(first.stored());
        assert_eq!((second.tally(), second.waiting()), (first.tally(), 1));
        give(&mut second, Side::B, 1, 10, 1);
        give(&mut second, Side::B, 3, 30, LAG_US);
        second.judge_all();
        assert_eq!(second.tally(), Tally { matched: 2, missing: [0, 1], ..Tally::default() });
    }
}
