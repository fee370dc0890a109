//! Event *i* as a function of (seed, i): what is generated, and what the oracle expects, come from here.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::{Event, EventId, EventType};
use crate::template::Templates;

/// The most distinct keys a workload may have.
pub const MAX_KEYS: u32 = 10_000_000;

/// The least `payload_bytes`: more than any record has without padding.
pub const MIN_PAYLOAD: usize = 256;
/// The most `payload_bytes`; with the key it still fits Kafka's default limit of 1 MiB for a record.
pub const MAX_PAYLOAD: usize = 1_000_000;
/// Bytes of padding that do not repeat within a record or from one record to the next.
const PADDING_PERIOD: usize = 1 << 16;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of `SplitMix64`: a bijection on 64 bits whose output bits each depend on every input bit.
#[inline]
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The inverse of [`mix`].
#[inline]
pub(crate) const fn unmix(mut z: u64) -> u64 {
    z = (z ^ (z >> 31) ^ (z >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    z = (z ^ (z >> 27) ^ (z >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    z ^ (z >> 30) ^ (z >> 60)
}

/// The longest that an event's time may lie before its intended time, ms: 49 days.
pub const MAX_BEHIND_MS: i64 = u32::MAX as i64;

/// A uniform number in `0..bound` from 32 random bits.
#[inline]
fn below(random: u32, bound: u32) -> u32 {
    ((u64::from(random) * u64::from(bound)) >> 32) as u32
}

/// The random bits of which an event's time is made.
#[inline]
const fn third(second: u64) -> u64 {
    mix(second.wrapping_add(GOLDEN))
}

/// Walker's alias table: a draw from any discrete distribution in constant time.
#[derive(Clone, Debug)]
struct Alias {
    threshold: Vec<u32>,
    alias: Vec<u32>,
}

impl Alias {
    fn zipf(keys: u32, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=keys).map(|rank| f64::from(rank).powf(-exponent)).collect();
        let total: f64 = weights.iter().sum();
        let mut scaled: Vec<f64> = weights.iter().map(|w| w * f64::from(keys) / total).collect();
        let mut threshold = vec![u32::MAX; keys as usize];
        let mut alias: Vec<u32> = (0..keys).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..keys).partition(|&key| scaled[key as usize] < 1.0);
        while let (Some(&low), Some(&high)) = (small.last(), large.last()) {
            small.pop();
            threshold[low as usize] = (scaled[low as usize] * f64::from(u32::MAX)) as u32;
            alias[low as usize] = high;
            scaled[high as usize] -= 1.0 - scaled[low as usize];
            if scaled[high as usize] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        Self { threshold, alias }
    }

    #[inline]
    fn draw(&self, random: u64) -> u32 {
        let column = below((random >> 32) as u32, self.threshold.len() as u32);
        if random as u32 <= self.threshold[column as usize] { column } else { self.alias[column as usize] }
    }
}

/// A workload: the seed and the distribution of keys. Cloning is cheap where keys are uniform.
#[derive(Clone, Debug)]
pub struct Workload {
    seed: u64,
    mixed_seed: u64,
    keys: u32,
    zipf: Option<Alias>,
    padding: Option<Padding>,
    templates: Option<Arc<Templates>>,
    disorder: Disorder,
}

/// Which events happened before they are sent, and how long before.
#[derive(Clone, Copy, Debug, Default)]
struct Disorder {
    /// (Share of the events in 2^-32, most ms before the intended time.)
    out_of_order: Option<(u64, u32)>,
    /// (Share of the events in 2^-32, ms before the intended time, index of the first event that may be late.)
    late: Option<(u64, u32, u64)>,
}

impl Disorder {
    const NONE: Self = Self { out_of_order: None, late: None };

    /// A share of the events, in 2^-32, and a length of time.
    fn checked(what: &str, share: f64, behind_ms: i64) -> Result<(u64, u32)> {
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::Invalid(format!(
                "the share of {what} must be above 0 and at most 1, not {share}"
            )));
        }
        let behind = u32::try_from(behind_ms).ok().filter(|&ms| ms > 0);
        let behind = behind.ok_or_else(|| {
            Error::Invalid(format!(
                "{what} must be 1 to {MAX_BEHIND_MS} ms before their time, not {behind_ms}"
            ))
        })?;
        Ok(((share * 2_f64.powi(32)).round() as u64, behind))
    }

    #[inline]
    fn is_late(&self, index: u64, random: u64) -> bool {
        self.late.is_some_and(|(share, _, from)| index >= from && random >> 32 < share)
    }

    /// How many ms before its intended time an event happened.
    #[inline]
    fn behind_ms(&self, index: u64, random: u64) -> i64 {
        if let Some((_, behind, _)) = self.late
            && self.is_late(index, random)
        {
            return i64::from(behind);
        }
        let Some((share, most)) = self.out_of_order else { return 0 };
        let spread = mix(random.wrapping_add(GOLDEN));
        if spread >> 32 < share { 1 + i64::from(below(spread as u32, most)) } else { 0 }
    }
}

/// Letters and digits to pad records with: each event takes a stretch of its own, so that compression gains
/// little from it.
#[derive(Clone, Debug)]
struct Padding {
    payload_bytes: usize,
    text: Arc<[u8]>,
}

impl Padding {
    fn new(seed: u64, payload_bytes: usize) -> Self {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let letter = |at: usize| LETTERS[(mix(seed ^ mix(at as u64)) >> 58) as usize];
        // One period more than the longest record needs: a stretch may begin anywhere in the first one.
        Self { payload_bytes, text: (0..PADDING_PERIOD + payload_bytes).map(letter).collect() }
    }
}

impl Workload {
    /// A workload over `keys` keys (1 to [`MAX_KEYS`]), uniform, or Zipf-distributed with
    /// `zipf_exponent` (0 to 10; the key of rank r has weight r^-exponent).
    ///
    /// # Errors
    /// [`Error::Invalid`] when `keys` or the exponent is out of its range.
    pub fn new(seed: u64, keys: u32, zipf_exponent: Option<f64>) -> Result<Self> {
        if keys == 0 || keys > MAX_KEYS {
            return Err(Error::Invalid(format!("keys must be 1 to {MAX_KEYS}, not {keys}")));
        }
        if let Some(exponent) = zipf_exponent
            && !(0.0..=10.0).contains(&exponent)
        {
            return Err(Error::Invalid(format!("the Zipf exponent must be 0 to 10, not {exponent}")));
        }
        let zipf = zipf_exponent.map(|exponent| Alias::zipf(keys, exponent));
        Ok(Self {
            seed,
            mixed_seed: mix(seed.wrapping_add(GOLDEN)),
            keys,
            zipf,
            padding: None,
            templates: None,
            disorder: Disorder::NONE,
        })
    }

    /// The same workload in which `share` of the events (above 0, at most 1) happened up to `delay_ms` before they are
    /// sent, uniformly in 1 to `delay_ms`: they come out of the order of event time.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the share or the delay (1 to [`MAX_BEHIND_MS`]) is out of its range.
    pub fn with_out_of_order(mut self, share: f64, delay_ms: i64) -> Result<Self> {
        self.disorder.out_of_order = Some(Disorder::checked("events out of order", share, delay_ms)?);
        Ok(self)
    }

    /// The same workload in which `share` of the events from index `from` on (above 0, at most 1) happened `behind_ms`
    /// before they are sent: too long ago to count in any window that is still open.
    ///
    /// # Errors
    /// As [`Workload::with_out_of_order`].
    pub fn with_late(mut self, share: f64, behind_ms: i64, from: u64) -> Result<Self> {
        let (share, behind) = Disorder::checked("late events", share, behind_ms)?;
        self.disorder.late = Some((share, behind, from));
        Ok(self)
    }

    /// Whether event `index` is one of those that happened too long ago to count in a window.
    #[inline]
    pub fn is_late(&self, index: u64) -> bool {
        self.disorder.late.is_some() && self.disorder.is_late(index, third(self.draws(index).1))
    }

    /// How many of the events `first..first + count` are late.
    pub fn late_in(&self, first: u64, count: u64) -> u64 {
        let Some((_, _, from)) = self.disorder.late else { return 0 };
        let end = first.saturating_add(count);
        (first.max(from)..end).filter(|&index| self.is_late(index)).count() as u64
    }

    /// The same workload with every record padded to exactly `payload_bytes` bytes ([`MIN_PAYLOAD`] to
    /// [`MAX_PAYLOAD`]) by a last field, `padding`, that engines and oracle ignore.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the size is out of its range.
    pub fn with_payload_bytes(mut self, payload_bytes: usize) -> Result<Self> {
        if !(MIN_PAYLOAD..=MAX_PAYLOAD).contains(&payload_bytes) {
            return Err(Error::Invalid(format!(
                "payload_bytes must be {MIN_PAYLOAD} to {MAX_PAYLOAD}, not {payload_bytes}"
            )));
        }
        self.padding = Some(Padding::new(self.mixed_seed, payload_bytes));
        Ok(self)
    }

    /// The same workload with records of the user's own. Padding does not apply to them.
    #[must_use]
    pub fn with_templates(mut self, templates: Templates) -> Self {
        self.templates = Some(Arc::new(templates));
        self
    }

    /// The size of every record, bytes; `None` without padding, when records differ in size.
    pub fn payload_bytes(&self) -> Option<usize> {
        self.padding.as_ref().map(|padding| padding.payload_bytes)
    }

    /// Room for any one of its records, bytes.
    pub fn record_bytes(&self) -> usize {
        match (&self.templates, self.payload_bytes()) {
            (Some(templates), _) => templates.record_bytes(),
            (None, padded) => padded.unwrap_or(MIN_PAYLOAD),
        }
    }

    /// Replaces `buffer` by the record of event `index`, padded where the workload is. Allocates nothing once
    /// the buffer is large enough.
    #[inline]
    pub fn encode(&self, index: u64, event: &Event, buffer: &mut Vec<u8>) {
        if let Some(templates) = &self.templates {
            return templates.encode(index, event, buffer);
        }
        event.encode(buffer);
        if let Some(Padding { payload_bytes, text }) = &self.padding {
            buffer.pop();
            buffer.extend_from_slice(b",\"padding\":\"");
            let from = mix(index ^ self.mixed_seed) as usize % PADDING_PERIOD;
            buffer.extend_from_slice(&text[from..from + payload_bytes - 2 - buffer.len()]);
            buffer.extend_from_slice(b"\"}");
        }
    }

    /// Replaces `buffer` by the Kafka key of event `index`: its own, or that of a record of the user's.
    #[inline]
    pub fn encode_key(&self, index: u64, event: &Event, buffer: &mut Vec<u8>) {
        match self.templates.as_ref().and_then(|templates| templates.key(index)) {
            None => event.encode_key(buffer),
            Some(key) => {
                buffer.clear();
                buffer.extend_from_slice(key);
            }
        }
    }

    /// The seed that was given.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The number of distinct keys.
    pub fn keys(&self) -> u32 {
        self.keys
    }

    /// The random bits of which an event's type and value, and its key, are made.
    #[inline]
    fn draws(&self, index: u64) -> (u64, u64) {
        let first = mix(self.mixed_seed ^ mix(index.wrapping_mul(GOLDEN)));
        (first, mix(first.wrapping_add(GOLDEN)))
    }

    /// Event `index`, intended for `scheduled_at_us` (µs since the Unix epoch).
    #[inline]
    pub fn event(&self, index: u64, scheduled_at_us: i64) -> Event {
        let (first, second) = self.draws(index);
        let event_type = match below((first >> 32) as u32, 10) {
            0..5 => EventType::Click,
            5..9 => EventType::View,
            _ => EventType::Purchase,
        };
        let rank = match &self.zipf {
            None => below((second >> 32) as u32, self.keys),
            Some(alias) => alias.draw(second),
        };
        Event {
            event_id: self.event_id(index),
            event_type,
            key: rank + 1,
            value: 1 + below(first as u32, 1000),
            produced_at: scheduled_at_us.div_euclid(1000) - self.disorder.behind_ms(index, third(second)),
            scheduled_at_us,
        }
    }

    /// The shard of `shards` that an event belongs to, from 0: a function of its key alone, and another one than
    /// that by which Kafka chooses the partition.
    #[inline]
    pub fn shard_of(event: &Event, shards: u32) -> u32 {
        below((mix(u64::from(event.key) ^ 0x7368_6172_6473) >> 32) as u32, shards)
    }

    /// The id of event `index`: a UUID of version 8 that carries a 58-bit tag of the run and the index.
    #[inline]
    pub fn event_id(&self, index: u64) -> EventId {
        EventId::new(self.run_tag(), mix(index ^ self.mixed_seed))
    }

    /// The index that `event_id` was made from, or `None` when it is another run's or no run's.
    #[inline]
    pub fn index_of(&self, event_id: EventId) -> Option<u64> {
        let (tag, scrambled) = event_id.parts()?;
        (tag == self.run_tag()).then(|| unmix(scrambled) ^ self.mixed_seed)
    }

    #[inline]
    fn run_tag(&self) -> u64 {
        mix(self.mixed_seed ^ 0x7274_6d62_656e_6368) >> 6
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn mixing_inverts(z: u64) {
            prop_assert_eq!(unmix(mix(z)), z);
        }

        #[test]
        fn an_event_id_inverts_to_its_index(seed: u64, index: u64, other: u64) {
            let workload = Workload::new(seed, 100, None).unwrap();
            let id = workload.event_id(index);
            prop_assert_eq!(workload.index_of(id), Some(index));
            prop_assert_eq!(EventId::parse(id.to_string().as_bytes()), Some(id));
            if other != seed {
                prop_assert_eq!(Workload::new(other, 100, None).unwrap().index_of(id), None);
            }
        }
    }

    #[test]
    fn the_mix_of_events_is_the_specs() {
        let workload = Workload::new(7, 100, None).unwrap();
        let mut types = [0_u32; 3];
        let mut keys = [0_u32; 101];
        let (mut least, mut most) = (u32::MAX, 0);
        for index in 0..100_000 {
            let event = workload.event(index, 0);
            types[event.event_type as usize] += 1;
            keys[event.key as usize] += 1;
            least = least.min(event.value);
            most = most.max(event.value);
        }
        assert!((49_000..51_000).contains(&types[EventType::Click as usize]), "{types:?}");
        assert!((39_000..41_000).contains(&types[EventType::View as usize]), "{types:?}");
        assert!((9_000..11_000).contains(&types[EventType::Purchase as usize]), "{types:?}");
        assert_eq!((least, most), (1, 1000));
        assert_eq!(keys[0], 0);
        assert!(keys[1..].iter().all(|&count| (800..1_200).contains(&count)), "{keys:?}");
    }

    #[test]
    fn zipf_keys_follow_their_weights() {
        let workload = Workload::new(7, 1_000, Some(1.0)).unwrap();
        let mut keys = vec![0_u32; 1_001];
        for index in 0..1_000_000 {
            keys[workload.event(index, 0).key as usize] += 1;
        }
        let harmonic: f64 = (1..=1_000).map(|rank| 1.0 / f64::from(rank)).sum();
        for rank in [1_u32, 2, 10, 100] {
            let expected = 1e6 / harmonic / f64::from(rank);
            let seen = f64::from(keys[rank as usize]);
            assert!((seen / expected - 1.0).abs() < 0.15, "rank {rank}: {seen} against {expected}");
        }
    }

    #[test]
    fn the_largest_record_leaves_room_for_padding() {
        let workload = Workload::new(7, MAX_KEYS, None).unwrap().with_payload_bytes(MIN_PAYLOAD).unwrap();
        let event = Event {
            event_type: EventType::Purchase,
            key: MAX_KEYS,
            value: 1000,
            ..workload.event(u64::MAX, i64::MAX)
        };
        let mut record = Vec::new();
        workload.encode(u64::MAX, &event, &mut record);
        assert_eq!(record.len(), MIN_PAYLOAD);
    }

    #[test]
    fn events_out_of_order_happened_before_they_are_sent() {
        let plain = Workload::new(7, 10, None).unwrap();
        let mixed = plain.clone().with_out_of_order(0.1, 5_000).unwrap();
        let (at_us, mut behind) = (1_700_000_000_123_456, Vec::new());
        for index in 0..100_000 {
            let event = mixed.event(index, at_us);
            let ms = at_us / 1000 - event.produced_at;
            assert_eq!(Event { produced_at: at_us / 1000, ..event }, plain.event(index, at_us));
            assert_eq!(event, mixed.event(index, at_us));
            behind.extend((ms != 0).then_some(ms));
            assert!(!mixed.is_late(index));
        }
        assert!((9_500..10_500).contains(&behind.len()), "{}", behind.len());
        assert!(behind.iter().all(|ms| (1..=5_000).contains(ms)));
        assert!(behind.contains(&5_000) && behind.iter().any(|ms| *ms < 5));
        let mean = behind.iter().sum::<i64>() / behind.len() as i64;
        assert!((2_400..2_600).contains(&mean), "{mean}");
        let all = plain.with_out_of_order(1.0, 1).unwrap();
        assert!((0..1_000).all(|index| all.event(index, at_us).produced_at == at_us / 1000 - 1));
    }

    #[test]
    fn late_events_begin_at_their_index() {
        let plain = Workload::new(7, 10, None).unwrap();
        let mixed = plain.with_out_of_order(0.5, 1_000).unwrap().with_late(0.01, 40_000, 50_000).unwrap();
        let late: Vec<u64> = (0..150_000).filter(|&index| mixed.is_late(index)).collect();
        assert!(late[0] >= 50_000 && (900..1_100).contains(&late.len()), "{}", late.len());
        assert_eq!(mixed.late_in(0, 150_000), late.len() as u64);
        assert_eq!(
            (mixed.late_in(late[0], 1), mixed.late_in(late[0] + 1, 1), mixed.late_in(0, 50_000)),
            (1, 0, 0)
        );
        for index in 0..150_000 {
            let ms = 1_700_000_000_000 - mixed.event(index, 1_700_000_000_000_999).produced_at;
            assert_eq!(ms == 40_000, mixed.is_late(index), "{index}: {ms}");
            assert!(ms == 40_000 || (0..=1_000).contains(&ms));
        }
    }

    #[test]
    fn shards_share_the_keys_out_evenly() {
        let workload = Workload::new(7, 10_000, None).unwrap();
        let mut sent = [0_u32; 4];
        for index in 0..40_000 {
            sent[Workload::shard_of(&workload.event(index, 0), 4) as usize] += 1;
        }
        assert!(sent.iter().all(|&count| (9_000..11_000).contains(&count)), "{sent:?}");
    }

    #[test]
    fn bad_parameters_are_refused() {
        assert!(Workload::new(1, 0, None).is_err());
        assert!(Workload::new(1, MAX_KEYS + 1, None).is_err());
        assert!(Workload::new(1, 10, Some(-1.0)).is_err());
        assert!(Workload::new(1, 10, Some(f64::NAN)).is_err());
        for (share, ms) in [(0.0, 1), (-0.1, 1), (1.1, 1), (f64::NAN, 1), (0.5, 0), (0.5, MAX_BEHIND_MS + 1)]
        {
            let workload = || Workload::new(1, 10, None).unwrap();
            assert!(workload().with_out_of_order(share, ms).is_err());
            assert!(workload().with_late(share, ms, 0).is_err());
        }
        for bytes in [0, MIN_PAYLOAD - 1, MAX_PAYLOAD + 1] {
            assert!(Workload::new(1, 10, None).unwrap().with_payload_bytes(bytes).is_err());
        }
    }
}
