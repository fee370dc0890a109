//! The event on the wire: encode without allocating, decode fast, fall back to a strict JSON parser.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

use crate::stamp::{Stamp, StampPath};

/// What happened. Half of the events are clicks, four in ten views, one in ten purchases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// A click.
    Click = 0,
    /// A view: what pattern 01 filters out.
    View = 1,
    /// A purchase.
    Purchase = 2,
}

impl EventType {
    /// The name on the wire.
    #[inline]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::View => "view",
            Self::Purchase => "purchase",
        }
    }
}

/// A UUID of version 8: 58 bits of run tag and 64 bits that the workload made from the event's index.
///
/// No library writes or reads it. With the crate `uuid`, `cargo bench` shows the same 54 ns for a record that is
/// written, and 6.4 ms instead of 6.0 ms for the relay's oracle, which reads two ids for each event. The tests compare
/// both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId(u128);

/// 1 in each byte of a word.
const ONES: u64 = u64::MAX / 0xff;
/// The highest bit of each byte of a word.
const HIGH: u64 = ONES << 7;

/// Eight hexadecimal digits in lower case, of nibbles that each have a byte of their own.
#[inline]
const fn digits_of(nibbles: u64) -> u64 {
    let letters = (nibbles.wrapping_add(ONES * 6) >> 4) & ONES;
    nibbles + ONES * 0x30 + letters * 0x27
}

/// The eight hexadecimal digits of a number.
#[inline]
const fn hex(number: u32) -> [u8; 8] {
    let mut word = number as u64;
    word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    word = (word | word << 4) & (ONES * 0xf);
    digits_of(word).to_be_bytes()
}

/// The number of eight hexadecimal digits, in upper or lower case.
#[inline]
const fn unhex(digits: [u8; 8]) -> Option<u32> {
    let word = u64::from_be_bytes(digits);
    let letters = (word >> 6) & ONES;
    let mut nibbles = (word & (ONES * 0xf)) + letters * 9;
    // Whatever is no digit comes out as another one, or as none.
    if nibbles & (ONES * 0xf0) != 0 || digits_of(nibbles) != word | (letters << 5) {
        return None;
    }
    nibbles = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles >> 8) & 0x0000_ffff_0000_ffff;
    Some((nibbles | nibbles >> 16) as u32)
}

impl EventId {
    /// From a run tag (its low 58 bits) and 64 bits of content.
    #[inline]
    pub(crate) const fn new(tag: u64, content: u64) -> Self {
        let upper = (tag << 2) | (content >> 62);
        let upper = ((upper >> 12) << 16) | 0x8000 | (upper & 0xfff);
        let lower = (0b10 << 62) | (content & (u64::MAX >> 2));
        Self(((upper as u128) << 64) | lower as u128)
    }

    /// The run tag and the content, or `None` for a UUID of another version or variant.
    #[inline]
    pub(crate) const fn parts(self) -> Option<(u64, u64)> {
        let (upper, lower) = ((self.0 >> 64) as u64, self.0 as u64);
        if upper & 0xf000 != 0x8000 || lower >> 62 != 0b10 {
            return None;
        }
        let joined = ((upper >> 16) << 12) | (upper & 0xfff);
        Some((joined >> 2 & (u64::MAX >> 6), (joined << 62) | (lower & (u64::MAX >> 2))))
    }

    /// Reads the 36-character form.
    #[inline]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: &[u8; 36] = text.try_into().ok()?;
        if text[8] != b'-' || text[13] != b'-' || text[18] != b'-' || text[23] != b'-' {
            return None;
        }
        let mut value = 0_u128;
        for [first, second] in HALVES {
            let mut digits = [0; 8];
            digits[..4].copy_from_slice(&text[first..first + 4]);
            digits[4..].copy_from_slice(&text[second..second + 4]);
            value = (value << 32) | u128::from(unhex(digits)?);
        }
        Some(Self(value))
    }

    #[inline]
    pub(crate) fn text(self) -> [u8; 36] {
        let mut text = [b'-'; 36];
        for (number, [first, second]) in HALVES.into_iter().enumerate() {
            let digits = hex((self.0 >> (96 - 32 * number)) as u32);
            text[first..first + 4].copy_from_slice(&digits[..4]);
            text[second..second + 4].copy_from_slice(&digits[4..]);
        }
        text
    }
}

/// Where the halves of each of the UUID's four 32-bit parts stand in its text.
const HALVES: [[usize; 2]; 4] = [[0, 4], [9, 14], [19, 24], [28, 32]];

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

/// One event of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id, which inverts to its index.
    pub event_id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// The number of its key, from 1: `user_<key>` on the wire.
    pub key: u32,
    /// 1 to 1000.
    pub value: u32,
    /// Its event time, ms since the Unix epoch: the intended time, rounded down, or a time before it where the workload
    /// has events out of order or late ones.
    pub produced_at: i64,
    /// When it is intended to be sent, µs since the Unix epoch.
    pub scheduled_at_us: i64,
}

impl Event {
    /// Replaces `buffer` by the Kafka key, `user_<key>`.
    #[inline]
    pub fn encode_key(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(b"user_");
        buffer.extend_from_slice(itoa::Buffer::new().format(self.key).as_bytes());
    }

    /// Replaces `buffer` by the JSON record. Allocates nothing once the buffer has grown to 256 bytes.
    #[inline]
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        let (mut number, mut scheduled) = (itoa::Buffer::new(), itoa::Buffer::new());
        let mut line = Line { bytes: [0; 256], length: 0 };
        line.put(b"{\"event_id\":\"");
        line.put(&self.event_id.text());
        line.put(b"\",\"event_type\":\"");
        line.put(self.event_type.name().as_bytes());
        line.put(b"\",\"key\":\"user_");
        line.put(number.format(self.key).as_bytes());
        line.put(b"\",\"value\":");
        line.put(number.format(self.value).as_bytes());
        let scheduled = scheduled.format(self.scheduled_at_us).as_bytes();
        line.put(b",\"produced_at\":");
        // What was formatted once is not formatted again.
        if self.scheduled_at_us >= 1000 && self.produced_at == self.scheduled_at_us / 1000 {
            line.put(&scheduled[..scheduled.len() - 3]);
        } else {
            line.put(number.format(self.produced_at).as_bytes());
        }
        line.put(b",\"scheduled_at_us\":");
        line.put(scheduled);
        line.put(b"}");
        buffer.clear();
        buffer.extend_from_slice(&line.bytes[..line.length]);
    }

    /// Whether a decoded record has this event's content in all six fields.
    #[inline]
    pub fn matches(&self, record: &Record<'_>) -> bool {
        record.value == i64::from(self.value)
            && record.scheduled_at_us == self.scheduled_at_us
            && record.produced_at == self.produced_at
            && record.event_type == self.event_type.name()
            && record.event_id.as_bytes() == self.event_id.text()
            && self.has_key(record.key.as_bytes())
    }

    /// Whether `key` is this event's key on the wire.
    #[inline]
    pub fn has_key(&self, key: &[u8]) -> bool {
        key.strip_prefix(b"user_")
            .is_some_and(|number| number == itoa::Buffer::new().format(self.key).as_bytes())
    }
}

/// A record that is being written, and copied out whole: the largest one has 192 bytes.
struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    #[inline]
    fn put(&mut self, text: &[u8]) {
        self.bytes[self.length..self.length + text.len()].copy_from_slice(text);
        self.length += text.len();
    }
}

/// A record as it was read: nothing is known about its content but that it has the six fields.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Record<'a> {
    /// As it stands in the record.
    #[serde(borrow)]
    pub event_id: Cow<'a, str>,
    /// As it stands in the record.
    #[serde(borrow)]
    pub event_type: Cow<'a, str>,
    /// As it stands in the record.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// An integer.
    pub value: i64,
    /// ms since the Unix epoch.
    pub produced_at: i64,
    /// µs since the Unix epoch.
    pub scheduled_at_us: i64,
}

/// Why a record could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(String);

impl DecodeError {
    pub(crate) fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }

    /// Whether the record is sound and only lacks the field that was asked for.
    pub fn is_missing_field(&self) -> bool {
        self.0.starts_with(MISSING_FIELD)
    }
}

pub(crate) const MISSING_FIELD: &str = "missing field";
/// A bit for each of the six fields.
const ALL_FIELDS: u8 = 63;

impl<'a> Record<'a> {
    /// Reads a record: fields in any order, whitespace and escapes allowed, other fields ignored.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not one JSON object in UTF-8 with each of the six fields once and of its type.
    #[inline]
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        match Self::decode_fast(payload) {
            Some(record) => Ok(record),
            None => Self::decode_strict(payload),
        }
    }

    fn decode_fast(payload: &'a [u8]) -> Option<Self> {
        let mut scan = Scan::object(payload)?;
        let mut record = Self {
            event_id: Cow::Borrowed(""),
            event_type: Cow::Borrowed(""),
            key: Cow::Borrowed(""),
            value: 0,
            produced_at: 0,
            scheduled_at_us: 0,
        };
        let mut seen = 0_u8;
        if let Some(fields) = scan.in_order() {
            record = Self {
                event_id: Cow::Borrowed(ascii(fields.event_id)?),
                event_type: Cow::Borrowed(ascii(fields.event_type)?),
                key: Cow::Borrowed(ascii(fields.key)?),
                value: fields.value,
                produced_at: fields.produced_at,
                scheduled_at_us: fields.scheduled_at_us,
            };
            if scan.last()? {
                return Some(record);
            }
            seen = ALL_FIELDS;
        }
        loop {
            let bit = match scan.name()? {
                b"event_id" => {
                    record.event_id = Cow::Borrowed(scan.text()?);
                    1
                }
                b"event_type" => {
                    record.event_type = Cow::Borrowed(scan.text()?);
                    2
                }
                b"key" => {
                    record.key = Cow::Borrowed(scan.text()?);
                    4
                }
                b"value" => {
                    record.value = scan.integer()?;
                    8
                }
                b"produced_at" => {
                    record.produced_at = scan.integer()?;
                    16
                }
                b"scheduled_at_us" => {
                    record.scheduled_at_us = scan.integer()?;
                    32
                }
                // Another field, such as the padding.
                _ => {
                    scan.scalar()?;
                    0
                }
            };
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            if scan.last()? {
                break;
            }
        }
        (seen == ALL_FIELDS).then_some(record)
    }

    fn decode_strict(payload: &'a [u8]) -> Result<Self, DecodeError> {
        serde_json::from_str(utf8(payload)?).map_err(|error| DecodeError(error.to_string()))
    }
}

/// The bytes are ASCII; the check is cheap against an unsafe block that would need proving.
#[inline]
fn ascii(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

pub(crate) fn utf8(payload: &[u8]) -> Result<&str, DecodeError> {
    if payload.is_empty() {
        return Err(DecodeError("the record is empty".to_owned()));
    }
    std::str::from_utf8(payload).map_err(|error| DecodeError(error.to_string()))
}

/// A field that holds a time stamp, see [`StampPath`]; rtmbench's own records and flat ones are read fast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampField {
    path: StampPath,
    /// Where the field is in a record that has the generator's order.
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    ProducedAt,
    ScheduledAt,
    /// It is none of an event's two time stamps.
    Elsewhere,
}

impl TimestampField {
    /// The field of that name in the record itself.
    pub fn new(name: &str) -> Self {
        Self::detected(&StampPath::flat(name))
    }

    /// The field at that path.
    pub fn detected(path: &StampPath) -> Self {
        let place = match path.text() {
            "produced_at" => Place::ProducedAt,
            "scheduled_at_us" => Place::ScheduledAt,
            _ => Place::Elsewhere,
        };
        Self { path: path.clone(), place }
    }

    /// The time stamp of a record. The whole record is checked, so that a truncated one is no sample.
    ///
    /// # Errors
    /// As for [`StampPath::decode`].
    #[inline]
    pub fn decode(&self, payload: &[u8]) -> Result<Stamp, DecodeError> {
        match self.path.is_flat().then(|| self.decode_fast(payload)).flatten() {
            Some(raw) => self.path.of_integer(raw),
            None => self.path.decode(payload),
        }
    }

    fn decode_fast(&self, payload: &[u8]) -> Option<i64> {
        let mut scan = Scan::object(payload)?;
        let mut found = None;
        if self.place != Place::Elsewhere
            && let Some(fields) = scan.in_order()
        {
            let scheduled = self.place == Place::ScheduledAt;
            found = Some(if scheduled { fields.scheduled_at_us } else { fields.produced_at });
            if scan.last()? {
                return found;
            }
        }
        loop {
            if scan.name()? == self.path.text().as_bytes() {
                if found.is_some() {
                    return None;
                }
                found = Some(scan.integer()?);
            } else {
                scan.scalar()?;
            }
            if scan.last()? {
                return found;
            }
        }
    }
}

/// Whether a byte may stand in a string as it is: printable ASCII, no quote, no backslash.
#[inline]
const fn is_plain(byte: u8) -> bool {
    byte != b'"' && byte != b'\\' && byte >= 0x20 && byte < 0x7f
}

/// Marks the bytes of a word that are not plain; above the lowest mark there may be false ones.
#[inline]
const fn odd_bytes(word: u64) -> u64 {
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let delete_or_above = word.wrapping_add(ONES) | word;
    (zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c)) | below_space | delete_or_above) & HIGH
}

/// Where the first byte stands that is not plain: it ends the string, or the fast path. Eight bytes at a time,
/// because most of a record lies between quotes.
#[inline]
fn plain_length(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks();
    for (number, &word) in words.iter().enumerate() {
        let odd = odd_bytes(u64::from_le_bytes(word));
        if odd != 0 {
            return Some(8 * number + odd.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&byte| !is_plain(byte)).map(|at| 8 * words.len() + at)
}

/// The number that the decimal digits at the start of `bytes` are, and how many there are. Beyond 18 of them the
/// number is wrong. The crate `atoi_simd` is no faster here: without flags for a newer CPU it has no SIMD on `x86_64`.
#[inline]
fn leading_digits(bytes: &[u8]) -> (i64, usize) {
    const TENS: [i64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    let (mut value, mut count) = (0_i64, 0);
    while let Some(&word) = bytes[count..].first_chunk() {
        let word = u64::from_le_bytes(word) ^ (ONES * 0x30);
        // Marks what is above 9; as in `odd_bytes`, the lowest mark is true.
        let above = (word | word.wrapping_add(ONES * 0x76)) & HIGH;
        let digits = above.trailing_zeros() as usize / 8;
        if digits == 0 {
            return (value, count);
        }
        let number = eight_digits(word << (64 - 8 * digits));
        value = value.wrapping_mul(TENS[digits]).wrapping_add(number);
        count += digits;
        if digits < 8 {
            return (value, count);
        }
    }
    while let Some(digit) = bytes.get(count).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        count += 1;
    }
    (value, count)
}

/// The number of eight digits' values, the first one in the lowest byte: pairs, then fours, then all of them.
#[inline]
const fn eight_digits(word: u64) -> i64 {
    const LANES: u64 = 0x0000_00ff_0000_00ff;
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let first = (pairs & LANES).wrapping_mul(100 + (1_000_000 << 32));
    let second = ((pairs >> 16) & LANES).wrapping_mul(1 + (10_000 << 32));
    (first.wrapping_add(second) >> 32) as i64
}

/// A scanner of flat JSON objects without whitespace, escapes and non-ASCII text. Whatever it does not
/// know it gives up on; the strict parser then decides.
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    /// Never beyond the end.
    at: usize,
}

/// An event's fields as they stand in a record.
struct InOrder<'a> {
    event_id: &'a [u8],
    event_type: &'a [u8],
    key: &'a [u8],
    value: i64,
    produced_at: i64,
    scheduled_at_us: i64,
}

impl<'a> Scan<'a> {
    #[inline]
    pub(crate) fn object(bytes: &'a [u8]) -> Option<Self> {
        (bytes.first() == Some(&b'{')).then_some(Self { bytes, at: 1 })
    }

    #[inline]
    fn literal<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        if self.bytes[self.at..].first_chunk::<N>()? != text {
            return None;
        }
        self.at += N;
        Some(())
    }

    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        self.literal(b"\"")?;
        self.string_after_quote()
    }

    #[inline]
    fn string_after_quote(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = plain_length(rest)?;
        if rest[length] != b'"' {
            return None;
        }
        self.at += length + 1;
        Some(&rest[..length])
    }

    /// The six fields in the generator's order, which is also what an engine writes that keeps it. `None`, and
    /// nothing read, where anything else stands.
    #[inline]
    fn in_order(&mut self) -> Option<InOrder<'a>> {
        let mut scan = Self { bytes: self.bytes, at: self.at };
        scan.literal(b"\"event_id\":\"")?;
        let event_id = scan.string_after_quote()?;
        scan.literal(b",\"event_type\":\"")?;
        let event_type = scan.string_after_quote()?;
        scan.literal(b",\"key\":\"")?;
        let key = scan.string_after_quote()?;
        scan.literal(b",\"value\":")?;
        let value = scan.integer()?;
        scan.literal(b",\"produced_at\":")?;
        let produced_at = scan.integer()?;
        scan.literal(b",\"scheduled_at_us\":")?;
        let scheduled_at_us = scan.integer()?;
        self.at = scan.at;
        Some(InOrder { event_id, event_type, key, value, produced_at, scheduled_at_us })
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        ascii(self.string()?)
    }

    #[inline]
    pub(crate) fn name(&mut self) -> Option<&'a [u8]> {
        let name = self.string()?;
        if self.bytes.get(self.at) != Some(&b':') {
            return None;
        }
        self.at += 1;
        Some(name)
    }

    #[inline]
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let negative = self.bytes.get(self.at) == Some(&b'-');
        let from = self.at + usize::from(negative);
        let (value, digits) = leading_digits(&self.bytes[from..]);
        // 18 digits cannot overflow; a leading zero is not JSON; `.`, `e` and the rest end in `last`.
        if digits == 0 || digits > 18 || (digits > 1 && self.bytes[from] == b'0') {
            return None;
        }
        self.at = from + digits;
        Some(if negative { -value } else { value })
    }

    /// A number without an exponent.
    #[inline]
    pub(crate) fn float(&mut self) -> Option<f64> {
        let from = self.at;
        self.integer()?;
        if self.bytes.get(self.at) == Some(&b'.') {
            let fraction = self.at + 1;
            let digits = self.bytes[fraction..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            self.at = fraction + digits;
        }
        std::str::from_utf8(&self.bytes[from..self.at]).ok()?.parse().ok()
    }

    #[inline]
    fn scalar(&mut self) -> Option<()> {
        if self.bytes.get(self.at) == Some(&b'"') {
            self.string().map(drop)
        } else {
            self.integer().map(drop)
        }
    }

    /// Whether the object ends here (and the record with it); `None` where neither `,` nor `}` stands.
    #[inline]
    pub(crate) fn last(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        match byte {
            b',' => Some(false),
            b'}' if self.at == self.bytes.len() => Some(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::workload::Workload;

    proptest! {
        #[test]
        fn the_plain_stretch_is_found(mut bytes in proptest::collection::vec(0x20..0x7f_u8, 0..300), at: prop::sample::Index, odd: u8) {
            let plain = |&byte: &u8| byte != b'"' && byte != b'\\' && (0x20..0x7f).contains(&byte);
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = odd;
            }
            prop_assert_eq!(plain_length(&bytes), bytes.iter().position(|byte| !plain(byte)));
        }

        #[test]
        fn ids_are_read_as_the_library_reads_numbers(number: u32, at in 0..8_usize, odd: u8) {
            prop_assert_eq!(hex(number).to_vec(), format!("{number:08x}").into_bytes());
            let mut digits = hex(number);
            digits[at] = odd;
            let expected = digits.iter().all(u8::is_ascii_hexdigit).then(|| {
                u32::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            });
            prop_assert_eq!(unhex(digits), expected);
        }

        #[test]
        fn ids_are_written_and_read_as_the_uuid_crate_does(seed: u64, index: u64, at in 0..36_usize, other: u8) {
            let id = Workload::new(seed, 100, None).unwrap().event_id(index);
            let expected = uuid::Uuid::from_u128(id.0);
            prop_assert_eq!((expected.get_version_num(), expected.get_variant()), (8, uuid::Variant::RFC4122));
            prop_assert_eq!(id.to_string(), expected.to_string());
            let mut text = id.text();
            text[at] = other;
            let expected = uuid::Uuid::try_parse_ascii(&text).ok().map(|read| read.as_u128());
            prop_assert_eq!(EventId::parse(&text).map(|read| read.0), expected);
        }

        #[test]
        fn digits_are_read_as_the_library_reads_them(number in 0..1_000_000_000_000_000_000_u64, width in 1..19_usize, rest in "[^0-9]?.{0,12}") {
            let digits = format!("{number:0width$}");
            let text = format!("{digits}{rest}");
            let more = text.bytes().take_while(u8::is_ascii_digit).count();
            let (value, count) = leading_digits(text.as_bytes());
            prop_assert_eq!(count, more);
            if count <= 18 {
                prop_assert_eq!(value, text[..count].parse::<i64>().unwrap());
            }
        }

        #[test]
        fn padding_changes_nothing_but_the_length(seed: u64, index: u64, scheduled in 1..4_000_000_000_000_000_i64, size in 256..5_000_usize) {
            let workload = Workload::new(seed, 100, None).unwrap().with_payload_bytes(size).unwrap();
            let event = workload.event(index, scheduled);
            let mut bytes = Vec::new();
            workload.encode(index, &event, &mut bytes);
            prop_assert_eq!(bytes.len(), size);
            let fast = Record::decode_fast(&bytes).expect("padded records take the fast path too");
            prop_assert_eq!(&fast, &Record::decode_strict(&bytes).unwrap());
            prop_assert!(event.matches(&fast));
            prop_assert_eq!(TimestampField::new("scheduled_at_us").decode_fast(&bytes), Some(scheduled));
            let mut again = Vec::new();
            workload.encode(index, &event, &mut again);
            prop_assert_eq!(bytes, again);
        }
    }

    fn encoded(event: &Event) -> Vec<u8> {
        let mut buffer = Vec::new();
        event.encode(&mut buffer);
        buffer
    }

    #[test]
    fn the_largest_and_the_earliest_event_have_room() {
        let event_id = EventId::new(u64::MAX, u64::MAX);
        let event = |scheduled_at_us: i64| Event {
            event_id,
            event_type: EventType::Purchase,
            key: u32::MAX,
            value: u32::MAX,
            produced_at: scheduled_at_us.div_euclid(1000),
            scheduled_at_us,
        };
        assert_eq!(encoded(&Event { produced_at: i64::MIN, ..event(i64::MIN) }).len(), 192);
        for scheduled_at_us in [i64::MIN, -1_000, -999, -1, 0, 1, 999, 1_000, 1_001, i64::MAX] {
            let event = event(scheduled_at_us);
            let bytes = encoded(&event);
            let record = Record::decode(&bytes).unwrap();
            assert!(event.matches(&record), "{record:?}");
            assert_eq!(record.produced_at, scheduled_at_us.div_euclid(1000));
            let before = Event { produced_at: event.produced_at.saturating_sub(1), ..event };
            assert!(!before.matches(&record) && before.matches(&Record::decode(&encoded(&before)).unwrap()));
        }
    }

    #[test]
    fn the_record_is_the_contract() {
        let event = Workload::new(1, 100, None).unwrap().event(0, 1_700_000_000_123_456);
        let text = String::from_utf8(encoded(&event)).unwrap();
        let expected = format!(
            "{{\"event_id\":\"{}\",\"event_type\":\"{}\",\"key\":\"user_{}\",\"value\":{},\
             \"produced_at\":1700000000123,\"scheduled_at_us\":1700000000123456}}",
            event.event_id,
            event.event_type.name(),
            event.key,
            event.value
        );
        assert_eq!(text, expected);
    }

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(seed: u64, index: u64, scheduled in 1_000_000_000_000_000..4_000_000_000_000_000_i64, keys in 1..1000_u32) {
            let event = Workload::new(seed, keys, None).unwrap().event(index, scheduled);
            let bytes = encoded(&event);
            let fast = Record::decode_fast(&bytes).expect("our own records take the fast path");
            prop_assert_eq!(&fast, &Record::decode_strict(&bytes).unwrap());
            prop_assert!(event.matches(&fast));
            prop_assert_eq!(TimestampField::new("scheduled_at_us").decode_fast(&bytes), Some(scheduled));
            let produced = TimestampField::new("produced_at").decode(&bytes);
            prop_assert_eq!(produced.map(|stamp| stamp.at_us).ok(), Some(scheduled / 1000 * 1000));
        }

        #[test]
        fn fast_and_strict_agree_on_any_text(key in ".*", event_type in ".*", value: i64, produced_at: i64, scheduled_at_us: i64) {
            let json = serde_json::json!({
                "event_type": event_type, "scheduled_at_us": scheduled_at_us, "key": key, "value": value,
                "event_id": "x", "produced_at": produced_at,
            });
            let bytes = serde_json::to_vec(&json).unwrap();
            let record = Record::decode(&bytes).unwrap();
            prop_assert_eq!((record.key.as_ref(), record.event_type.as_ref()), (key.as_str(), event_type.as_str()));
            prop_assert_eq!((record.value, record.produced_at, record.scheduled_at_us), (value, produced_at, scheduled_at_us));
        }

        #[test]
        fn any_bytes_decode_or_err_alike(bytes: Vec<u8>) {
            // No panic; and what the fast path takes, the strict one takes too.
            if let Some(fast) = Record::decode_fast(&bytes) {
                prop_assert_eq!(fast, Record::decode_strict(&bytes).unwrap());
            }
            let _ = TimestampField::new("scheduled_at_us").decode(&bytes);
        }
    }

    #[test]
    fn a_mutated_byte_never_makes_the_paths_disagree() {
        let event = Workload::new(3, 100, None).unwrap().event(42, 1_700_000_000_123_456);
        let bytes = encoded(&event);
        let (field, path) = (TimestampField::new("scheduled_at_us"), StampPath::flat("scheduled_at_us"));
        for at in 0..bytes.len() {
            for replacement in [0, b' ', b'"', b'\\', b'-', b'.', b'0', b'9', b'e', b'}', b',', 0x7f, 0xc3] {
                let mut mutant = bytes.clone();
                mutant[at] = replacement;
                if let Some(fast) = Record::decode_fast(&mutant) {
                    assert_eq!(Some(fast), Record::decode_strict(&mutant).ok(), "{mutant:?}");
                }
                if let Some(fast) = field.decode_fast(&mutant) {
                    assert_eq!(path.of_integer(fast), path.decode(&mutant), "{mutant:?}");
                }
            }
            assert!(Record::decode(&bytes[..at]).is_err());
            assert!(field.decode(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn other_shapes_are_read() {
        let spaced =
            br#" { "scheduled_at_us" : 1700000000123456 , "extra":{"a":[1,null]}, "value":1, "key":"\u0075ser_1",
            "event_id":"x", "event_type":"view", "produced_at":1700000000123 } "#;
        let record = Record::decode(spaced).unwrap();
        assert_eq!((record.key.as_ref(), record.scheduled_at_us), ("user_1", 1_700_000_000_123_456));
        let at_us =
            |name: &str, record: &[u8]| TimestampField::new(name).decode(record).map(|stamp| stamp.at_us);
        assert_eq!(at_us("scheduled_at_us", spaced), Ok(1_700_000_000_123_456));
        assert_eq!(at_us("produced_at", spaced), Ok(1_700_000_000_123_000));
        assert_eq!(
            at_us("produced_at", br#"{"produced_at":1700000000123,"avg":1.5}"#),
            Ok(1_700_000_000_123_000)
        );
    }

    #[test]
    fn malformed_records_are_errors() {
        let field = TimestampField::new("scheduled_at_us");
        for bad in [
            &b""[..],
            b"{",
            b"{}",
            b"null",
            b"[]",
            b"17",
            b"\"scheduled_at_us\"",
            br#"{"scheduled_at_us":}"#,
            br#"{"scheduled_at_us":"5000"}"#,
            br#"{"scheduled_at_us":5000.0}"#,
            br#"{"scheduled_at_us":5e3}"#,
            br#"{"scheduled_at_us":NaN}"#,
            br#"{"scheduled_at_us":null}"#,
            br#"{"scheduled_at_us":true}"#,
            br#"{"scheduled_at_us":-5000}"#,
            br#"{"scheduled_at_us":0}"#,
            br#"{"scheduled_at_us":05000}"#,
            br#"{"scheduled_at_us":99999999999999999999}"#,
            br#"{"scheduled_at_us":5000,"scheduled_at_us":5000}"#,
            br#"{"scheduled_at_us":5000}{"#,
            br#"{"scheduled_at_us":5000},"#,
            br#"{"scheduled_at_us":5000,}"#,
            br#"{"Scheduled_at_us":5000}"#,
            b"{\"scheduled_at_us\":5000,\"key\":\"\xff\"}",
            b"\xef\xbb\xbf{\"scheduled_at_us\":5000}",
        ] {
            assert!(field.decode(bad).is_err(), "{}", String::from_utf8_lossy(bad));
            assert!(Record::decode(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(
            TimestampField::new("produced_at").decode(br#"{"produced_at":9223372036854775807}"#).is_err()
        );
    }
}
