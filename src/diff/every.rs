//! Each record of one topic has one equal record in the other, in whatever order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fields::{Digest, mix};
use super::{
    ByHash, Deadline, Distances, Example, Examples, Kind, Matching, Observed, Position, Side, Tally, state,
};
use crate::error::{Error, Result};

/// What one waiting record takes, bytes: its entry, its places in the indexes, and what both have in reserve.
pub(super) const ENTRY_BYTES: u64 = 256;
const NO_SLOT: u32 = u32::MAX;
/// Of how many waiting records that equal a matched pair it is noted that they repeat it.
const REPEATS: usize = 16;

/// A record without a counterpart so far.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub side: Side,
    pub identity: u64,
    pub digest: Digest,
    pub position: Position,
    /// Whether an equal pair has been matched, shortly before or since.
    pub repeats: bool,
    /// Whether its time is up: it counts as a difference until its counterpart comes.
    pub overdue: bool,
    #[serde(skip)]
    used: bool,
}

impl Entry {
    fn exact(&self) -> u64 {
        mix(self.identity, self.digest.exact)
    }

    fn shifted(&self) -> u64 {
        mix(self.identity, self.digest.shifted)
    }
}

/// The overdue records of one identity, by side.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    records: [i64; 2],
    repeats: [i64; 2],
}

impl Group {
    fn add(&mut self, entry: &Entry, sign: i64) {
        self.records[entry.side.index()] += sign;
        self.repeats[entry.side.index()] += sign * i64::from(entry.repeats);
    }

    fn is_empty(&self) -> bool {
        self.records == [0, 0]
    }

    /// Records of both sides are pairs that differ; the rest is missing on the other side, or there once more.
    fn tally(&self) -> Tally {
        let different = self.records[0].min(self.records[1]);
        let mut tally = Tally { different, ..Tally::default() };
        for side in Side::BOTH {
            let rest = self.records[side.index()] - different;
            let duplicates = rest.min(self.repeats[side.index()]);
            tally.duplicates[side.index()] = duplicates;
            tally.missing[side.other().index()] = rest - duplicates;
        }
        tally
    }
}

/// Entries by a hash, in chains; the newest first.
#[derive(Default)]
struct Index {
    first: ByHash<u32>,
    next: Vec<u32>,
}

impl Index {
    fn get(&self, hash: u64) -> Option<u32> {
        self.first.get(&hash).copied()
    }

    fn after(&self, slot: u32) -> Option<u32> {
        Some(self.next[slot as usize]).filter(|&next| next != NO_SLOT)
    }

    fn insert(&mut self, hash: u64, slot: u32) {
        if slot as usize >= self.next.len() {
            self.next.resize(slot as usize + 1, NO_SLOT);
        }
        self.next[slot as usize] = self.first.insert(hash, slot).unwrap_or(NO_SLOT);
    }

    fn remove(&mut self, hash: u64, slot: u32) {
        let after = self.next[slot as usize];
        let Some(first) = self.first.get_mut(&hash) else { return };
        if *first == slot {
            if after == NO_SLOT {
                self.first.remove(&hash);
            } else {
                *first = after;
            }
            return;
        }
        let mut before = *first;
        while self.next[before as usize] != slot {
            before = self.next[before as usize];
        }
        self.next[before as usize] = after;
    }
}

/// The pairs that were matched last: a few millions, in 32 MiB.
struct Recent {
    sets: Vec<[u64; 8]>,
}

impl Recent {
    const SETS: usize = 1 << 19;

    fn new() -> Self {
        Self { sets: vec![[0; 8]; Self::SETS] }
    }

    fn set(hash: u64) -> usize {
        hash as usize & (Self::SETS - 1)
    }

    fn insert(&mut self, hash: u64) {
        let set = &mut self.sets[Self::set(hash)];
        set.copy_within(..7, 1);
        set[0] = hash;
    }

    fn contains(&self, hash: u64) -> bool {
        self.sets[Self::set(hash)].contains(&hash)
    }
}

/// The records that wait for an equal one.
pub(super) struct Every {
    deadline: Deadline,
    /// The most entries.
    limit: usize,
    entries: Vec<Entry>,
    free: Vec<u32>,
    overdue: u64,
    exact: Index,
    shifted: Index,
    groups: ByHash<Group>,
    recent: Recent,
    tally: Tally,
    distances: Distances,
    examples: Examples,
}

impl Every {
    pub fn new(deadline: Deadline, memory_bytes: u64, examples: usize) -> Self {
        Self {
            deadline,
            limit: (memory_bytes / ENTRY_BYTES).clamp(1_000, u64::from(NO_SLOT)) as usize,
            entries: Vec::new(),
            free: Vec::new(),
            overdue: 0,
            exact: Index::default(),
            shifted: Index::default(),
            groups: ByHash::default(),
            recent: Recent::new(),
            tally: Tally::default(),
            distances: Distances::default(),
            examples: Examples::new(examples),
        }
    }

    /// Goes on from a stored state.
    pub fn restore(mut self, stored: state::Stored) -> Self {
        for entry in stored.entries {
            let entry = Entry { used: true, ..entry };
            if entry.overdue {
                self.overdue += 1;
                self.groups.entry(entry.identity).or_default().add(&entry, 1);
            }
            self.insert(entry);
        }
        self.tally = stored.tally;
        self.distances = stored.distances;
        self.examples.kept = stored.examples;
        self
    }

    fn used(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    fn insert(&mut self, entry: Entry) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        });
        self.entries[slot as usize] = entry;
        self.exact.insert(entry.exact(), slot);
        if entry.digest.exact != entry.digest.shifted {
            self.shifted.insert(entry.shifted(), slot);
        }
    }

    fn remove(&mut self, slot: u32) -> Entry {
        let entry = self.entries[slot as usize];
        self.exact.remove(entry.exact(), slot);
        if entry.digest.exact != entry.digest.shifted {
            self.shifted.remove(entry.shifted(), slot);
        }
        self.entries[slot as usize].used = false;
        self.free.push(slot);
        if entry.overdue {
            self.overdue -= 1;
            self.change(&entry, -1);
        }
        entry
    }

    /// Counts an overdue record, or takes it back.
    fn change(&mut self, entry: &Entry, sign: i64) {
        let group = self.groups.entry(entry.identity).or_default();
        self.tally.add(&group.tally(), -1);
        group.add(entry, sign);
        self.tally.add(&group.tally(), 1);
        if group.is_empty() {
            self.groups.remove(&entry.identity);
        }
    }

    /// Notes that the records which still wait repeat a pair that was matched.
    fn note_repeats(&mut self, pair: u64) {
        let mut next = self.exact.get(pair);
        for _ in 0..REPEATS {
            let Some(slot) = next else { return };
            let entry = self.entries[slot as usize];
            if !entry.repeats {
                let repeating = Entry { repeats: true, ..entry };
                if entry.overdue {
                    self.change(&entry, -1);
                    self.change(&repeating, 1);
                }
                self.entries[slot as usize] = repeating;
            }
            next = self.exact.after(slot);
        }
    }

    /// The waiting record of the other side that is equal.
    fn counterpart(&self, side: Side, observed: &Observed) -> Option<u32> {
        let other = |slot: &u32| self.entries[*slot as usize].side != side;
        let exact = self.exact.get(mix(observed.identity, observed.digest.exact)).filter(other);
        if exact.is_some() || observed.digest.exact == observed.digest.shifted {
            return exact;
        }
        self.shifted.get(mix(observed.identity, observed.digest.shifted)).filter(other)
    }

    fn is_due(&self, entry: &Entry, reached_us: [i64; 2]) -> bool {
        let Some(lag_us) = self.deadline.lag_us else { return false };
        reached_us[entry.side.other().index()] >= entry.position.at_us.saturating_add(lag_us)
    }

    /// Counts the records that are due as differences, and those near the start as undecided.
    fn judge_where(&mut self, due: impl Fn(&Self, &Entry) -> bool) {
        for slot in 0..self.entries.len() as u32 {
            let entry = self.entries[slot as usize];
            if !entry.used || entry.overdue || !due(self, &entry) {
                continue;
            }
            if entry.position.at_us < self.deadline.judged_from_us {
                self.remove(slot);
                self.tally.undecided += 1;
                continue;
            }
            self.entries[slot as usize].overdue = true;
            self.overdue += 1;
            self.change(&entry, 1);
        }
    }

    /// Makes room: the identities whose differences are the oldest are forgotten; what they were counted as stays.
    fn settle(&mut self) -> Result<()> {
        let before = self.used();
        let mut newest: ByHash<i64> = ByHash::default();
        for entry in self.entries.iter().filter(|entry| entry.used) {
            // One that is not judged keeps the others of its identity.
            let at_us = if entry.overdue { entry.position.at_us } else { i64::MAX };
            newest.entry(entry.identity).and_modify(|newest| *newest = at_us.max(*newest)).or_insert(at_us);
        }
        let mut times: Vec<i64> = newest.values().copied().filter(|&at_us| at_us < i64::MAX).collect();
        if !times.is_empty() {
            for example in self.examples() {
                if !self.examples.kept.contains(&example) {
                    self.examples.add(example);
                }
            }
            let middle = times.len() / 2;
            let (_, &mut until_us, _) = times.select_nth_unstable(middle);
            let counted = self.tally;
            for slot in 0..self.entries.len() as u32 {
                let entry = &self.entries[slot as usize];
                if entry.used && newest[&entry.identity] <= until_us {
                    self.remove(slot);
                }
            }
            self.tally = counted;
        }
        if before - self.used() < self.limit / 16 {
            return Err(Error::Harness(format!(
                "{before} records wait for a counterpart, as many as the memory holds, and few of them longer than the \
                 lag: one topic is far behind the other, or the fields do not identify a record in both. Use more \
                 memory or a shorter lag"
            )));
        }
        Ok(())
    }
}

impl Matching for Every {
    fn take(&mut self, side: Side, observed: Observed) -> Result<()> {
        let pair = mix(observed.identity, observed.digest.exact);
        if let Some(slot) = self.counterpart(side, &observed) {
            let other = self.remove(slot);
            let mut positions = [Some(observed.position); 2];
            positions[other.side.index()] = Some(other.position);
            let b_after_a_us = match side {
                Side::A => other.position.at_us - observed.position.at_us,
                Side::B => observed.position.at_us - other.position.at_us,
            };
            self.tally.matched += 1;
            self.distances.record(b_after_a_us);
            if self.deadline.lag_us.is_some_and(|lag_us| b_after_a_us.abs() > lag_us) {
                self.tally.late += 1;
                self.examples.add(Example { kind: Kind::Late, positions });
            }
            self.recent.insert(pair);
            self.note_repeats(other.exact());
            return Ok(());
        }
        if self.used() >= self.limit {
            self.settle()?;
        }
        self.insert(Entry {
            side,
            identity: observed.identity,
            digest: observed.digest,
            position: observed.position,
            repeats: self.recent.contains(pair),
            overdue: false,
            used: true,
        });
        Ok(())
    }

    fn judge(&mut self, reached_us: [i64; 2]) {
        if self.deadline.lag_us.is_some() {
            self.judge_where(|every, entry| every.is_due(entry, reached_us));
        }
    }

    fn judge_all(&mut self) {
        self.judge_where(|_, _| true);
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn waiting(&self) -> u64 {
        self.used() as u64 - self.overdue
    }

    fn distances(&self) -> &Distances {
        &self.distances
    }

    fn examples(&self) -> Vec<Example> {
        let mut groups: BTreeMap<u64, [Vec<&Entry>; 2]> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.used && entry.overdue) {
            groups.entry(entry.identity).or_default()[entry.side.index()].push(entry);
        }
        let mut examples = self.examples.kept.clone();
        for sides in groups.values_mut() {
            for side in sides.iter_mut() {
                // Those that repeat a pair are left over, as in `Group::tally`.
                side.sort_by_key(|entry| (entry.repeats, entry.position.at_us));
            }
            let different = sides[0].len().min(sides[1].len());
            examples.extend((0..different).map(|number| Example {
                kind: Kind::Different,
                positions: [Some(sides[0][number].position), Some(sides[1][number].position)],
            }));
            for side in Side::BOTH {
                for entry in &sides[side.index()][different..] {
                    let kind = if entry.repeats { Kind::duplicate(side) } else { Kind::missing(side) };
                    let mut positions = [None; 2];
                    positions[side.index()] = Some(entry.position);
                    examples.push(Example { kind, positions });
                }
            }
        }
        earliest(examples, self.examples.most)
    }

    fn stored(&self) -> state::Stored {
        state::Stored {
            tally: self.tally,
            distances: self.distances.clone(),
            examples: self.examples.kept.clone(),
            entries: self.entries.iter().filter(|entry| entry.used).copied().collect(),
            identities: Vec::new(),
        }
    }
}

/// The earliest examples of each kind.
pub(super) fn earliest(mut examples: Vec<Example>, most: usize) -> Vec<Example> {
    examples.sort_by_key(Example::at_us);
    examples.dedup();
    let mut kept = Examples::new(most);
    for example in examples {
        kept.add(example);
    }
    kept.kept.sort_by_key(|example| (example.kind, example.at_us()));
    kept.kept
}

#[cfg(test)]
mod tests {
    use super::Kind::{Different, DuplicateInB, Late, MissingInA, MissingInB};
    use super::*;

    const LAG_US: i64 = 30_000_000;

    fn every(limit: u64) -> Every {
        let deadline = Deadline { lag_us: Some(LAG_US), judged_from_us: i64::MIN };
        Every::new(deadline, limit * ENTRY_BYTES, 10)
    }

    fn observed(identity: u64, value: u64, at_us: i64) -> Observed {
        Observed {
            identity,
            digest: Digest { exact: value, shifted: value },
            position: Position { partition: 0, offset: at_us, at_us },
        }
    }

    fn give(every: &mut Every, side: Side, identity: u64, value: u64, at_us: i64) {
        every.take(side, observed(identity, value, at_us)).unwrap();
    }

    #[test]
    fn equal_records_are_matched_in_any_order() {
        let mut every = every(10_000);
        for identity in 0..1_000 {
            give(&mut every, Side::A, identity, identity % 7, identity as i64);
        }
        for identity in (0..1_000).rev() {
            give(&mut every, Side::B, identity, identity % 7, 5 + identity as i64);
        }
        every.judge_all();
        assert_eq!(every.tally(), Tally { matched: 1_000, ..Tally::default() });
        assert_eq!((every.waiting(), every.examples().len()), (0, 0));
        assert_eq!((every.distances().b_later.count(), every.distances().b_later.max()), (1_000, 5));
    }

    #[test]
    fn each_kind_of_difference_is_counted_as_what_it_is() {
        let mut every = every(10_000);
        give(&mut every, Side::A, 1, 10, 0); // altered
        give(&mut every, Side::B, 1, 11, 1);
        give(&mut every, Side::A, 2, 20, 2); // dropped
        give(&mut every, Side::B, 3, 30, 3); // added
        give(&mut every, Side::A, 4, 40, 4); // twice in B
        give(&mut every, Side::B, 4, 40, 5);
        give(&mut every, Side::B, 4, 40, 6);
        give(&mut every, Side::A, 5, 50, 7); // keys swapped
        give(&mut every, Side::A, 6, 60, 8);
        give(&mut every, Side::B, 5, 60, 9);
        give(&mut every, Side::B, 6, 50, 10);
        give(&mut every, Side::A, 7, 70, 11); // late
        every.judge([LAG_US + 100; 2]);
        assert_eq!(every.tally().missing, [1, 2]);
        give(&mut every, Side::B, 7, 70, LAG_US + 12);
        let expected =
            Tally { matched: 2, late: 1, different: 3, missing: [1, 1], duplicates: [0, 1], undecided: 0 };
        assert_eq!(every.tally(), expected);
        assert_eq!(expected.differences(), 7);
        let kinds: Vec<Kind> = every.examples().iter().map(|example| example.kind).collect();
        assert_eq!(kinds, [Different, Different, Different, MissingInA, MissingInB, DuplicateInB, Late]);
    }

    #[test]
    fn a_duplicate_counts_as_one_whichever_topic_is_read_first() {
        for judged in [false, true] {
            let mut every = every(10_000);
            for at_us in 0..3 {
                give(&mut every, Side::B, 1, 10, at_us);
            }
            if judged {
                every.judge([i64::MAX; 2]);
                assert_eq!(every.tally().missing, [3, 0]);
            }
            give(&mut every, Side::A, 1, 10, 3);
            every.judge_all();
            assert_eq!(every.tally(), Tally { matched: 1, duplicates: [0, 2], ..Tally::default() });
        }
    }

    #[test]
    fn nothing_counts_before_the_other_topic_has_been_read_beyond_the_lag() {
        let mut every = every(10_000);
        give(&mut every, Side::A, 1, 10, 100);
        every.judge([i64::MAX, 100 + LAG_US - 1]);
        assert_eq!((every.tally().differences(), every.waiting()), (0, 1));
        every.judge([i64::MAX, 100 + LAG_US]);
        assert_eq!((every.tally().missing, every.waiting()), ([0, 1], 0));
        // It was there in time, and read late.
        give(&mut every, Side::B, 1, 10, 200);
        assert_eq!(every.tally(), Tally { matched: 1, ..Tally::default() });
    }

    #[test]
    fn records_near_the_start_are_not_judged() {
        let deadline = Deadline { lag_us: Some(LAG_US), judged_from_us: 1_000 };
        let mut every = Every::new(deadline, 1 << 20, 10);
        give(&mut every, Side::B, 1, 10, 999);
        give(&mut every, Side::B, 2, 10, 1_000);
        every.judge([i64::MAX; 2]);
        assert_eq!(every.tally(), Tally { missing: [1, 0], undecided: 1, ..Tally::default() });
    }

    #[test]
    fn of_twins_the_one_nearest_in_time_is_the_counterpart() {
        let mut every = every(10_000);
        give(&mut every, Side::A, 1, 10, 0);
        give(&mut every, Side::A, 1, 10, 2 * LAG_US);
        give(&mut every, Side::B, 1, 10, 2 * LAG_US + 1);
        every.judge_all();
        assert_eq!(every.tally(), Tally { matched: 1, duplicates: [1, 0], ..Tally::default() });
    }

    #[test]
    fn the_memory_has_a_bound_and_old_differences_still_count() {
        let mut every = every(1_000);
        for identity in 0..5_000 {
            give(&mut every, Side::A, identity, 1, identity as i64);
            every.judge([i64::MAX; 2]);
            assert!(every.used() <= 1_000);
        }
        assert_eq!(every.tally(), Tally { missing: [0, 5_000], ..Tally::default() });
        assert_eq!(every.examples().len(), 10);
        assert_eq!(every.examples()[0].at_us(), 0);
    }

    #[test]
    fn a_topic_that_falls_too_far_behind_ends_the_comparison() {
        let mut every = every(1_000);
        let mut outcome = Ok(());
        for identity in 0..1_001 {
            outcome = every.take(Side::A, observed(identity, 1, 0));
        }
        assert!(outcome.unwrap_err().to_string().contains("1000 records wait"));
    }

    #[test]
    fn rounded_values_match_on_either_grid() {
        let mut every = every(10_000);
        let near = |exact, shifted, at_us| Observed {
            identity: 1,
            digest: Digest { exact, shifted },
            position: Position { partition: 0, offset: 0, at_us },
        };
        every.take(Side::A, near(1, 5, 0)).unwrap();
        every.take(Side::A, near(2, 5, 1)).unwrap();
        every.take(Side::B, near(1, 6, 2)).unwrap();
        every.take(Side::B, near(3, 5, 3)).unwrap();
        every.judge_all();
        assert_eq!(every.tally(), Tally { matched: 2, ..Tally::default() });
    }

    #[test]
    fn a_restored_state_goes_on() {
        let mut first = every(10_000);
        give(&mut first, Side::A, 1, 10, 0);
        give(&mut first, Side::A, 2, 20, 0);
        give(&mut first, Side::B, 2, 21, 0);
        first.judge([LAG_US; 2]);
        give(&mut first, Side::A, 3, 30, LAG_US);
        let mut second = every(10_000).restore(first.stored());
        assert_eq!((second.tally(), second.waiting()), (first.tally(), 1));
        give(&mut second, Side::B, 1, 10, 5);
        give(&mut second, Side::B, 3, 30, LAG_US + 5);
        second.judge_all();
        assert_eq!(second.tally(), Tally { matched: 2, different: 1, ..Tally::default() });
    }
}
