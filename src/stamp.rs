//! The time stamp of a record that is not ours: a field, nested or not, in a unit that shows in its value.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::error::{Error, Result};
use crate::event::{DecodeError, MISSING_FIELD, utf8};
use crate::iso;

/// Epoch ms of the years 1973 to 5138, and epoch µs of the years 1973 to 5138: the ranges do not meet.
const LEAST_MS: i64 = 100_000_000_000;
const LEAST_US: i64 = 100_000_000_000_000;
const MOST_US: i64 = 100_000_000_000_000_000;

/// A time and the µs that it is good to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// µs since the Unix epoch.
    pub at_us: i64,
    /// 1 for µs, 1000 for ms, and whatever the digits of a text stand for.
    pub resolution_us: i64,
}

/// Where a time stamp stands in a JSON object: a field's name, or several with dots between for one in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampPath {
    text: String,
    names: Vec<String>,
}

impl StampPath {
    /// Reads `name` or `outer.inner`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a name is empty.
    pub fn new(path: &str) -> Result<Self> {
        let names: Vec<String> = path.split('.').map(str::to_owned).collect();
        if names.iter().any(String::is_empty) {
            return Err(Error::Invalid(format!(
                "{path:?} is no field: give a name, or names with dots between, such as `meta.created`"
            )));
        }
        Ok(Self { text: path.to_owned(), names })
    }

    /// The path as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the field is one of the object itself.
    pub fn is_flat(&self) -> bool {
        self.names.len() == 1
    }

    /// The time stamp of a record: an integer, epoch ms or µs by its size, or an ISO 8601 text.
    ///
    /// # Errors
    /// [`DecodeError`] when the record is not one JSON object in UTF-8, or the field is absent, given twice, or no
    /// such time.
    pub fn decode(&self, payload: &[u8]) -> std::result::Result<Stamp, DecodeError> {
        let mut deserializer = serde_json::Deserializer::from_str(utf8(payload)?);
        let found = Seed { names: &self.names, path: &self.text }.deserialize(&mut deserializer);
        let raw = found
            .and_then(|raw| deserializer.end().map(|()| raw))
            .map_err(|error| DecodeError::new(&error))?;
        match raw {
            Raw::Integer(value) => self.of_integer(value),
            Raw::Text(text) => match iso::read(&text) {
                Some((at_us, resolution_us)) => Ok(Stamp { at_us, resolution_us }),
                None => Err(DecodeError::new(format_args!("`{}` is {text:?}, no ISO 8601 time", self.text))),
            },
        }
    }

    /// The time that an integer stands for.
    ///
    /// # Errors
    /// [`DecodeError`] when it is neither epoch ms nor epoch µs.
    #[inline]
    pub fn of_integer(&self, value: i64) -> std::result::Result<Stamp, DecodeError> {
        match value {
            LEAST_US..MOST_US => Ok(Stamp { at_us: value, resolution_us: 1 }),
            LEAST_MS..LEAST_US => Ok(Stamp { at_us: value * 1000, resolution_us: 1000 }),
            _ => Err(DecodeError::new(format_args!(
                "`{}` is {value}, neither epoch ms nor epoch µs of our days",
                self.text
            ))),
        }
    }
}

enum Raw<'a> {
    Integer(i64),
    Text(Cow<'a, str>),
}

/// What is looked for below an object.
struct Seed<'a> {
    names: &'a [String],
    path: &'a str,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Raw<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Raw<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Raw<'de>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.names {
            [] => write!(formatter, "epoch ms, epoch µs or an ISO 8601 text in `{}`", self.path),
            [name, ..] => write!(formatter, "a JSON object with `{name}` (of `{}`)", self.path),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Raw<'de>, A::Error> {
        let Some((name, rest)) = self.names.split_first() else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        };
        let mut found = None;
        while let Some(each) = map.next_key::<Cow<'_, str>>()? {
            if each != name.as_str() {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value_seed(Seed { names: rest, path: self.path })?).is_some() {
                return Err(A::Error::custom(format_args!("duplicate field `{}`", self.path)));
            }
        }
        found.ok_or_else(|| A::Error::custom(format_args!("{MISSING_FIELD} `{}`", self.path)))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> std::result::Result<Raw<'de>, E> {
        if self.names.is_empty() {
            return Ok(Raw::Integer(value));
        }
        Err(E::invalid_type(serde::de::Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> std::result::Result<Raw<'de>, E> {
        match i64::try_from(value) {
            Ok(value) if self.names.is_empty() => Ok(Raw::Integer(value)),
            _ => Err(E::invalid_type(serde::de::Unexpected::Unsigned(value), &self)),
        }
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> std::result::Result<Raw<'de>, E> {
        if self.names.is_empty() {
            return Ok(Raw::Text(Cow::Borrowed(text)));
        }
        Err(E::invalid_type(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Raw<'de>, E> {
        if self.names.is_empty() {
            return Ok(Raw::Text(Cow::Owned(text.to_owned())));
        }
        Err(E::invalid_type(serde::de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(path: &str, record: &str) -> std::result::Result<(i64, i64), String> {
        let stamp = StampPath::new(path).unwrap().decode(record.as_bytes());
        stamp.map(|stamp| (stamp.at_us, stamp.resolution_us)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_unit_shows_in_the_value() {
        let (us, ms) = (Ok((1_700_000_000_123_456, 1)), Ok((1_700_000_000_123_000, 1_000)));
        assert_eq!(decoded("ts", r#"{"ts":1700000000123456}"#), us);
        assert_eq!(decoded("ts", r#"{"a":{"ts":1},"ts":1700000000123}"#), ms);
        assert_eq!(decoded("ts", r#"{"ts":"2023-11-14T22:13:20.123Z"}"#), ms);
        assert_eq!(decoded("ts", r#"{"ts":"2023-11-14 22:13:20.123456"}"#), us);
        assert_eq!(decoded("ts", r#"{"\u0074s":"2023-11-14T23:13:20.123456\u002b01:00"}"#), us);
    }

    #[test]
    fn a_path_leads_into_objects() {
        let record = r#"{"ts":5,"meta":{"origin":{"at":1700000000123},"at":7}}"#;
        assert_eq!(decoded("meta.origin.at", record), Ok((1_700_000_000_123_000, 1_000)));
        for bad in ["", ".", "a.", ".a", "a..b"] {
            assert!(matches!(StampPath::new(bad), Err(Error::Invalid(_))), "{bad}");
        }
    }

    #[test]
    fn what_has_no_such_time_says_so() {
        for (record, reason) in [
            ("{}", "missing field `meta.at`"),
            (r#"{"meta":{}}"#, "missing field `meta.at`"),
            (r#"{"meta":3}"#, "invalid type: integer `3`, expected a JSON object with `at`"),
            (r#"{"meta":{"at":1700000000}}"#, "1700000000, neither epoch ms nor epoch µs"),
            (r#"{"meta":{"at":1700000000123456789}}"#, "neither epoch ms nor epoch µs"),
            (r#"{"meta":{"at":-1}}"#, "neither epoch ms nor epoch µs"),
            (r#"{"meta":{"at":1.7e12}}"#, "invalid type: floating point"),
            (r#"{"meta":{"at":null}}"#, "invalid type: null"),
            (r#"{"meta":{"at":{"x":1}}}"#, "invalid type: map"),
            (r#"{"meta":{"at":[1]}}"#, "invalid type: sequence"),
            (r#"{"meta":{"at":"yesterday"}}"#, "\"yesterday\", no ISO 8601 time"),
            (r#"{"meta":{"at":1700000000123,"at":1700000000123}}"#, "duplicate field"),
            (r#"{"meta":{"at":1700000000123}}x"#, "trailing characters"),
            ("[]", "invalid type: sequence"),
            ("", "empty"),
        ] {
            let said = decoded("meta.at", record).unwrap_err();
            assert!(said.contains(reason), "{record}: {said}");
        }
        let absent = StampPath::new("ts").unwrap().decode(b"{}").unwrap_err();
        assert!(absent.is_missing_field());
    }
}
