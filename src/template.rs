//! Records of a user's own: texts with placeholders, filled in for each event without allocating.

use crate::error::{Error, Result};
use crate::event::Event;
use crate::iso;

/// The most texts that one workload may have.
pub const MAX_TEMPLATES: usize = 1_000_000;
/// The most bytes that they may have together.
pub const MAX_TEMPLATE_BYTES: usize = 256 << 20;

/// What a placeholder, `{{name}}`, is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Index,
    EventId,
    EventType,
    Key,
    Value,
    ScheduledNs,
    ScheduledUs,
    ScheduledMs,
    ScheduledS,
    ScheduledIso,
}

/// What the longest of them takes, an event's id.
const LONGEST_FIELD: usize = 36;

const FIELDS: [(&str, Field); 10] = [
    ("i", Field::Index),
    ("event_id", Field::EventId),
    ("event_type", Field::EventType),
    ("key", Field::Key),
    ("value", Field::Value),
    ("scheduled_at_ns", Field::ScheduledNs),
    ("scheduled_at_us", Field::ScheduledUs),
    ("scheduled_at_ms", Field::ScheduledMs),
    ("scheduled_at_s", Field::ScheduledS),
    ("scheduled_at_iso", Field::ScheduledIso),
];

/// One text, as its plain stretches and what stands after each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    key: Option<Box<[u8]>>,
    text: Box<[u8]>,
    /// Where a stretch of `text` ends, and the placeholder after it.
    fields: Box<[(u32, Field)]>,
}

impl Template {
    /// Reads a text with placeholders; `key` is the record's Kafka key instead of the event's.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a placeholder that does not end or that does not exist, and for a text of more than
    /// 1 million bytes.
    pub fn new(text: &str, key: Option<&[u8]>) -> Result<Self> {
        if text.len() > crate::workload::MAX_PAYLOAD {
            return Err(Error::Invalid(format!(
                "a record of {} bytes is more than the {} that fit Kafka's default limit",
                text.len(),
                crate::workload::MAX_PAYLOAD
            )));
        }
        let (mut plain, mut fields, mut rest) = (Vec::with_capacity(text.len()), Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            plain.extend_from_slice(before.as_bytes());
            let Some((name, after)) = after.split_once("}}") else {
                let shown: String = after.chars().take(30).collect();
                return Err(Error::Invalid(format!("a placeholder does not end: {{{{{shown}")));
            };
            let found = FIELDS.iter().find(|(known, _)| *known == name.trim());
            let Some((_, field)) = found else {
                let known: Vec<&str> = FIELDS.iter().map(|(known, _)| *known).collect();
                let shown: String = name.chars().take(40).collect();
                return Err(Error::Invalid(format!(
                    "there is no placeholder {{{{{shown}}}}}; there are: {}",
                    known.join(", ")
                )));
            };
            fields.push((plain.len() as u32, *field));
            rest = after;
        }
        plain.extend_from_slice(rest.as_bytes());
        Ok(Self { key: key.map(Box::from), text: plain.into(), fields: fields.into() })
    }

    fn record_bytes(&self) -> usize {
        self.text.len() + self.fields.len() * LONGEST_FIELD
    }

    fn bytes(&self) -> usize {
        self.text.len()
            + self.key.as_ref().map_or(0, |key| key.len())
            + self.fields.len() * size_of::<(u32, Field)>()
    }

    #[inline]
    fn encode(&self, index: u64, event: &Event, buffer: &mut Vec<u8>) {
        buffer.clear();
        let mut number = itoa::Buffer::new();
        let mut from = 0;
        for &(to, field) in &self.fields {
            buffer.extend_from_slice(&self.text[from..to as usize]);
            from = to as usize;
            let at_us = event.scheduled_at_us;
            let text = match field {
                Field::Index => number.format(index),
                Field::Value => number.format(event.value),
                Field::ScheduledNs => number.format(at_us.saturating_mul(1_000)),
                Field::ScheduledUs => number.format(at_us),
                Field::ScheduledMs => number.format(at_us.div_euclid(1_000)),
                Field::ScheduledS => number.format(at_us.div_euclid(1_000_000)),
                Field::EventType => event.event_type.name(),
                Field::Key => {
                    buffer.extend_from_slice(b"user_");
                    number.format(event.key)
                }
                Field::EventId => {
                    buffer.extend_from_slice(&event.event_id.text());
                    continue;
                }
                Field::ScheduledIso => {
                    iso::write(at_us, buffer);
                    continue;
                }
            };
            buffer.extend_from_slice(text.as_bytes());
        }
        buffer.extend_from_slice(&self.text[from..]);
    }
}

/// The texts of a workload; event *i* is made from the text *i* modulo their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates(Box<[Template]>);

impl Templates {
    /// Takes at least one text.
    ///
    /// # Errors
    /// [`Error::Invalid`] for none, more than [`MAX_TEMPLATES`], or more than [`MAX_TEMPLATE_BYTES`] together.
    pub fn new(templates: Vec<Template>) -> Result<Self> {
        if templates.is_empty() || templates.len() > MAX_TEMPLATES {
            return Err(Error::Invalid(format!(
                "a workload has 1 to {MAX_TEMPLATES} records to send, not {}",
                templates.len()
            )));
        }
        let bytes: usize = templates.iter().map(Template::bytes).sum();
        if bytes > MAX_TEMPLATE_BYTES {
            return Err(Error::Invalid(format!(
                "the records to send take {bytes} bytes, more than the {MAX_TEMPLATE_BYTES} that are kept in memory"
            )));
        }
        Ok(Self(templates.into()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Room for any one of the records, bytes.
    pub fn record_bytes(&self) -> usize {
        self.0.iter().map(Template::record_bytes).max().unwrap_or(0).max(1)
    }

    #[inline]
    fn of(&self, index: u64) -> &Template {
        &self.0[(index % self.0.len() as u64) as usize]
    }

    /// Replaces `buffer` by the record of event `index`.
    #[inline]
    pub fn encode(&self, index: u64, event: &Event, buffer: &mut Vec<u8>) {
        self.of(index).encode(index, event, buffer);
    }

    /// The Kafka key of event `index`, where it has one of its own.
    #[inline]
    pub fn key(&self, index: u64) -> Option<&[u8]> {
        self.of(index).key.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;

    fn filled(text: &str, index: u64) -> String {
        let workload = Workload::new(1, 100, None).unwrap();
        let event = workload.event(index, 1_700_000_000_123_456);
        let mut buffer = Vec::new();
        Template::new(text, None).unwrap().encode(index, &event, &mut buffer);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn each_placeholder_has_its_value() {
        let workload = Workload::new(1, 100, None).unwrap();
        let event = workload.event(7, 1_700_000_000_123_456);
        let text = r#"{"n":{{i}},"id":"{{event_id}}","t":"{{ event_type }}","k":"{{key}}","v":{{value}},"a":{"ns":{{scheduled_at_ns}},"us":{{scheduled_at_us}},"ms":{{scheduled_at_ms}},"s":{{scheduled_at_s}},"iso":"{{scheduled_at_iso}}"}}"#;
        let expected = format!(
            r#"{{"n":7,"id":"{}","t":"{}","k":"user_{}","v":{},"a":{{"ns":1700000000123456000,"us":1700000000123456,"ms":1700000000123,"s":1700000000,"iso":"2023-11-14T22:13:20.123456Z"}}}}"#,
            event.event_id,
            event.event_type.name(),
            event.key,
            event.value
        );
        assert_eq!(filled(text, 7), expected);
        assert_eq!(filled("plain", 7), "plain");
        assert_eq!(filled("{{i}}", 12), "12");
    }

    #[test]
    fn bad_placeholders_are_refused_by_name() {
        let said = |text: &str| Template::new(text, None).unwrap_err().to_string();
        assert!(said(r#"{"a":{{now}}}"#).contains("there is no placeholder {{now}}; there are: i, event_id"));
        assert!(said(r#"{"a":{{i}"#).contains("does not end"));
        assert!(said(&"x".repeat(1_000_001)).contains("1000001 bytes"));
    }

    #[test]
    fn texts_come_in_turn_and_bring_their_keys() {
        let texts =
            vec![Template::new("a{{i}}", Some(b"k")).unwrap(), Template::new("b{{i}}", None).unwrap()];
        let templates = Templates::new(texts).unwrap();
        let workload = Workload::new(1, 100, None).unwrap().with_templates(templates);
        let (mut key, mut payload) = (Vec::new(), Vec::new());
        let mut seen = Vec::new();
        for index in 0..3 {
            let event = workload.event(index, 0);
            workload.encode_key(index, &event, &mut key);
            workload.encode(index, &event, &mut payload);
            seen.push((String::from_utf8(key.clone()).unwrap(), String::from_utf8(payload.clone()).unwrap()));
        }
        assert_eq!(seen[0], ("k".to_owned(), "a0".to_owned()));
        assert_eq!(seen[1].1, "b1");
        assert!(seen[1].0.starts_with("user_"));
        assert_eq!(seen[2], ("k".to_owned(), "a2".to_owned()));
        assert!(Templates::new(Vec::new()).is_err());
    }
}
