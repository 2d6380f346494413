//! What waits for a session: SIP events of its legs, in order. (Media events have a channel of their
//! own with the same rules, `rtp::event_channel`.)
//!
//! A full mailbox never loses an ending. Endings and answers are latched: there is at most one of
//! each kind per leg, so they need no bound of their own. Digits have a reserved number of places;
//! the rest drops and is counted.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

use tandem_sip::{Event, LegId};

use super::signals::leg_of;
use crate::live::Doorbell;

/// Digits (INFO) that may wait.
pub(crate) const MAX_WAITING_DIGITS: usize = 64;
/// Events that may be dropped, waiting.
pub(crate) const MAX_WAITING_REST: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// One per leg and kind; a newer one takes the older one's place.
    Latched(LegId, Discriminant<Event>),
    Digit,
    Rest,
}

/// The mailbox of one session; used on the shard's thread only.
#[derive(Debug)]
pub(crate) struct Mailbox {
    events: RefCell<VecDeque<Event>>,
    digits: Cell<usize>,
    rest: Cell<usize>,
    dropped: Cell<u64>,
    door: Arc<Doorbell>,
}

impl Mailbox {
    /// An empty mailbox behind `door`.
    pub(crate) fn new(door: Arc<Doorbell>) -> Self {
        Self {
            events: RefCell::default(),
            digits: Cell::new(0),
            rest: Cell::new(0),
            dropped: Cell::new(0),
            door,
        }
    }

    /// Puts an event in and wakes the session. One there is no place for comes back.
    pub(crate) fn post(&self, event: Event) -> Result<(), Box<Event>> {
        let mut events = self.events.borrow_mut();
        match class(&event) {
            Class::Latched(leg, kind) => {
                match events.iter_mut().find(|waiting| class(waiting) == Class::Latched(leg, kind)) {
                    Some(place) => *place = event,
                    None => events.push_back(event),
                }
            }
            Class::Digit if self.digits.get() < MAX_WAITING_DIGITS => {
                self.digits.set(self.digits.get() + 1);
                events.push_back(event);
            }
            Class::Rest if self.rest.get() < MAX_WAITING_REST => {
                self.rest.set(self.rest.get() + 1);
                events.push_back(event);
            }
            Class::Digit | Class::Rest => {
                self.dropped.set(self.dropped.get() + 1);
                return Err(Box::new(event));
            }
        }
        drop(events);
        self.door.ring();
        Ok(())
    }

    /// Takes the oldest event.
    pub(crate) fn take(&self) -> Option<Event> {
        let event = self.events.borrow_mut().pop_front()?;
        match class(&event) {
            Class::Digit => self.digits.set(self.digits.get().saturating_sub(1)),
            Class::Rest => self.rest.set(self.rest.get().saturating_sub(1)),
            Class::Latched(..) => {}
        }
        Some(event)
    }

    /// Takes what waits for one SIP leg, oldest first.
    pub(crate) fn take_of(&self, sip: LegId) -> Vec<Event> {
        let (of_it, rest): (VecDeque<_>, VecDeque<_>) =
            self.events.take().into_iter().partition(|event| leg_of(event) == Some(sip));
        let count = |class: fn(Class) -> bool| rest.iter().filter(|event| class(self::class(event))).count();
        self.digits.set(count(|class| class == Class::Digit));
        self.rest.set(count(|class| class == Class::Rest));
        self.events.replace(rest);
        of_it.into()
    }

    /// Events turned away so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// The door that wakes the session.
    pub(crate) fn door(&self) -> &Arc<Doorbell> {
        &self.door
    }
}

fn class(event: &Event) -> Class {
    match event {
        Event::Answered { leg, .. }
        | Event::Challenged { leg, .. }
        | Event::Rejected { leg, .. }
        | Event::Redirected { leg, .. }
        | Event::Cancelled { leg, .. }
        | Event::Acked { leg, .. }
        | Event::AckTimeout { leg }
        | Event::Bye { leg, .. }
        | Event::Terminated { leg, .. }
        | Event::LateAnswerAfterCancel { leg } => Class::Latched(*leg, discriminant(event)),
        Event::Info { .. } => Class::Digit,
        _ => Class::Rest,
    }
}

#[cfg(test)]
mod tests {
    use tandem_model::clock;
    use tandem_sip::message::{Address, OwnedUri};
    use tandem_sip::{Endpoint, EndpointConfig, Flow, OutgoingInvite, Transport};

    use super::*;

    fn some_leg() -> LegId {
        let mut endpoint = Endpoint::new(EndpointConfig::new("192.0.2.1", 5060), [0; 32]);
        let address = "192.0.2.2:5060".parse().unwrap();
        let flow = Flow { transport: Transport::Udp, local: address, remote: address };
        let party = Address::parse("sip:a@192.0.2.2").unwrap();
        let uri = OwnedUri::parse("sip:a@192.0.2.2").unwrap();
        endpoint.invite(clock::monotonic(), OutgoingInvite::new(flow, uri, party.clone(), party)).unwrap()
    }

    #[test]
    fn a_full_mailbox_never_loses_an_ending() {
        let mailbox = Mailbox::new(Arc::default());
        let leg = some_leg();
        let info = || Event::Info { leg, content_type: String::new(), body: Vec::new() };
        let ringing = || Event::Ringing { leg, early_tag: String::new(), status: 180 };
        for _ in 0..MAX_WAITING_DIGITS {
            assert!(mailbox.post(info()).is_ok());
        }
        for _ in 0..MAX_WAITING_REST {
            assert!(mailbox.post(ringing()).is_ok());
        }
        assert!(mailbox.post(info()).is_err() && mailbox.post(ringing()).is_err());
        assert_eq!(mailbox.dropped(), 2);
        for _ in 0..1_000 {
            assert!(mailbox.post(Event::Bye { leg, reason: None }).is_ok());
        }
        let waiting: Vec<_> = std::iter::from_fn(|| mailbox.take()).collect();
        assert_eq!(
            waiting.len(),
            MAX_WAITING_DIGITS + MAX_WAITING_REST + 1,
            "one ending of a kind is latched"
        );
        assert!(matches!(waiting.last(), Some(Event::Bye { .. })));
        assert!(mailbox.post(info()).is_ok(), "places are given back");
    }
}
