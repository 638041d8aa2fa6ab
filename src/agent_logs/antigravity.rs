//! Antigravity: a database for each conversation, whose rows are protocol buffers without a published schema.
//!
//! The numbers of the fields are known from readers of others, so costs from here are marked as estimates.

use std::path::Path;

use jiff::Timestamp;

use super::{
    agent::{Agent, LogReader},
    database,
    fault::LogFault,
    files::{self, LogFile},
    request::{LogReading, LoggedRequest, with_cache_beside},
};
use crate::domain::TokenCounts;

pub(super) const AGENT: Agent = Agent {
    name: "antigravity",
    title: "Antigravity",
    places: &[
        "~/.gemini/antigravity-cli/conversations",
        "~/.gemini/antigravity-ide/conversations",
    ],
    variable: None,
    what: "each generation, marked as estimated: the format is not documented; older encrypted conversations are passed over",
    find: |machine| {
        let folders = ["antigravity-cli", "antigravity-ide"].map(|name| machine.home().join(".gemini").join(name));
        let is_database = |path: &Path| files::ends_with(path, "db");
        folders
            .iter()
            .flat_map(|folder| files::below_to(&folder.join("conversations"), &is_database, 0))
            .filter_map(|file| database::find(file.path))
            .collect()
    },
    reader: |_| Box::new(AntigravityLogs),
};

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldValue<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// A message of fields by their numbers.
#[derive(Debug, Clone, Copy)]
struct Message<'a>(&'a [u8]);

struct AntigravityLogs;

impl LogReader for AntigravityLogs {
    fn read(&self, file: &LogFile, _: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let rows = database::read(&file.path, |sql| {
            let mut rows = Vec::new();
            if sql.has("gen_metadata", &["idx", "data"])? {
                sql.each("SELECT idx, data FROM gen_metadata ORDER BY idx", 0, |row| {
                    let data = row
                        .get_ref(1)?
                        .as_blob_or_null()
                        .unwrap_or_default()
                        .unwrap_or_default();
                    rows.push((database::count(row, 0), data.to_vec()));
                    Ok(())
                })?;
            }
            Ok(rows)
        })?;
        let mut reading = LogReading::default();
        // Not every row says when it was.
        let mut at = Timestamp::from_millisecond(file.mark.modified / 1_000_000).unwrap_or_default();
        for (number, data) in rows {
            let Some(generation) = Message(&data).message(1) else {
                reading.unreadable += 1;
                continue;
            };
            let time = generation
                .message(9)
                .and_then(|times| times.message(4))
                .and_then(|time| time.number(1));
            at = time
                .and_then(|second| Timestamp::from_second(second.cast_signed()).ok())
                .unwrap_or(at);
            each_of(&generation, file.stem(), number, at)
                .into_iter()
                .for_each(&mut *each);
        }
        Ok(reading)
    }
}

fn each_of(generation: &Message<'_>, conversation: &str, number: u64, at: Timestamp) -> Option<LoggedRequest> {
    let usage = generation.message(4)?;
    let count = |field| usage.number(field).unwrap_or(0);
    let counts = TokenCounts {
        reasoning: count(9).min(count(3)),
        ..with_cache_beside([count(2), count(3), count(5), 0])
    };
    let model = generation.text(19).or_else(|| generation.text(21)).unwrap_or("unknown");
    let provider = if model.starts_with("gemini") { "google" } else { "" };
    let identity = match usage.text(11) {
        Some(response) => format!("{response}:"),
        None => format!("{conversation}#{number}"),
    };
    let request = LoggedRequest::new(identity, at, provider, model, counts).of_session(Some(conversation), None);
    ((counts.input, counts.output) != (0, 0)).then_some(LoggedRequest {
        is_estimated: true,
        ..request
    })
}

impl<'a> Message<'a> {
    /// The last value of a field; nothing where there is none, or what stands before it is no message.
    fn field(self, wanted: u64) -> Option<FieldValue<'a>> {
        let mut rest = self.0;
        let mut found = None;
        while !rest.is_empty() {
            let key = varint(&mut rest)?;
            let value = match key & 7 {
                0 => FieldValue::Number(varint(&mut rest)?),
                1 => FieldValue::Bytes(take(&mut rest, 8)?),
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).ok()?;
                    FieldValue::Bytes(take(&mut rest, length)?)
                }
                5 => FieldValue::Bytes(take(&mut rest, 4)?),
                _ => return None,
            };
            if key >> 3 == wanted {
                found = Some(value);
            }
        }
        found
    }

    fn number(self, field: u64) -> Option<u64> {
        match self.field(field)? {
            FieldValue::Number(number) => Some(number),
            FieldValue::Bytes(_) => None,
        }
    }

    fn message(self, field: u64) -> Option<Self> {
        match self.field(field)? {
            FieldValue::Bytes(bytes) => Some(Self(bytes)),
            FieldValue::Number(_) => None,
        }
    }

    fn text(self, field: u64) -> Option<&'a str> {
        let text = std::str::from_utf8(self.message(field)?.0).ok()?;
        (!text.is_empty()).then_some(text)
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
        [&[field << 3 | 2, u8::try_from(value.len()).unwrap()], value].concat()
    }

    #[test]
    fn a_generation_is_read_and_nonsense_is_none() {
        // Input 300, output 20 of which 15 are thoughts, cache reads 5.
        let usage = [
            &[2 << 3, 0xac, 2, 3 << 3, 20, 5 << 3, 5, 9 << 3, 15],
            bytes(11, b"resp").as_slice(),
        ]
        .concat();
        let model = [&[0x9a, 1, 13], b"gemini-3.1-pr".as_slice()].concat();
        let generation = [bytes(4, &usage), model].concat();
        let read = each_of(&Message(&generation), "c", 0, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            (read.counts.input, read.counts.output, read.counts.cache_read),
            (305, 20, 5)
        );
        assert_eq!(
            (&*read.model, &*read.identity, read.counts.reasoning),
            ("gemini-3.1-pr", "resp:", 15)
        );
        for nonsense in [
            &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
            b"\x0a\x05a",
            b"\x0b",
        ] {
            assert_eq!(Message(nonsense).field(1), None);
        }
    }
}
