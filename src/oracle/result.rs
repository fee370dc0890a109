//! The results of keyed aggregates on the wire.

use std::borrow::Cow;

use serde::Deserialize;

use super::rules::{Aggregate, AggregateRules, Windows};
use crate::event::{DecodeError, Scan, utf8};

/// A result as it was read. Fields that the pattern does not have are 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ResultRecord<'a> {
    pub key: Cow<'a, str>,
    /// ms since the Unix epoch.
    pub window_start: i64,
    /// ms since the Unix epoch, exclusive.
    pub window_end: i64,
    pub avg: f64,
    pub sum: i64,
    pub count: i64,
    /// ms since the Unix epoch.
    pub produced_at: i64,
    /// µs since the Unix epoch.
    pub scheduled_at_us: i64,
}

#[derive(Deserialize)]
struct Strict<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    window_start: Option<i64>,
    window_end: Option<i64>,
    avg: Option<f64>,
    sum: Option<i64>,
    count: i64,
    produced_at: i64,
    scheduled_at_us: i64,
}

const KEY: u8 = 1;
const COUNT: u8 = 2;
const PRODUCED: u8 = 4;
const SCHEDULED: u8 = 8;
const START: u8 = 16;
const END: u8 = 32;
const AVG: u8 = 64;
const SUM: u8 = 128;

/// The fields that a pattern's results have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape(u8);

impl Shape {
    pub fn of(rules: &AggregateRules) -> Self {
        let windows = if rules.windows == Windows::Whole { 0 } else { START | END };
        // Without either of them, one event dropped and another counted twice would look right.
        let values = match rules.aggregate {
            Aggregate::Sum => SUM,
            Aggregate::Average => AVG,
        };
        Self(KEY | COUNT | PRODUCED | SCHEDULED | windows | values)
    }

    /// Reads a result: fields in any order, whitespace and escapes allowed, other fields ignored.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not one JSON object in UTF-8 with each of the fields once and of its type.
    #[inline]
    pub fn decode(self, payload: &[u8]) -> Result<ResultRecord<'_>, DecodeError> {
        match self.decode_fast(payload) {
            Some(record) => Ok(record),
            None => self.decode_strict(payload),
        }
    }

    fn decode_fast(self, payload: &[u8]) -> Option<ResultRecord<'_>> {
        let mut scan = Scan::object(payload)?;
        let mut record = ResultRecord {
            key: Cow::Borrowed(""),
            window_start: 0,
            window_end: 0,
            avg: 0.0,
            sum: 0,
            count: 0,
            produced_at: 0,
            scheduled_at_us: 0,
        };
        let mut seen = 0;
        loop {
            let field = match scan.name()? {
                b"key" => {
                    record.key = Cow::Borrowed(scan.text()?);
                    KEY
                }
                b"window_start" => {
                    record.window_start = scan.integer()?;
                    START
                }
                b"window_end" => {
                    record.window_end = scan.integer()?;
                    END
                }
                b"avg" => {
                    record.avg = scan.float()?;
                    AVG
                }
                b"sum" => {
                    record.sum = scan.integer()?;
                    SUM
                }
                b"count" => {
                    record.count = scan.integer()?;
                    COUNT
                }
                b"produced_at" => {
                    record.produced_at = scan.integer()?;
                    PRODUCED
                }
                b"scheduled_at_us" => {
                    record.scheduled_at_us = scan.integer()?;
                    SCHEDULED
                }
                _ => return None,
            };
            if seen & field != 0 {
                return None;
            }
            seen |= field;
            if scan.last()? {
                break;
            }
        }
        (seen == self.0).then_some(record)
    }

    fn decode_strict(self, payload: &[u8]) -> Result<ResultRecord<'_>, DecodeError> {
        let strict: Strict<'_> = serde_json::from_str(utf8(payload)?).map_err(DecodeError::new)?;
        let missing = |name: &str| DecodeError::new(format_args!("missing field `{name}`"));
        let needed = |field: u8, value: Option<i64>, name: &str| match value {
            _ if self.0 & field == 0 => Ok(0),
            Some(value) => Ok(value),
            None => Err(missing(name)),
        };
        Ok(ResultRecord {
            key: strict.key,
            window_start: needed(START, strict.window_start, "window_start")?,
            window_end: needed(END, strict.window_end, "window_end")?,
            avg: match strict.avg {
                _ if self.0 & AVG == 0 => 0.0,
                Some(avg) => avg,
                None => return Err(missing("avg")),
            },
            sum: needed(SUM, strict.sum, "sum")?,
            count: strict.count,
            produced_at: strict.produced_at,
            scheduled_at_us: strict.scheduled_at_us,
        })
    }
}
