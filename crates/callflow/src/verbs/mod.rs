//! The verbs: one file each, with a [`Spec`], a parser and a state machine; and the table of them.
//!
//! A verb is started with the session it acts on and is then stepped with every input until it says what
//! comes next. It knows nothing of documents, other verbs or how calls end.

mod cue;
pub(crate) mod dial;
mod dtmf;
mod gather;
mod hangup;
mod play;
mod pre_answer;
pub(crate) mod record;
mod redirect;
mod speak;
mod unbuilt;
mod wait;

use std::fmt::Debug;
use std::time::Instant;

use roxmltree::Node;

pub(crate) use cue::{Cue, Prompter};

use crate::document::spec::Spec;
use crate::document::{DocumentError, Element, Reading, Severity, Source, Words, nearest};
use crate::effect::Sound;
use crate::input::Input;
use crate::leg::{End, Leg};
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
    Entry { spec: &record::SPEC, parse: record::parse },
    Entry { spec: &redirect::SPEC, parse: |element| Ok(redirect::parse(element)) },
    Entry { spec: &hangup::SPEC, parse: |element| Ok(hangup::parse(element)) },
    Entry { spec: &pre_answer::SPEC, parse: pre_answer::parse },
    Entry { spec: &dtmf::SPEC, parse: |element| Ok(dtmf::parse(element)) },
];

/// Elements of the language that are not built, with their aliases. `Start` and `Connect` wrap a Stream in TwiML.
pub(crate) const NOT_BUILT: &[(&str, &[&str])] = &[
    ("Conference", &[]),
    ("Stream", &["AudioStream", "Start", "Connect"]),
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
    fn needs_media(&self, session: &Session) -> bool {
        let _ = session;
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

    /// Whether the keys pressed now may be shown to nobody (`log="false"`).
    fn keeps_keys_secret(&self) -> bool {
        false
    }

    /// Falls silent: A interrupted it.
    fn stop(&mut self, session: &mut Session) {
        let _ = session;
    }

    /// The leg that A talks with.
    fn partner(&self) -> Option<Leg> {
        None
    }

    /// Lets go of a leg without hanging it up: it has a flow of its own from now on.
    fn release(&mut self, now: Instant, session: &mut Session, leg: Leg) -> Step {
        let _ = (now, session, leg);
        Step::Stay
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
    /// The end of a call whose document asks for something that is not there; the words say what.
    Broken(String),
}

/// A verb in its document.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) name: &'static str,
    pub(crate) line: u32,
    pub(crate) verb: Box<dyn Verb>,
}

/// Reads an element of a document; `None` for one that is none of the language, where that is tolerated.
pub(crate) fn parse<'a>(node: Node<'a, 'a>, source: &'a Source<'a>) -> Result<Option<Placed>, DocumentError> {
    let written = node.tag_name().name();
    if let Some(entry) = TABLE.iter().find(|entry| entry.spec.is_called(written)) {
        let element = Element::read(node, source, entry.spec);
        let verb = (entry.parse)(&element)?;
        return Ok(Some(Placed { name: element.name(), line: element.line(), verb }));
    }
    let Some(name) = not_built(written) else {
        unknown(node, source)?;
        return Ok(None);
    };
    let what = format!("<{name}>");
    let message = format!("{what} is not built yet: a call that reaches it ends (5010)");
    let words = Words { element: Some(name), attribute: None, message, remedy: String::new() };
    source.note(&node.range(), Severity::Warning, words);
    let line = source.position(node.range().start).0;
    Ok(Some(Placed { name, line, verb: Box::new(unbuilt::Unbuilt { what }) }))
}

/// Reads an element that is only heard; `None` for any other.
pub(crate) fn cues<'a>(node: Node<'a, 'a>, source: &'a Source<'a>) -> Option<Vec<Cue>> {
    let written = node.tag_name().name();
    let read = |spec| Element::read(node, source, spec);
    if speak::SPEC.is_called(written) {
        Some(vec![speak::cue(&read(&speak::SPEC))])
    } else if play::SPEC.is_called(written) {
        Some(vec![play::cue(&read(&play::SPEC))])
    } else if wait::SPEC.is_called(written) {
        Some(vec![wait::cue(&read(&wait::SPEC))])
    } else {
        None
    }
}

/// A child that may not stand in its parent: known elements refuse the document, unknown ones are as everywhere.
fn out_of_place<'a>(parent: &Element<'a>, node: Node<'a, 'a>) -> Result<(), DocumentError> {
    let written = node.tag_name().name();
    let known = TABLE.iter().any(|entry| entry.spec.is_called(written)) || not_built(written).is_some();
    if !known {
        return unknown(node, parent.source());
    }
    let message = format!("<{written}> may not stand inside <{}>", parent.name());
    Err(parent.source().error_in(node, message).remedied(match parent.children_allowed() {
        [] => format!("Put it before or after <{}>.", parent.name()),
        allowed => format!("Put it before or after; {} may stand inside.", allowed.join(", ")),
    }))
}

fn not_built(written: &str) -> Option<&'static str> {
    let is_called = |(name, aliases): &(&str, &[&str])| {
        name.eq_ignore_ascii_case(written) || aliases.iter().any(|alias| alias.eq_ignore_ascii_case(written))
    };
    NOT_BUILT.iter().find(|it| is_called(it)).map(|(name, _)| *name)
}

/// An element that is none of the language: skipped with a warning, or the end of a strict reading.
fn unknown<'a>(node: Node<'a, 'a>, source: &Source<'a>) -> Result<(), DocumentError> {
    let written = node.tag_name().name();
    let known = specs().map(|spec| spec.name).chain(NOT_BUILT.iter().map(|(name, _)| *name));
    let (message, remedy) = if [&dial::NUMBER, &dial::USER].iter().any(|spec| spec.is_called(written)) {
        (format!("<{written}> stands only inside <Dial>"), "Put it into a <Dial>.".to_owned())
    } else {
        let remedy = nearest(written, known).map(|name| format!("Did you mean <{name}>?"));
        (
            format!("<{written}> is no element of the language"),
            remedy.unwrap_or_else(|| "Remove it.".to_owned()),
        )
    };
    if source.reading() == Reading::Strict {
        return Err(source.error_in(node, message).remedied(remedy));
    }
    let message = format!("{message}: it is skipped");
    let words = Words { element: Some(written), attribute: None, message, remedy };
    source.note(&node.range(), Severity::Warning, words);
    Ok(())
}
