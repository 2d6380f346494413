//! Every call the network saw: a bounded table, an optional file of JSON lines, an observer.
//!
//! The file is the memory of tests that kill the platform (or this process) at any moment, so each
//! line is written through at once and stands alone.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::mpsc;

use super::outcome::{EndedBy, FinalStatus, RtpFacts};

/// Calls remembered; the oldest is forgotten first.
pub const MAX_LOGGED_CALLS: usize = 20_000;

/// One call as this network saw it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimCall {
    /// SIP Call-ID.
    pub call_id: String,
    /// Who called whom.
    pub direction: SimDirection,
    /// User part of From.
    pub from: String,
    /// User part of the Request-URI.
    pub to: String,
    /// Pattern of the behaviour that a called number has.
    pub behaviour: Option<&'static str>,
    /// `X-` headers of an INVITE that came in.
    pub headers: Vec<(String, String)>,
    /// P-Asserted-Identity of an INVITE that came in.
    pub p_asserted_identity: Option<String>,
    /// Topmost Diversion of an INVITE that came in.
    pub diversion: Option<String>,
    /// When the INVITE came or went, milliseconds since the Unix epoch.
    pub invited_at_ms: i64,
    /// When the 200 went or came.
    pub answered_at_ms: Option<i64>,
    /// When it was over.
    pub ended_at_ms: Option<i64>,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
    /// From the 200 to the end, by the monotonic clock.
    pub talk_ms: u64,
    /// Final response.
    pub status: FinalStatus,
    /// DTMF received by SIP INFO.
    pub info_digits: String,
    /// What was sent and heard; filled in at the end.
    pub rtp: RtpFacts,
}

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SimDirection {
    /// The platform called a number of this network.
    Incoming,
    /// This network called the platform.
    Outgoing,
}

/// Something an observer is told.
#[derive(Clone, Debug)]
pub enum SimEvent {
    /// An INVITE came or went.
    Invited(SimCall),
    /// It was answered.
    Answered(SimCall),
    /// It is over.
    Ended(SimCall),
}

/// The table, shared between the driver that writes and [`Carrier::calls`](super::Carrier::calls).
#[derive(Clone, Debug, Default)]
pub(super) struct CallTable(Arc<Mutex<VecDeque<SimCall>>>);

/// Where the driver reports calls.
pub(super) struct CallLog {
    table: CallTable,
    file: Option<File>,
    observer: Option<mpsc::Sender<SimEvent>>,
}

#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    at_ms: i64,
    #[serde(flatten)]
    call: &'a SimCall,
}

impl SimEvent {
    /// The call.
    pub fn call(&self) -> &SimCall {
        match self {
            Self::Invited(call) | Self::Answered(call) | Self::Ended(call) => call,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Invited(_) => "invite",
            Self::Answered(_) => "answer",
            Self::Ended(_) => "end",
        }
    }
}

impl CallTable {
    /// A copy of what is in it, oldest first.
    pub(super) fn snapshot(&self) -> Vec<SimCall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The call with this Call-ID, the youngest if the network called itself.
    pub(super) fn find(&self, call_id: &str) -> Option<SimCall> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().rev().find(|call| call.call_id == call_id).cloned()
    }

    fn push(&self, call: &SimCall, capacity: usize) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= capacity {
            calls.pop_front();
        }
        calls.push_back(call.clone());
    }

    fn update(&self, call: &SimCall) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked for from the young end, where live calls are; a forgotten one stays forgotten.
        let place = calls.iter_mut().rev().find(|known| {
            known.ended_at_ms.is_none() && known.call_id == call.call_id && known.direction == call.direction
        });
        if let Some(known) = place {
            *known = call.clone();
        }
    }
}

impl CallLog {
    pub(super) fn open(
        table: CallTable,
        path: Option<&Path>,
        observer: Option<mpsc::Sender<SimEvent>>,
    ) -> io::Result<Self> {
        let file = path.map(|path| File::options().create(true).append(true).open(path)).transpose()?;
        Ok(Self { table, file, observer })
    }

    /// Notes one event at `at_ms` of the wall clock.
    pub(super) fn note(&mut self, at_ms: i64, event: SimEvent) {
        let call = event.call();
        match &event {
            SimEvent::Invited(call) => self.table.push(call, MAX_LOGGED_CALLS),
            SimEvent::Answered(call) | SimEvent::Ended(call) => self.table.update(call),
        }
        if let Some(file) = &mut self.file {
            // A short unbuffered append to the page cache: the driver may wait for that.
            let line = serde_json::to_string(&Line { event: event.word(), at_ms, call });
            let written = line.map_err(io::Error::from).and_then(|line| writeln_at_once(file, line));
            if let Err(error) = written {
                tracing::warn!(%error, "simulator log could not be written; logging stops");
                self.file = None;
            }
        }
        if let Some(observer) = &self.observer
            && observer.try_send(event).is_err()
        {
            tracing::debug!("simulator observer is full or gone; event dropped");
        }
    }
}

/// One `write` for the whole line, so that a crash leaves no half of it and appends do not mix.
fn writeln_at_once(file: &mut File, mut line: String) -> io::Result<()> {
    line.push('\n');
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: usize) -> SimCall {
        SimCall {
            call_id: id.to_string(),
            direction: SimDirection::Incoming,
            from: "1".to_owned(),
            to: "2".to_owned(),
            behaviour: Some("*"),
            headers: Vec::new(),
            p_asserted_identity: None,
            diversion: None,
            invited_at_ms: 1,
            answered_at_ms: None,
            ended_at_ms: None,
            ended_by: None,
            talk_ms: 0,
            status: FinalStatus::default(),
            info_digits: String::new(),
            rtp: RtpFacts::default(),
        }
    }

    #[test]
    fn the_table_forgets_the_oldest_at_its_limit() {
        let table = CallTable::default();
        for id in 0..3 {
            table.push(&call(id), 3);
        }
        assert_eq!(table.snapshot().len(), 3);
        table.push(&call(3), 3);
        let ids: Vec<String> = table.snapshot().into_iter().map(|call| call.call_id).collect();
        assert_eq!(ids, ["1", "2", "3"]);
    }

    #[test]
    fn a_call_is_one_entry_and_three_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.jsonl");
        let table = CallTable::default();
        let mut log = CallLog::open(table.clone(), Some(&path), None).unwrap();
        log.note(10, SimEvent::Invited(call(7)));
        log.note(20, SimEvent::Answered(SimCall { answered_at_ms: Some(20), ..call(7) }));
        log.note(30, SimEvent::Ended(SimCall { ended_at_ms: Some(30), ..call(7) }));
        assert_eq!(table.snapshot().len(), 1);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let words: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
        assert_eq!(words, ["invite", "answer", "end"]);
        assert!(lines.iter().all(|line| line["call_id"] == "7"));
        assert_eq!(lines[2]["at_ms"], 30);
    }
}
