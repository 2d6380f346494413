//! The verbs: one file each, with a [`Spec`], a parser and a state machine; and the table of them.
//!
//! A verb is started with the session it acts on and is then stepped with every input until it says what
//! comes next. It knows nothing of documents, other verbs or how calls end.

pub(crate) mod dial;
mod gather;
mod hangup;
mod play;
mod redirect;
mod speak;
mod wait;

use std::fmt::Debug;
use std::time::Instant;

use roxmltree::Node;

use crate::document::spec::Spec;
use crate::document::{DocumentError, Element, Source};
use crate::effect::Sound;
use crate::input::Input;
use crate::leg::End;
use crate::session::{Load, Session};

/// A verb's line in the table.
struct Entry {
    spec: &'static Spec,
    parse: fn(&Element<'_>) -> Result<Box<dyn Verb>, DocumentError>,
}

/// The table: one line per verb.
const TABLE: &[Entry] = &[
    Entry { spec: &speak::SPEC, parse: |element| Ok(speak::parse(element)) },
    Entry { spec: &play::SPEC, parse: |element| Ok(play::parse(element)) },
    Entry { spec: &wait::SPEC, parse: |element| Ok(wait::parse(element)) },
    Entry { spec: &gather::SPEC, parse: gather::parse },
    Entry { spec: &dial::SPEC, parse: dial::parse },
    Entry { spec: &redirect::SPEC, parse: |element| Ok(redirect::parse(element)) },
    Entry { spec: &hangup::SPEC, parse: |element| Ok(hangup::parse(element)) },
];

/// Elements of the language that are not built, with their aliases.
pub(crate) const NOT_BUILT: &[(&str, &[&str])] = &[
    ("Record", &[]),
    ("Conference", &[]),
    ("Stream", &["AudioStream"]),
    ("PreAnswer", &[]),
    ("DTMF", &[]),
    ("MultiPartyCall", &[]),
    ("Message", &[]),
];

/// Every element's description, for the reference: the verbs, then the elements inside `<Dial>`.
pub(crate) fn specs() -> impl Iterator<Item = &'static Spec> {
    TABLE.iter().map(|entry| entry.spec).chain([&dial::NUMBER, &dial::USER])
}

/// An element ready to run.
pub(crate) trait Verb: Debug + Send + Sync {
    /// Whether A must be answered first.
    fn needs_media(&self) -> bool {
        false
    }

    /// What it will play to A, as far as that is known.
    fn sounds(&self, session: &Session) -> Vec<Sound> {
        let _ = session;
        Vec::new()
    }

    /// Sets it going.
    fn start(self: Box<Self>, now: Instant, session: &mut Session) -> Started;
}

/// What came of starting a verb.
pub(crate) enum Started {
    /// It waits for inputs.
    Running(Box<dyn Running>),
    /// It is over already.
    Done(Step),
}

/// A verb that waits for inputs.
pub(crate) trait Running: Debug + Send {
    /// Takes in what happened. [`Input::Deadline`] comes when its own deadline has passed, and may come earlier.
    fn step(&mut self, now: Instant, session: &mut Session, input: &Input) -> Step;

    /// When it wants [`Input::Deadline`].
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Falls silent: A interrupted it.
    fn stop(&mut self, session: &mut Session) {
        let _ = session;
    }

    /// The call ends under it: leaves nothing behind.
    fn abandon(&mut self, now: Instant, session: &mut Session, end: End) {
        let _ = (now, end);
        self.stop(session);
    }
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Wait on.
    Stay,
    /// The next element.
    Next,
    /// Another document instead of this one.
    Load(Box<Load>),
    /// The end of the call.
    End(End),
    /// The end of a call that is not answered, with a status for the caller.
    Refuse(End, u16),
}

/// A verb in its document.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) name: &'static str,
    pub(crate) line: u32,
    pub(crate) verb: Box<dyn Verb>,
}

/// Reads an element of a document.
pub(crate) fn parse<'a>(node: Node<'a, 'a>, source: &'a Source<'a>) -> Result<Placed, DocumentError> {
    let written = node.tag_name().name();
    let entry =
        TABLE.iter().find(|entry| entry.spec.is_called(written)).ok_or_else(|| unknown(node, source))?;
    let element = Element::read(node, source, entry.spec)?;
    Ok(Placed { name: element.name(), line: element.line(), verb: (entry.parse)(&element)? })
}

/// The complaint about an element that cannot be run.
pub(crate) fn unknown<'a>(node: Node<'a, 'a>, source: &Source<'a>) -> DocumentError {
    let written = node.tag_name().name();
    let known = NOT_BUILT.iter().find(|(name, aliases)| {
        name.eq_ignore_ascii_case(written) || aliases.iter().any(|alias| alias.eq_ignore_ascii_case(written))
    });
    let message = match known {
        Some((name, _)) => format!("`<{name}>` is not built"),
        None => format!("<{written}> is no element of the language"),
    };
    source.error_in(node, message)
}
