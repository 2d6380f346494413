//! The API moves a leg to another document (Vobiz live-call reference, transfer).

use std::sync::Arc;
use std::time::Instant;

use tandem_model::ports::FetchKind;
use tandem_model::{HangupCause, HangupSource, UrlCall};

use super::{Activity, Call, target};
use crate::leg::{End, Leg};
use crate::session::{ALeg, Load};

impl Call {
    /// Tears down what runs and fetches the document. Nothing happens to a call that does not talk.
    pub(super) fn transfer(&mut self, now: Instant, to: &UrlCall, releasing: Option<Leg>) {
        if self.session.a() != ALeg::Answered {
            return self.session.trace("not transferred: the call is not in progress");
        }
        if let (Some(leg), Activity::Running(running)) = (releasing, &mut self.activity) {
            // What would come next gives way to the transfer.
            let _ = running.release(now, &mut self.session, leg);
        }
        self.abandon(now, End::new(HangupCause::NormalHangup, HangupSource::ApiRequest));
        self.load_transfer(now, to);
    }

    pub(super) fn load_transfer(&mut self, now: Instant, to: &UrlCall) {
        let parameters = Arc::new(self.session.parameters("Transfer"));
        self.load(now, Load { kind: FetchKind::Transfer, target: target(to), parameters }, None);
    }

    /// A B leg has a flow of its own.
    pub(super) fn released(&mut self, now: Instant, leg: Leg) {
        if let Activity::Running(running) = &mut self.activity {
            let step = running.release(now, &mut self.session, leg);
            self.apply(now, step);
        }
    }
}
