//! The time stamp of a record of any job: a field, nested or not, whose unit shows in its value.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::error::{Error, Result};
use crate::event::{DecodeError, MISSING_FIELD, utf8};
use crate::iso;

/// The years that a time stamp may lie in, 2001 to 2099, in s since the Unix epoch. In ms, µs and ns the same years
/// are other numbers: the four ranges do not meet, so the magnitude alone tells the unit.
const LEAST_S: i64 = 978_307_200;
const END_S: i64 = 4_102_444_800;
/// Mean length of a Gregorian year, s.
const YEAR_S: f64 = 31_556_952.0;

/// What a time stamp is given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since the Unix epoch, with or without a fraction.
    Seconds,
    /// Milliseconds since the Unix epoch.
    Milliseconds,
    /// Microseconds since the Unix epoch.
    Microseconds,
    /// Nanoseconds since the Unix epoch.
    Nanoseconds,
    /// ISO 8601 text.
    Text,
}

impl Unit {
    /// Every unit, in the order of [`Units`].
    pub const ALL: [Self; 5] =
        [Self::Seconds, Self::Milliseconds, Self::Microseconds, Self::Nanoseconds, Self::Text];

    /// Its name for a user.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "epoch s",
            Self::Milliseconds => "epoch ms",
            Self::Microseconds => "epoch µs",
            Self::Nanoseconds => "epoch ns",
            Self::Text => "ISO 8601",
        }
    }

    /// The unit in which a number lies in the years that are accepted.
    #[inline]
    const fn of(value: i64) -> Option<Self> {
        const KILO: i64 = 1_000;
        const MEGA: i64 = 1_000_000;
        const GIGA: i64 = 1_000_000_000;
        match value {
            _ if value >= LEAST_S * MEGA && value < END_S * MEGA => Some(Self::Microseconds),
            _ if value >= LEAST_S * KILO && value < END_S * KILO => Some(Self::Milliseconds),
            LEAST_S..END_S => Some(Self::Seconds),
            _ if value >= LEAST_S * GIGA && value < END_S * GIGA => Some(Self::Nanoseconds),
            _ => None,
        }
    }
}

/// A time, the µs that it is good to, and what it was given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// µs since the Unix epoch.
    pub at_us: i64,
    /// 1 for µs and ns, 1000 for ms, 1,000,000 for s; with a fraction, what its last digit stands for.
    pub resolution_us: i64,
    /// What it was given in.
    pub unit: Unit,
}

/// Which units the time stamps of one field came in, and how fine they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    counts: [u64; Unit::ALL.len()],
    /// The finest resolution in each unit, µs: a text or a fraction may have dropped its trailing zeros.
    finest_us: [i64; Unit::ALL.len()],
}

impl Units {
    /// Counts a time stamp.
    #[inline]
    pub fn add(&mut self, stamp: Stamp) {
        let unit = stamp.unit as usize;
        let finest = if self.counts[unit] == 0 { i64::MAX } else { self.finest_us[unit] };
        self.finest_us[unit] = finest.min(stamp.resolution_us);
        self.counts[unit] += 1;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for unit in (0..Unit::ALL.len()).filter(|&unit| other.counts[unit] > 0) {
            let finest = if self.counts[unit] == 0 { i64::MAX } else { self.finest_us[unit] };
            self.finest_us[unit] = finest.min(other.finest_us[unit]);
            self.counts[unit] += other.counts[unit];
        }
    }

    /// What the time stamps of a unit are good to, µs: the finest that was seen in it; `None` without any.
    pub fn finest_us(&self, unit: Unit) -> Option<i64> {
        (self.counts[unit as usize] > 0).then(|| self.finest_us[unit as usize])
    }

    /// What all time stamps are good to, µs: that of the coarsest unit; `None` without any.
    pub fn resolution_us(&self) -> Option<i64> {
        Unit::ALL.into_iter().filter_map(|unit| self.finest_us(unit)).max()
    }

    /// The units that occurred and how often, the most frequent first.
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        let mut named: Vec<_> = Unit::ALL
            .into_iter()
            .map(|unit| (unit.name(), self.counts[unit as usize]))
            .filter(|&(_, count)| count > 0)
            .collect();
        named.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        named
    }
}

/// Where a time stamp is in a JSON object: a field's name, or several with dots between for one in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampPath {
    text: String,
}

impl StampPath {
    /// Reads `name` or `outer.inner`. A field whose own name has dots in it is read too.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a name is empty.
    pub fn new(path: &str) -> Result<Self> {
        if path.split('.').any(str::is_empty) {
            return Err(Error::Invalid(format!(
                "{path:?} is not a field: give a name, or names with dots between, such as `meta.created`"
            )));
        }
        Ok(Self { text: path.to_owned() })
    }

    /// The field of that name in the object itself.
    pub(crate) fn flat(name: &str) -> Self {
        Self { text: name.to_owned() }
    }

    /// The path as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the field is one of the object itself.
    pub fn is_flat(&self) -> bool {
        !self.text.contains('.')
    }

    /// The time stamp of a record. It is a number since the Unix epoch, in s, ms, µs or ns by its size, with or
    /// without a fraction, bare or in quotes; or an ISO 8601 text, in UTC where it names no zone.
    ///
    /// # Errors
    /// [`DecodeError`] when the record is not one JSON object in UTF-8, or the field is absent, given twice, or not
    /// a time of the years 2001 to 2099; the message names what else the value may be.
    pub fn decode(&self, payload: &[u8]) -> std::result::Result<Stamp, DecodeError> {
        let mut deserializer = serde_json::Deserializer::from_str(utf8(payload)?);
        let raw = Seed { rest: &self.text, path: &self.text }.deserialize(&mut deserializer);
        let raw =
            raw.and_then(|raw| deserializer.end().map(|()| raw)).map_err(|error| DecodeError::new(&error))?;
        match raw {
            Raw::Integer(value) => self.of_integer(value),
            // The shortest text that stands for the number: as many digits as were sent.
            Raw::Fraction(value) => self.of_decimal(&value.to_string()),
            Raw::Text(text) if is_decimal(&text) => self.of_decimal(&text),
            Raw::Text(text) => self.of_text(&text),
        }
    }

    /// The time stamp of a header: as in a record's field, as text; or the 8 bytes of a number, the highest first, as
    /// Java's `LongSerializer` writes them.
    ///
    /// # Errors
    /// [`DecodeError`] as for [`StampPath::decode`].
    pub fn decode_header(&self, value: &[u8]) -> std::result::Result<Stamp, DecodeError> {
        let text = std::str::from_utf8(value).map(str::trim);
        match (text, <[u8; 8]>::try_from(value)) {
            (Ok(text), _) if is_decimal(text) => self.of_decimal(text),
            (_, Ok(bytes)) => self.of_integer(i64::from_be_bytes(bytes)),
            (Ok(text), _) => self.of_text(text),
            (Err(_), _) => Err(DecodeError::new(format_args!(
                "`{}` has {} bytes, which are neither a text nor a number of 8 bytes",
                self.text,
                value.len()
            ))),
        }
    }

    /// The time that an integer stands for.
    ///
    /// # Errors
    /// [`DecodeError`] when it is a time of the years 2001 to 2099 in none of the units.
    #[inline]
    pub fn of_integer(&self, value: i64) -> std::result::Result<Stamp, DecodeError> {
        let Some(unit) = Unit::of(value) else { return Err(self.implausible(&value.to_string())) };
        let (at_us, resolution_us) = match unit {
            Unit::Microseconds => (value, 1),
            Unit::Milliseconds => (value * 1_000, 1_000),
            Unit::Seconds => (value * 1_000_000, 1_000_000),
            Unit::Nanoseconds | Unit::Text => (value / 1_000, 1),
        };
        Ok(Stamp { at_us, resolution_us, unit })
    }

    /// The time that digits with or without a fraction stand for.
    fn of_decimal(&self, text: &str) -> std::result::Result<Stamp, DecodeError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole: i64 = whole.parse().map_err(|_| self.implausible(text))?;
        let mut stamp = self.of_integer(whole).map_err(|_| self.implausible(text))?;
        let mut digits = fraction.bytes();
        while stamp.resolution_us > 1
            && let Some(digit) = digits.next()
        {
            stamp.resolution_us /= 10;
            stamp.at_us += i64::from(digit - b'0') * stamp.resolution_us;
        }
        Ok(stamp)
    }

    fn of_text(&self, text: &str) -> std::result::Result<Stamp, DecodeError> {
        let field = &self.text;
        let Some((at_us, resolution_us)) = iso::read(text) else {
            return Err(DecodeError::new(format_args!(
                "`{field}` is {text:?}, which is neither an ISO 8601 time nor a number"
            )));
        };
        if !(LEAST_S..END_S).contains(&at_us.div_euclid(1_000_000)) {
            return Err(DecodeError::new(format_args!(
                "`{field}` is {text:?}, which is not a time of the years 2001 to 2099; epoch s that were read as ms \
                 or µs give a time in 1970"
            )));
        }
        Ok(Stamp { at_us, resolution_us, unit: Unit::Text })
    }

    /// What a number is that is a time in none of the units: the readings next to it, and the likely unit.
    #[cold]
    fn implausible(&self, text: &str) -> DecodeError {
        let field = &self.text;
        let value: f64 = text.parse().unwrap_or(f64::INFINITY);
        let shown = if text.len() > 30 { format!("{value:e}") } else { text.to_owned() };
        let other = OTHER_UNITS.iter().find(|(_, unit_s, from_s)| {
            let at_s = value * unit_s + from_s;
            (LEAST_S as f64..END_S as f64).contains(&at_s)
        });
        if let Some((unit, ..)) = other {
            return DecodeError::new(format_args!(
                "`{field}` is {shown}, which is not epoch s, ms, µs or ns; it may be {unit}"
            ));
        }
        let units = [("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9)];
        let year = |per_s: f64| 1970.0 + value / per_s / YEAR_S;
        let late = units.iter().rfind(|(_, per_s)| year(*per_s) >= 2100.0);
        let early = units.iter().find(|(_, per_s)| year(*per_s) < 2100.0);
        let readings: Vec<String> = [late, early]
            .into_iter()
            .flatten()
            .map(|(name, per_s)| format!("as epoch {name} it is in the year {:.0}", year(*per_s).floor()))
            .collect();
        DecodeError::new(format_args!(
            "`{field}` is {shown}, which is not a time of the years 2001 to 2099: {}",
            readings.join(", ")
        ))
    }
}

/// Other units that a number may be in, with their length and their zero, in s since the Unix epoch.
const OTHER_UNITS: [(&str, f64, f64); 5] = [
    (".NET ticks (100 ns since the year 1)", 1e-7, -62_135_596_800.0),
    ("a Windows FILETIME (100 ns since 1601)", 1e-7, -11_644_473_600.0),
    ("minutes since 1970", 60.0, 0.0),
    ("hours since 1970", 3_600.0, 0.0),
    ("days since 1970", 86_400.0, 0.0),
];

/// Whether a text is a decimal number without an exponent.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

enum Raw<'a> {
    Integer(i64),
    Fraction(f64),
    Text(Cow<'a, str>),
}

/// What is looked for below an object: `rest` is the end of `path` that is still to go, empty at the time stamp.
struct Seed<'a> {
    rest: &'a str,
    path: &'a str,
}

impl<'a> Seed<'a> {
    /// What is to be looked for in the field of that name; `None` where the path does not lead there.
    fn below(&self, name: &str) -> Option<&'a str> {
        match self.rest.strip_prefix(name)? {
            "" => Some(""),
            rest => rest.strip_prefix('.'),
        }
    }
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
        match self.rest.split('.').next() {
            None | Some("") => {
                write!(formatter, "a number since the Unix epoch or an ISO 8601 text in `{}`", self.path)
            }
            Some(name) => write!(formatter, "a JSON object with `{name}` (of `{}`)", self.path),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Raw<'de>, A::Error> {
        if self.rest.is_empty() {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        }
        let mut raw = None;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            let Some(rest) = self.below(&name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if raw.replace(map.next_value_seed(Seed { rest, path: self.path })?).is_some() {
                return Err(A::Error::custom(format_args!("duplicate field `{}`", self.path)));
            }
        }
        raw.ok_or_else(|| A::Error::custom(format_args!("{MISSING_FIELD} `{}`", self.path)))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> std::result::Result<Raw<'de>, E> {
        if self.rest.is_empty() {
            return Ok(Raw::Integer(value));
        }
        Err(E::invalid_type(serde::de::Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> std::result::Result<Raw<'de>, E> {
        match i64::try_from(value) {
            Ok(value) if self.rest.is_empty() => Ok(Raw::Integer(value)),
            Err(_) if self.rest.is_empty() => Ok(Raw::Fraction(value as f64)),
            _ => Err(E::invalid_type(serde::de::Unexpected::Unsigned(value), &self)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> std::result::Result<Raw<'de>, E> {
        if self.rest.is_empty() {
            return Ok(Raw::Fraction(value));
        }
        Err(E::invalid_type(serde::de::Unexpected::Float(value), &self))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> std::result::Result<Raw<'de>, E> {
        if self.rest.is_empty() {
            return Ok(Raw::Text(Cow::Borrowed(text)));
        }
        Err(E::invalid_type(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Raw<'de>, E> {
        if self.rest.is_empty() {
            return Ok(Raw::Text(Cow::Owned(text.to_owned())));
        }
        Err(E::invalid_type(serde::de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_700_000_000_123_000;
    const US: i64 = 1_700_000_000_123_456;

    fn decoded(path: &str, record: &str) -> std::result::Result<(i64, i64, &'static str), String> {
        let stamp = StampPath::new(path).unwrap().decode(record.as_bytes());
        stamp
            .map(|stamp| (stamp.at_us, stamp.resolution_us, stamp.unit.name()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_unit_shows_in_the_value() {
        for (value, at_us, resolution_us, unit) in [
            ("1700000000", 1_700_000_000_000_000, 1_000_000, "epoch s"),
            ("1700000000123", MS, 1_000, "epoch ms"),
            ("1700000000123456", US, 1, "epoch µs"),
            ("1700000000123456789", US, 1, "epoch ns"),
            ("1700000000.123456", US, 1, "epoch s"),
            ("1700000000.123", MS, 1_000, "epoch s"),
            ("1700000000.0", 1_700_000_000_000_000, 1_000_000, "epoch s"),
            ("1700000000.123456789", US, 1, "epoch s"),
            ("1700000000123.456", US, 1, "epoch ms"),
            ("1.700000000123e12", MS, 1_000, "epoch ms"),
            (r#""1700000000""#, 1_700_000_000_000_000, 1_000_000, "epoch s"),
            (r#""1700000000123""#, MS, 1_000, "epoch ms"),
            (r#""1700000000123456""#, US, 1, "epoch µs"),
            (r#""1700000000.123456""#, US, 1, "epoch s"),
            (r#""2023-11-14T22:13:20.123Z""#, MS, 1_000, "ISO 8601"),
            (r#""2023-11-14 22:13:20.123456""#, US, 1, "ISO 8601"),
            (r#""2023-11-14T23:13:20.123456\u002b01:00""#, US, 1, "ISO 8601"),
        ] {
            let record = format!(r#"{{"a":{{"ts":1}},"\u0074s":{value}}}"#);
            assert_eq!(decoded("ts", &record), Ok((at_us, resolution_us, unit)), "{value}");
        }
    }

    #[test]
    fn a_header_is_a_text_or_a_number_of_eight_bytes() {
        let path = StampPath::flat("header");
        let decoded = |value: &[u8]| path.decode_header(value).map(|stamp| (stamp.at_us, stamp.unit.name()));
        assert_eq!(decoded(b"1700000000123"), Ok((MS, "epoch ms")));
        assert_eq!(decoded(b" 1700000000.123456 "), Ok((US, "epoch s")));
        assert_eq!(decoded(b"2023-11-14T22:13:20.123Z"), Ok((MS, "ISO 8601")));
        assert_eq!(decoded(&1_700_000_000_123_i64.to_be_bytes()), Ok((MS, "epoch ms")));
        assert_eq!(decoded(&1_700_000_000_123_456_i64.to_be_bytes()), Ok((US, "epoch µs")));
        for wrong in [&b""[..], b"soon", b"12345678", b"\xff\xfe", b"\0\0\0\0\0\0\0\x01"] {
            assert!(decoded(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_first_and_the_last_accepted_times_of_each_unit_do_not_meet() {
        let path = StampPath::flat("ts");
        let mut before = i64::MIN;
        for (scale, unit) in
            [(1, "epoch s"), (1_000, "epoch ms"), (1_000_000, "epoch µs"), (1_000_000_000, "epoch ns")]
        {
            let (least, most) = (LEAST_S * scale, END_S * scale - 1);
            assert!(before < least - 1);
            for value in [least, most] {
                assert_eq!(path.of_integer(value).unwrap().unit.name(), unit);
            }
            for value in [least - 1, most + 1] {
                assert!(path.of_integer(value).is_err(), "{value}");
            }
            before = most;
        }
    }

    #[test]
    fn a_path_leads_into_objects() {
        let debezium = r#"{"ts_ms":5,"payload":{"source":{"ts_ms":1700000000123},"ts_ms":7}}"#;
        assert_eq!(decoded("payload.source.ts_ms", debezium), Ok((MS, 1_000, "epoch ms")));
        let dotted = r#"{"event":1,"event.created":1700000000123,"event.created.by":2}"#;
        assert!(decoded("event.created", dotted).unwrap_err().contains("invalid type: integer `1`"));
        let dotted = r#"{"event.created":1700000000123,"event.created.by":2}"#;
        assert_eq!(decoded("event.created", dotted), Ok((MS, 1_000, "epoch ms")));
        for bad in ["", ".", "a.", ".a", "a..b"] {
            assert!(matches!(StampPath::new(bad), Err(Error::Invalid(_))), "{bad}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_named() {
        for (value, reason) in [
            ("5", "as epoch s it is in the year 1970"),
            ("-1", "as epoch s it is in the year 1969"),
            ("17000000000", "as epoch s it is in the year 2508, as epoch ms it is in the year 1970"),
            ("123456789012345", "as epoch ms it is in the year 5882, as epoch µs it is in the year 1973"),
            ("99999999999999999999", "as epoch ns it is in the year 5138"),
            ("1e300", "as epoch ns it is in the year"),
            ("638355536001234567", "it may be .NET ticks"),
            ("133444736001234567", "it may be a Windows FILETIME"),
            ("28333333", "it may be minutes since 1970"),
            ("19675", "it may be days since 1970"),
            (r#""5""#, "as epoch s it is in the year 1970"),
            (r#""yesterday""#, "\"yesterday\", which is neither an ISO 8601 time nor a number"),
            (r#""1970-01-20T16:13:20Z""#, "epoch s that were read as ms or µs give a time in 1970"),
            ("null", "invalid type: null"),
            (r#"{"x":1}"#, "invalid type: map"),
            ("[1]", "invalid type: sequence"),
            ("true", "invalid type: boolean"),
            (r#"1700000000123,"at":1700000000123"#, "duplicate field"),
        ] {
            let reported = decoded("meta.at", &format!(r#"{{"meta":{{"at":{value}}}}}"#)).unwrap_err();
            assert!(reported.contains(reason), "{value}: {reported}");
        }
        for (record, reason) in [
            ("{}", "missing field `meta.at`"),
            (r#"{"meta":{}}"#, "missing field `meta.at`"),
            (r#"{"meta":3}"#, "invalid type: integer `3`, expected a JSON object with `at`"),
            (r#"{"meta":3.5}"#, "invalid type: floating point"),
            (r#"{"meta":{"at":1700000000123}}x"#, "trailing characters"),
            ("[]", "invalid type: sequence"),
            ("", "empty"),
        ] {
            let reported = decoded("meta.at", record).unwrap_err();
            assert!(reported.contains(reason), "{record}: {reported}");
        }
        let absent = StampPath::new("ts").unwrap().decode(b"{}").unwrap_err();
        assert!(absent.is_missing_field());
    }

    fn units(values: &[&str]) -> Units {
        let path = StampPath::flat("ts");
        let mut units = Units::default();
        for value in values {
            units.add(path.decode(format!(r#"{{"ts":{value}}}"#).as_bytes()).unwrap());
        }
        units
    }

    #[test]
    fn the_resolution_is_that_of_the_finest_text() {
        let dropped = units(&[r#""2023-11-14T22:13:20Z""#, r#""2023-11-14T22:13:20.12Z""#]);
        assert_eq!(dropped.resolution_us(), Some(10_000));
        let mut all = units(&[r#""2023-11-14T22:13:20.123Z""#]);
        all.merge(&dropped);
        assert_eq!((all.resolution_us(), all.named()), (Some(1_000), vec![("ISO 8601", 3)]));
        assert_eq!(units(&["1700000000.0", "1700000000.25"]).resolution_us(), Some(10_000));
    }

    #[test]
    fn of_several_units_the_coarsest_counts() {
        let mixed = units(&["1700000000123456", "1700000000", "1700000000123456"]);
        assert_eq!(mixed.resolution_us(), Some(1_000_000));
        assert_eq!(mixed.named(), [("epoch µs", 2), ("epoch s", 1)]);
        assert_eq!((Units::default().resolution_us(), Units::default().named()), (None, vec![]));
    }
}
