//! What people watch in development mode: the last calls, line by line, as they happen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tandem_model::CallId;
use tandem_model::ports::{Observer, Trace};

/// Calls kept.
const MOST_CALLS: usize = 50;
/// Lines kept of one call.
const MOST_LINES: usize = 300;

/// One call's lines.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CallTimeline {
    /// The call.
    pub(crate) call: CallId,
    /// Oldest first.
    pub(crate) lines: Vec<Trace>,
}

/// The timelines of a node in development mode. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Timelines(Arc<Mutex<VecDeque<CallTimeline>>>);

impl Timelines {
    /// The lines of one call.
    pub(crate) fn of(&self, call: CallId) -> Option<CallTimeline> {
        self.lock(|calls| calls.iter().find(|timeline| timeline.call == call).cloned())
    }

    /// All calls kept, newest first.
    pub(crate) fn recent(&self) -> Vec<CallTimeline> {
        self.lock(|calls| calls.iter().rev().cloned().collect())
    }

    fn lock<T>(&self, work: impl FnOnce(&mut VecDeque<CallTimeline>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Timelines {
    fn watching(&self) -> bool {
        true
    }

    fn observe(&self, trace: Trace) {
        self.lock(|calls| {
            if let Some(timeline) = calls.iter_mut().find(|timeline| timeline.call == trace.call) {
                if timeline.lines.len() < MOST_LINES {
                    timeline.lines.push(trace);
                }
                return;
            }
            if calls.len() == MOST_CALLS {
                calls.pop_front();
            }
            calls.push_back(CallTimeline { call: trace.call, lines: vec![trace] });
        });
    }
}

/// Nobody watches: production.
pub(crate) struct Unwatched;

impl Observer for Unwatched {
    fn watching(&self) -> bool {
        false
    }

    fn observe(&self, _: Trace) {}
}
