//! What identifies a record, and its values: hashes that do not depend on the order of fields or on how numbers are
//! written.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::error::{Error, Result};
use crate::event::{DecodeError, utf8};
use crate::stamp::StampPath;

/// The most fields that identify a record.
pub const MAX_KEYS: usize = 16;
/// The name of the record's Kafka key among the fields.
pub const KAFKA_KEY: &str = "kafka";
/// Doubles up to this one hold every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Rounded numbers change their magnitude at 0.501, 5.01, 50.1 …, where few values are, and not at 1, 10, 100 ….
const OFF_ROUND: f64 = 0.3;

/// A digest of a record's values. Two records are equal if either hash is: with rounding, a number near the edge of a
/// step of one grid lies in the middle of a step of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Without rounding, the only one; else that of the grid whose steps have the rounded numbers in their middle.
    pub exact: u64,
    /// That of the grid whose steps begin at the rounded numbers.
    pub shifted: u64,
}

impl Digest {
    /// Of a record without a value.
    const TOMBSTONE: Self = Self::both(1);

    const fn both(hash: u64) -> Self {
        Self { exact: hash, shifted: hash }
    }

    /// Whether two records have the same values.
    pub fn agrees(self, other: Self) -> bool {
        self.exact == other.exact || self.shifted == other.shifted
    }
}

/// Which fields identify a record, and which of the others count.
#[derive(Clone, Debug)]
pub struct Fields {
    keys: Vec<String>,
    kafka_key: bool,
    window: Option<StampPath>,
    ignored: Vec<String>,
    digits: Option<i32>,
}

impl Fields {
    /// The fields that identify a record (`kafka`: its Kafka key), the one that holds the time of its window, those
    /// that do not count, and to how many significant digits numbers are rounded. A name with dots is a field in
    /// another.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no key or more than [`MAX_KEYS`], an empty name, a name given twice, or digits that are
    /// not 1 to 15.
    pub fn new(
        keys: &[String],
        window: Option<&str>,
        ignored: &[String],
        digits: Option<u32>,
    ) -> Result<Self> {
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(Error::Invalid(format!(
                "name 1 to {MAX_KEYS} fields that identify a record, not {}",
                keys.len()
            )));
        }
        let names: Vec<&str> = keys.iter().chain(ignored).map(String::as_str).chain(window).collect();
        for (index, name) in names.iter().enumerate() {
            StampPath::new(name)?;
            if names[..index].contains(name) {
                return Err(Error::Invalid(format!("the field `{name}` is named twice")));
            }
        }
        if digits.is_some_and(|digits| !(1..=15).contains(&digits)) {
            return Err(Error::Invalid("numbers have 1 to 15 significant digits".to_owned()));
        }
        Ok(Self {
            kafka_key: keys.iter().any(|name| name == KAFKA_KEY),
            keys: keys.iter().filter(|name| *name != KAFKA_KEY).cloned().collect(),
            window: window.map(StampPath::new).transpose()?,
            ignored: ignored.to_vec(),
            digits: digits.map(|digits| digits as i32),
        })
    }

    /// A text that is equal for fields with the same meaning.
    pub fn text(&self) -> String {
        format!(
            "keys {:?}, kafka key {}, window {:?}, ignored {:?}, digits {:?}",
            self.keys,
            self.kafka_key,
            self.window.as_ref().map(StampPath::text),
            self.ignored,
            self.digits
        )
    }

    /// The identity of a record and the digest of its other values.
    ///
    /// # Errors
    /// [`DecodeError`] where the record is not JSON, or lacks a field that identifies it.
    pub fn read(
        &self,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) -> std::result::Result<(u64, Digest), DecodeError> {
        let mut identity = SipHasher13::new();
        if self.kafka_key {
            let key = key.ok_or_else(|| DecodeError::new(format_args!("the record has no Kafka key")))?;
            identity.write_u64(text_hash(key));
        }
        let Some(payload) = payload else {
            if self.keys.is_empty() && self.window.is_none() {
                return Ok((identity.finish(), Digest::TOMBSTONE));
            }
            return Err(DecodeError::new(format_args!("a tombstone: the record has no value")));
        };
        let mut rules = [Rule::NONE; 4 * MAX_KEYS];
        let mut more = Vec::new();
        let rules = self.rules(&mut rules, &mut more);
        let mut keys = [None; MAX_KEYS];
        let mut deserializer = serde_json::Deserializer::from_str(utf8(payload)?);
        let value = Value { rules, keys: &mut keys, digits: self.digits }.deserialize(&mut deserializer);
        let digest = value
            .and_then(|digest| deserializer.end().map(|()| digest))
            .map_err(|error| DecodeError::new(&error))?;
        for (name, hash) in self.keys.iter().zip(keys) {
            let hash =
                hash.ok_or_else(|| DecodeError::new(format_args!("the record has no field `{name}`")))?;
            identity.write_u64(hash);
        }
        if let Some(window) = &self.window {
            identity.write_u64(window.decode(payload)?.at_us as u64);
        }
        Ok((identity.finish(), digest))
    }

    /// What is to be done with which field.
    fn rules<'a>(&'a self, some: &'a mut [Rule<'a>], more: &'a mut Vec<Rule<'a>>) -> &'a [Rule<'a>] {
        let keys =
            self.keys.iter().enumerate().map(|(index, name)| Rule { rest: name, role: Role::Key(index) });
        let window = self.window.iter().map(|path| Rule { rest: path.text(), role: Role::Skip });
        let ignored = self.ignored.iter().map(|name| Rule { rest: name, role: Role::Skip });
        let all = keys.chain(window).chain(ignored);
        if self.keys.len() + 1 + self.ignored.len() > some.len() {
            more.extend(all);
            return more;
        }
        let mut count = 0;
        for rule in all {
            some[count] = rule;
            count += 1;
        }
        &some[..count]
    }
}

/// What a field is.
#[derive(Clone, Copy)]
enum Role {
    /// One of those that identify the record.
    Key(usize),
    /// Nothing that counts in the digest.
    Skip,
}

/// What is to be done with the field at the end of a path, of which `rest` is left below here.
#[derive(Clone, Copy)]
struct Rule<'a> {
    rest: &'a str,
    role: Role,
}

impl Rule<'_> {
    const NONE: Self = Self { rest: "", role: Role::Skip };
}

/// A value of the record, with the rules for the fields below it.
struct Value<'a> {
    rules: &'a [Rule<'a>],
    keys: &'a mut [Option<u64>; MAX_KEYS],
    digits: Option<i32>,
}

impl Value<'_> {
    fn number(&self, value: f64) -> Digest {
        match self.digits {
            Some(digits) => rounded(value, digits),
            None if value.fract() == 0.0 && value.abs() <= EXACT => integer(value as i128),
            None => Digest::both(hash(3, &value.to_bits().to_le_bytes())),
        }
    }

    fn whole(&self, value: i128) -> Digest {
        match self.digits {
            // A count is compared with an average that happens to be whole.
            Some(digits) if value.unsigned_abs() <= EXACT as u128 => rounded(value as f64, digits),
            _ => integer(value),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Digest;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Digest, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Digest;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Digest, E> {
        Ok(Digest::both(hash(0, &[])))
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Digest, E> {
        Ok(Digest::both(hash(1, &[u8::from(value)])))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Digest, E> {
        Ok(self.whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Digest, E> {
        Ok(self.whole(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Digest, E> {
        Ok(self.number(value))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Digest, E> {
        Ok(Digest::both(text_hash(value.as_bytes())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> std::result::Result<Digest, A::Error> {
        let mut all = Digest::both(hash(5, &[]));
        while let Some(value) =
            values.next_element_seed(Value { rules: &[], keys: self.keys, digits: self.digits })?
        {
            all = Digest { exact: mix(all.exact, value.exact), shifted: mix(all.shifted, value.shifted) };
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> std::result::Result<Digest, A::Error> {
        let mut all = Digest::both(hash(6, &[]));
        while let Some(name) = fields.next_key_seed(Name)? {
            match self.rules.iter().find(|rule| rule.rest == name) {
                Some(Rule { role: Role::Skip, .. }) => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
                Some(&Rule { role: Role::Key(index), .. }) => {
                    let value = Value { rules: &[], keys: self.keys, digits: None };
                    let digest = fields.next_value_seed(value)?;
                    if self.keys[index].replace(digest.exact).is_some() {
                        return Err(A::Error::custom(format_args!(
                            "the record has the field `{name}` twice"
                        )));
                    }
                    continue;
                }
                None => {}
            }
            let below =
                |rule: &Rule<'_>| rule.rest.strip_prefix(&*name).is_some_and(|rest| rest.starts_with('.'));
            let deeper: Vec<Rule<'_>> = self
                .rules
                .iter()
                .filter(|rule| below(rule))
                .map(|rule| Rule { rest: &rule.rest[name.len() + 1..], role: rule.role })
                .collect();
            let value = Value { rules: &deeper, keys: self.keys, digits: self.digits };
            let value = fields.next_value_seed(value)?;
            // A sum does not depend on the order of the fields.
            let name = text_hash(name.as_bytes());
            all.exact = all.exact.wrapping_add(mix(name, value.exact));
            all.shifted = all.shifted.wrapping_add(mix(name, value.shifted));
        }
        Ok(all)
    }
}

/// A field's name, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a field's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> std::result::Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> std::result::Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

fn integer(value: i128) -> Digest {
    Digest::both(hash(2, &value.to_le_bytes()))
}

/// The steps of both grids that a number lies in.
fn rounded(value: f64, digits: i32) -> Digest {
    if value == 0.0 || !value.is_finite() {
        return Digest::both(hash(4, &value.abs().to_bits().to_le_bytes()));
    }
    let magnitude = (value.abs().log10() + OFF_ROUND).floor() as i32;
    let steps = value / 10_f64.powi(magnitude - digits + 1);
    let step = |steps: f64, grid: u8| {
        let mut bytes = [0; 13];
        bytes[..8].copy_from_slice(&(steps as i64).to_le_bytes());
        bytes[8..12].copy_from_slice(&magnitude.to_le_bytes());
        bytes[12] = grid;
        hash(4, &bytes)
    };
    Digest { exact: step(steps.round(), 0), shifted: step(steps.floor(), 1) }
}

fn text_hash(text: &[u8]) -> u64 {
    hash(7, text)
}

fn hash(kind: u8, bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.write_u8(kind);
    hasher.finish()
}

/// The hash of two hashes, in order.
pub(super) fn mix(first: u64, second: u64) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write_u64(first);
    hasher.write_u64(second);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(keys: &[&str], window: Option<&str>, ignored: &[&str], digits: Option<u32>) -> Fields {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        Fields::new(&owned(keys), window, &owned(ignored), digits).unwrap()
    }

    fn read(fields: &Fields, text: &str) -> (u64, Digest) {
        fields.read(None, Some(text.as_bytes())).unwrap()
    }

    fn error(fields: &Fields, text: &str) -> String {
        fields.read(None, Some(text.as_bytes())).unwrap_err().to_string()
    }

    #[test]
    fn neither_the_order_of_fields_nor_the_spelling_of_a_number_counts() {
        let fields = fields(&["k"], None, &[], None);
        let first = read(&fields, r#"{"k": "a", "n": 5, "x": {"p": [1, 2.5], "q": null}}"#);
        let second = read(&fields, r#"{"x":{"q":null,"p":[1.0,25e-1]},"\u006e":5.0,"k":"\u0061"}"#);
        assert_eq!(first, second);
    }

    #[test]
    fn every_change_of_a_value_counts() {
        let fields = fields(&["k"], None, &[], None);
        let base = read(&fields, r#"{"k": "a", "n": 5, "x": {"p": [1, 2.5]}, "t": "1", "e": []}"#);
        for other in [
            r#"{"k": "a", "n": 6, "x": {"p": [1, 2.5]}, "t": "1", "e": []}"#,
            r#"{"k": "a", "n": 5.0000000001, "x": {"p": [1, 2.5]}, "t": "1", "e": []}"#,
            r#"{"k": "a", "n": 5, "x": {"p": [2.5, 1]}, "t": "1", "e": []}"#,
            r#"{"k": "a", "n": 5, "x": {"p": [1, 2.5]}, "t": 1, "e": []}"#,
            r#"{"k": "a", "n": 5, "x": {"p": [1, 2.5]}, "t": "1", "e": {}}"#,
            r#"{"k": "a", "n": 5, "x": {"p": [1, 2.5]}, "t": "1", "e": null}"#,
            r#"{"k": "a", "n": 5, "x": {"p": [1, 2.5]}, "t": "1"}"#,
            r#"{"k": "a", "n": "1", "x": {"p": [1, 2.5]}, "t": 5, "e": []}"#,
            r#"{"k": "a", "n": 5, "p": [1, 2.5], "t": "1", "e": []}"#,
        ] {
            let other = read(&fields, other);
            assert_eq!(other.0, base.0);
            assert!(!other.1.agrees(base.1));
        }
        assert_ne!(read(&fields, r#"{"k": "b", "n": 5}"#).0, base.0);
        assert_eq!(
            read(&fields, r#"{"k": "b", "n": 5}"#).1,
            read(&fields, r#"{"k": "c", "n": 5}"#).1,
            "the identity is no value"
        );
    }

    #[test]
    fn fields_in_others_identify_and_are_ignored() {
        let fields = fields(&["a.b", "c"], None, &["a.t", "a.b.never", "u"], None);
        let first = read(&fields, r#"{"a": {"b": 1, "t": 99, "v": 3}, "c": 2, "u": {"x": 1}}"#);
        let second = read(&fields, r#"{"c": 2, "a": {"v": 3, "b": 1, "t": [0]}}"#);
        assert_eq!(first, second);
        assert_ne!(read(&fields, r#"{"c": 1, "a": {"v": 3, "b": 2}}"#).0, first.0);
        assert_eq!(error(&fields, r#"{"a": {"t": 1}, "c": 2}"#), "the record has no field `a.b`");
    }

    #[test]
    fn a_window_is_a_time_however_it_is_written() {
        let fields = fields(&["k"], Some("w.start"), &[], None);
        let first = read(&fields, r#"{"k": 1, "w": {"start": 1700000040000}, "n": 2}"#);
        let second = read(&fields, r#"{"k": 1, "w": {"start": "2023-11-14T22:14:00Z"}, "n": 2}"#);
        assert_eq!(first, second);
        assert_ne!(read(&fields, r#"{"k": 1, "w": {"start": 1700000100000}, "n": 2}"#).0, first.0);
    }

    #[test]
    fn rounded_numbers_agree_on_one_of_two_grids() {
        let fields = fields(&["k"], None, &[], Some(9));
        let value = |number: f64| read(&fields, &format!(r#"{{"k": 1, "x": {number:?}}}"#)).1;
        let mut number = 0.1234;
        for _ in 0..20_000 {
            number *= 1.000_77;
            assert!(value(number).agrees(value(number * (1.0 + 4e-16))), "{number}");
            assert!(value(-number).agrees(value(-number * (1.0 - 4e-16))), "{number}");
            assert!(!value(number).agrees(value(number * 1.000_001)), "{number}");
        }
        assert!(value(10.0).agrees(value(9.999_999_999_999_998)));
        assert!(value(1.0).agrees(value(0.999_999_999_999_999_9)));
        assert!(value(2.5).agrees(value(2.500_000_000_000_000_4)));
        assert!(value(0.0).agrees(value(-0.0)) && !value(0.0).agrees(value(1.0)));
    }

    #[test]
    fn a_kafka_key_identifies_a_record_and_its_tombstone() {
        let fields = fields(&["kafka"], None, &[], None);
        let record = fields.read(Some(b"a"), Some(b"{\"n\": 1}")).unwrap();
        let tombstone = fields.read(Some(b"a"), None).unwrap();
        assert_eq!(record.0, tombstone.0);
        assert!(!record.1.agrees(tombstone.1));
        assert!(fields.read(None, Some(b"{}")).is_err());
        assert!(fields.read(Some(b"a"), Some(b"{")).is_err());
    }

    #[test]
    fn bad_records_and_bad_names_are_errors() {
        let names = fields(&["k"], None, &[], None);
        assert!(names.read(None, None).unwrap_err().to_string().contains("tombstone"));
        assert!(error(&names, "[1]").contains("no field `k`"));
        assert!(error(&names, r#"{"k": 1, "k": 2}"#).contains("twice"));
        assert!(error(&names, r#"{"k": 1} x"#).contains("trailing"));
        let none: &[String] = &[];
        assert!(Fields::new(none, None, none, None).is_err());
        let twice = ["k".to_owned()];
        assert!(Fields::new(&twice, None, &twice, None).is_err());
        assert!(Fields::new(&twice, Some("k"), none, None).is_err());
        assert!(Fields::new(&["a..b".to_owned()], None, none, None).is_err());
        assert!(Fields::new(&twice, None, none, Some(16)).is_err());
    }
}
