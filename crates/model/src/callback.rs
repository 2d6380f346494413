//! Which events of its calls a place wants to hear of. Accounts, applications and trunks keep such a list; whoever would
//! write an event asks it first (Vobiz voice reference 3.14).
//!
//! An event may answer to more than one name: the end of a call that nobody answered is `Hangup` and `call.failed`. A list
//! that has any of them lets it through, and an empty list lets everything through.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::UrlCall;

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackEvent {
    /// A call begins: it rings, or a trunk attempt passed admission.
    Ring,
    /// It was answered and its document begins.
    StartApp,
    /// It ended.
    Hangup,
    /// A recording of it is ready.
    RecordingCompleted,
    /// It was refused, or ended without an answer.
    CallFailed,
}

impl CallbackEvent {
    /// Every one, in the order in which lists are written.
    pub const ALL: [Self; 5] =
        [Self::Ring, Self::StartApp, Self::Hangup, Self::RecordingCompleted, Self::CallFailed];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ring => "Ring",
            Self::StartApp => "StartApp",
            Self::Hangup => "Hangup",
            Self::RecordingCompleted => "recording.completed",
            Self::CallFailed => "call.failed",
        }
    }

    /// What it was called before.
    pub const fn older_name(self) -> Option<&'static str> {
        match self {
            Self::Ring => Some("call.initiated"),
            Self::StartApp => Some("call.answered"),
            Self::Hangup => Some("call.completed"),
            Self::RecordingCompleted | Self::CallFailed => None,
        }
    }

    /// By either name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is = |name: &str| name.eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(|event| is(event.name()) || event.older_name().is_some_and(is))
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A list of them; empty for all. Written as its names with commas between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallbackEvents(u8);

impl CallbackEvents {
    /// Everything.
    pub const ALL: Self = Self(0);

    /// Whether it lets everything through.
    pub const fn is_all(&self) -> bool {
        self.0 == 0
    }

    /// Whether an event that answers to these names goes through.
    pub fn pass(self, names: &[CallbackEvent]) -> bool {
        self.is_all() || names.iter().any(|name| self.0 & name.bit() != 0)
    }

    /// The names, in one order, each once.
    pub fn names(self) -> Vec<&'static str> {
        let listed = |event: &CallbackEvent| self.0 & event.bit() != 0;
        CallbackEvent::ALL.into_iter().filter(listed).map(CallbackEvent::name).collect()
    }
}

impl FromIterator<CallbackEvent> for CallbackEvents {
    fn from_iter<I: IntoIterator<Item = CallbackEvent>>(events: I) -> Self {
        Self(events.into_iter().fold(0, |bits, event| bits | event.bit()))
    }
}

impl fmt::Display for CallbackEvents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.names().join(","))
    }
}

impl FromStr for CallbackEvents {
    type Err = &'static str;

    /// A name that is not known is an error: leaving it out could turn a short list into one that lets everything through.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.split(',').filter(|name| !name.is_empty());
        names.map(|name| CallbackEvent::parse(name).ok_or("no such event of calls")).collect()
    }
}

impl TryFrom<String> for CallbackEvents {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CallbackEvents> for String {
    fn from(events: CallbackEvents) -> Self {
        events.to_string()
    }
}

/// A place that is told of calls, and of which of their events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCallback {
    /// Where and how.
    #[serde(flatten)]
    pub call: UrlCall,
    /// What.
    #[serde(default, skip_serializing_if = "CallbackEvents::is_all")]
    pub events: CallbackEvents,
}

impl EventCallback {
    /// A place that is told everything.
    pub const fn all(call: UrlCall) -> Self {
        Self { call, events: CallbackEvents::ALL }
    }

    /// The place, if it wants to hear of an event that answers to these names.
    pub fn wants(&self, names: &[CallbackEvent]) -> Option<&UrlCall> {
        self.events.pass(names).then_some(&self.call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HttpMethod;

    #[test]
    fn either_name_in_any_case_is_the_same_event() {
        for event in CallbackEvent::ALL {
            for name in [Some(event.name()), event.older_name()].into_iter().flatten() {
                assert_eq!(CallbackEvent::parse(name), Some(event));
                assert_eq!(CallbackEvent::parse(&format!(" {} ", name.to_ascii_uppercase())), Some(event));
            }
        }
        for name in ["", "call", "hangups", "call.failed.", "*"] {
            assert_eq!(CallbackEvent::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_list_is_written_in_one_order_without_repetition_and_read_again() {
        let list = [CallbackEvent::CallFailed, CallbackEvent::Ring, CallbackEvent::CallFailed];
        let list: CallbackEvents = list.into_iter().collect();
        assert_eq!(
            (list.to_string(), list.names()),
            ("Ring,call.failed".to_owned(), vec!["Ring", "call.failed"])
        );
        assert_eq!("call.initiated,Ring,CALL.FAILED".parse(), Ok(list));
        assert_eq!("".parse(), Ok(CallbackEvents::ALL));
        assert_eq!(CallbackEvents::ALL.to_string(), "");
        assert!("Ring,soon".parse::<CallbackEvents>().is_err(), "what is not understood is not left out");
        let full: CallbackEvents = CallbackEvent::ALL.into_iter().collect();
        assert_eq!(full.to_string().parse(), Ok(full));
    }

    #[test]
    fn an_empty_list_lets_everything_through_and_another_only_what_it_names() {
        let failed = [CallbackEvent::Hangup, CallbackEvent::CallFailed];
        let only = |event| CallbackEvents::from_iter([event]);
        assert!(CallbackEvents::ALL.pass(&failed));
        assert!(only(CallbackEvent::Hangup).pass(&failed) && only(CallbackEvent::CallFailed).pass(&failed));
        assert!(!only(CallbackEvent::CallFailed).pass(&[CallbackEvent::Hangup]));
        assert!(!only(CallbackEvent::StartApp).pass(&failed));
    }

    #[test]
    fn a_place_kept_before_there_were_lists_is_told_everything() {
        let kept = r#"{"url":"https://shop.example/d","method":"GET"}"#;
        let place: EventCallback = serde_json::from_str(kept).unwrap();
        let call = UrlCall { url: "https://shop.example/d".to_owned(), method: HttpMethod::Get };
        assert_eq!(place, EventCallback::all(call));
        assert_eq!(serde_json::to_string(&place).unwrap(), kept);
        let short = EventCallback { events: [CallbackEvent::Hangup].into_iter().collect(), ..place };
        let text = serde_json::to_string(&short).unwrap();
        assert_eq!(text, r#"{"url":"https://shop.example/d","method":"GET","events":"Hangup"}"#);
        assert_eq!(serde_json::from_str::<EventCallback>(&text).unwrap(), short);
    }
}
