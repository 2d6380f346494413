//! YAML as a tree in which everything knows its place.
//!
//! A subset on purpose: one document, text keys, no anchors, aliases or tags. What a scalar means (a number, a
//! length of time, text) is decided by the key it stands under, so `from: +919812345678` and `press: 0012` mean
//! what they say.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::problem::{Place, Problem};

/// Largest script.
pub const MAX_SCRIPT_BYTES: usize = 1024 * 1024;
/// Deepest nesting.
const MAX_DEPTH: usize = 32;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a value is, as far as YAML tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Nothing,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Reads a script's text.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > MAX_SCRIPT_BYTES {
        return Err(Problem::new(
            Place { line: 1, column: 1 },
            format!("a script has at most {MAX_SCRIPT_BYTES} bytes"),
        ));
    }
    let mut tree = Tree { parser: Parser::new_from_str(text) };
    loop {
        let (event, at) = tree.next()?;
        match event {
            Event::StreamEnd => return Err(Problem::new(at, "the script is empty")),
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            event => {
                let root = tree.node(event, at, 0)?;
                return tree.end().map(|()| root);
            }
        }
    }
}

struct Tree<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Tree<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Place), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place(&span.start))),
            Some(Err(error)) => Err(Problem::new(place(error.marker()), error.info())),
            None => Ok((Event::StreamEnd, Place { line: 1, column: 1 })),
        }
    }

    /// The value that begins with this event.
    fn node(&mut self, event: Event<'a>, at: Place, depth: usize) -> Result<Node, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::new(at, format!("more than {MAX_DEPTH} levels")));
        }
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                plain(at, anchor, tag.is_some())?;
                let is_null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null");
                if is_null { Value::Nothing } else { Value::Text(text.into_owned()) }
            }
            Event::SequenceStart(anchor, tag) => {
                plain(at, anchor, tag.is_some())?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Value::List(items),
                        (event, at) => items.push(self.node(event, at, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(anchor, tag) => {
                plain(at, anchor, tag.is_some())?;
                self.map(depth)?
            }
            Event::Alias(_) => return Err(Problem::new(at, "anchors and aliases are not read in scripts")),
            _ => return Err(Problem::new(at, "something is missing here")),
        };
        Ok(Node { place: at, value })
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(members)),
                (Event::Scalar(text, ..), place) => Key { place, text: text.into_owned() },
                (_, place) => return Err(Problem::new(place, "a key is text")),
            };
            if let Some((first, _)) = members.iter().find(|(known, _)| known.text == key.text) {
                let message = format!("`{}` stands here a second time; first at {}", key.text, first.place);
                return Err(Problem::new(key.place, message));
            }
            let (event, at) = self.next()?;
            // A key without a value has no place of its own.
            let value = self.node(event, at.max(key.place), depth + 1)?;
            members.push((key, value));
        }
    }

    fn end(&mut self) -> Result<(), Problem> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentEnd | Event::Nothing, _) => {}
                (_, at) => return Err(Problem::new(at, "one script stands in one file")),
            }
        }
    }
}

fn plain(at: Place, anchor: usize, has_tag: bool) -> Result<(), Problem> {
    if anchor != 0 || has_tag {
        return Err(Problem::new(at, "anchors, aliases and tags are not read in scripts"));
    }
    Ok(())
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_value_knows_its_place() {
        let root = parse("name: Ivr\nparties:\n  caller:\n    steps:\n      - press: 0012\n").unwrap();
        let Value::Map(members) = &root.value else { panic!("{root:?}") };
        assert_eq!((members[0].0.place, members[0].1.place.column), (Place { line: 1, column: 1 }, 7));
        let text = format!("{root:?}");
        assert!(text.contains("Text(\"0012\")"), "{text}");
        assert!(text.contains("Key { place: Place { line: 5, column: 9 }, text: \"press\" }"), "{text}");
    }

    #[test]
    fn what_is_no_script_is_told_with_its_place() {
        assert_eq!(problem("a: 1\nb: 2\na: 3\n"), "3:1: `a` stands here a second time; first at 1:1");
        assert!(problem("a: &x 1\n").contains("anchors"));
        assert!(problem("a: !!str 1\n").contains("tags"));
        assert!(problem("a: *x\n").starts_with("1:"));
        assert!(problem("").contains("empty"));
        assert!(problem("a: 1\n---\nb: 2\n").contains("one script"));
        assert!(problem("a: [1, 2\n").starts_with("2:"), "{}", problem("a: [1, 2\n"));
        assert!(problem("? [a]\n: 1\n").contains("a key is text"));
    }

    #[test]
    fn the_limits_hold_at_and_one_past() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(problem(&nested(MAX_DEPTH + 1)).contains("levels"));
        let long = |bytes: usize| format!("a: {}", "x".repeat(bytes - 3));
        assert!(parse(&long(MAX_SCRIPT_BYTES)).is_ok());
        assert!(problem(&long(MAX_SCRIPT_BYTES + 1)).contains("bytes"));
    }

    proptest! {
        #[test]
        fn no_text_crashes_the_reader(text in "[a:\\-\\[\\]{}&*!|>'\"\\n ~?,#]{0,60}") {
            let _ = parse(&text);
        }
    }
}
