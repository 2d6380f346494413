//! A mapping being read: unknown keys are refused by its [`Block`], every value is read by the kind it must have, and
//! every refusal names its place.

use std::time::Duration;

use crate::problem::{Place, Problem};
use crate::script::Pitch;
use crate::table::{BOUNDS, Block, LEVELS};
use crate::values::{self, Bounds};
use crate::yaml::{Key, Node, Value};

/// Tones may be off by so much where a script does not say.
const TOLERANCE: u16 = 5;
/// Most that they may be off.
const MAX_TOLERANCE: u16 = 50;

/// The members of one mapping.
pub(super) struct Fields<'a> {
    pub(super) place: Place,
    block: &'static Block,
    members: &'a [(Key, Node)],
}

/// Reads a scalar's text.
pub(super) type Reader<T> = fn(&str) -> Result<T, String>;

impl<'a> Fields<'a> {
    /// The members of a node that must be a mapping with these keys.
    pub(super) fn of(node: &'a Node, block: &'static Block) -> Result<Self, Problem> {
        let Value::Map(members) = &node.value else {
            let keys: Vec<_> = block.keys.iter().map(|key| key.name).collect();
            let message =
                format!("a mapping is needed here, not {}; keys: {}", node.value.kind(), keys.join(", "));
            return Err(Problem::new(node.place, message));
        };
        Self::of_members(node.place, members, block)
    }

    pub(super) fn of_members(
        place: Place,
        members: &'a [(Key, Node)],
        block: &'static Block,
    ) -> Result<Self, Problem> {
        let known: Vec<&str> = block.keys.iter().map(|key| key.name).collect();
        for (key, _) in members {
            if !known.contains(&key.text.as_str()) {
                return Err(Problem::unknown(key.place, block.of, &key.text, &known));
            }
        }
        Ok(Self { place, block, members })
    }

    pub(super) fn node(&self, name: &str) -> Option<&'a Node> {
        debug_assert!(self.block.keys.iter().any(|key| key.name == name), "{name} is in the table");
        self.members.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// Where a key stands, or the mapping.
    pub(super) fn place_of(&self, name: &str) -> Place {
        self.members.iter().find(|(key, _)| key.text == name).map_or(self.place, |(key, _)| key.place)
    }

    /// What is wrong with a key, at its place.
    pub(super) fn problem(&self, name: &str, why: &str) -> Problem {
        Problem::new(self.place_of(name), format!("`{name}`: {why}"))
    }

    /// A key that must not be there.
    pub(super) fn refuse(&self, name: &str, why: &str) -> Result<(), Problem> {
        self.node(name).map_or(Ok(()), |_| Err(self.problem(name, why)))
    }

    pub(super) fn read<T>(&self, name: &str, reader: Reader<T>) -> Result<Option<T>, Problem> {
        let Some(node) = self.node(name) else { return Ok(None) };
        let wrong = |message: String| Problem::new(node.place, format!("`{name}`: {message}"));
        reader(scalar(node, name)?).map(Some).map_err(wrong)
    }

    pub(super) fn required<T>(&self, name: &str, reader: Reader<T>) -> Result<T, Problem> {
        self.read(name, reader)?.ok_or_else(|| {
            Problem::new(self.place, format!("`{name}` is missing: a {} that is needed", self.block.of))
        })
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        self.read(name, |text| Ok(text.to_owned()))
    }

    pub(super) fn time(&self, name: &str, default: Duration) -> Result<Duration, Problem> {
        Ok(self.read(name, values::length)?.unwrap_or(default))
    }

    /// A time (at most that) or a mapping of bounds, in milliseconds.
    pub(super) fn time_bounds(&self, name: &str) -> Result<Option<Bounds<u64>>, Problem> {
        let ms: Reader<u64> = |text| values::length(text).map(|length| length.as_millis() as u64);
        let Some(node) = self.node(name) else { return Ok(None) };
        if matches!(node.value, Value::Map(_)) {
            return bounds(node, ms).map(Some);
        }
        let at_most = self.read(name, ms)?;
        Ok(Some(Bounds { at_least: None, at_most }))
    }

    /// A number (exactly that) or a mapping of bounds.
    pub(super) fn count_bounds(&self, name: &str) -> Result<Option<Bounds<u64>>, Problem> {
        let number: Reader<u64> = whole;
        let Some(node) = self.node(name) else { return Ok(None) };
        if matches!(node.value, Value::Map(_)) {
            return bounds(node, number).map(Some);
        }
        let exactly = self.read(name, number)?;
        Ok(Some(Bounds { at_least: exactly, at_most: exactly }))
    }

    /// `{above: -40, below: -3}`.
    pub(super) fn levels(&self, name: &str) -> Result<Option<Bounds<f64>>, Problem> {
        let Some(node) = self.node(name) else { return Ok(None) };
        let fields = Fields::of(node, &LEVELS)?;
        let (at_least, at_most) =
            (fields.read("above", values::level)?, fields.read("below", values::level)?);
        check_bounds(node, at_least, at_most).map(Some)
    }

    /// `440` or `440 for 1s`, and how exact.
    pub(super) fn pitch(&self, name: &str) -> Result<Option<(Pitch, Option<Duration>)>, Problem> {
        let Some((hz, lasting)) = self.read(name, tone)? else { return Ok(None) };
        Ok(Some((Pitch { hz, tolerance: self.tolerance()? }, lasting)))
    }

    pub(super) fn tolerance(&self) -> Result<u16, Problem> {
        let reader: Reader<u16> = |text| match text.parse() {
            Ok(hz @ 1..=MAX_TOLERANCE) => Ok(hz),
            _ => Err(format!("`{text}` is no number of Hz from 1 to {MAX_TOLERANCE}")),
        };
        Ok(self.read("tolerance", reader)?.unwrap_or(TOLERANCE))
    }

    /// A mapping of names to texts.
    pub(super) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, Problem> {
        let Some(node) = self.node(name) else { return Ok(Vec::new()) };
        let Value::Map(members) = &node.value else {
            return Err(Problem::new(node.place, format!("`{name}`: a mapping is needed here")));
        };
        let pair = |(key, value): &(Key, Node)| Ok((key.text.clone(), scalar(value, &key.text)?.to_owned()));
        members.iter().map(pair).collect()
    }
}

/// The text of a scalar.
pub(super) fn scalar<'a>(node: &'a Node, name: &str) -> Result<&'a str, Problem> {
    match &node.value {
        Value::Text(text) => Ok(text),
        other => Err(Problem::new(
            node.place,
            format!("`{name}`: a text or number is needed here, not {}", other.kind()),
        )),
    }
}

/// `440`, `440 for 1s`.
pub(super) fn tone(text: &str) -> Result<(u16, Option<Duration>), String> {
    match text.split_once(" for ") {
        Some((hz, lasting)) => Ok((values::frequency(hz.trim())?, Some(values::length(lasting.trim())?))),
        None => Ok((values::frequency(text)?, None)),
    }
}

pub(super) fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no whole number"))
}

fn bounds(node: &Node, reader: Reader<u64>) -> Result<Bounds<u64>, Problem> {
    let fields = Fields::of(node, &BOUNDS)?;
    let (at_least, at_most) = (fields.read("at_least", reader)?, fields.read("at_most", reader)?);
    check_bounds(node, at_least, at_most)
}

fn check_bounds<T: PartialOrd>(
    node: &Node,
    at_least: Option<T>,
    at_most: Option<T>,
) -> Result<Bounds<T>, Problem> {
    match (&at_least, &at_most) {
        (None, None) => Err(Problem::new(node.place, "a bound is needed here")),
        (Some(least), Some(most)) if least > most => {
            Err(Problem::new(node.place, "nothing lies between these bounds"))
        }
        _ => Ok(Bounds { at_least, at_most }),
    }
}
