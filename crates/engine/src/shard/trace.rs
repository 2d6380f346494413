//! The SIP lines of a call's timeline, for people who watch. Costs one question when nobody does.

use std::net::SocketAddr;

use tandem_model::ports::{Trace, TraceKind};
use tandem_model::{CallId, clock};
use tandem_sip::call_id_of;

use super::Shard;

/// Most calls whose messages are traced at once.
const MAX_TRACED: usize = 4_096;
/// Longest start line shown.
const MAX_LINE_CHARS: usize = 160;

/// Which way a message went.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    In,
    Out,
}

impl Shard {
    /// Adds a line to a call's timeline; `text` is only made when somebody watches.
    pub(crate) fn trace(&self, call: CallId, kind: TraceKind, text: impl FnOnce() -> String) {
        let observer = &self.ports.observer;
        if observer.watching() {
            observer.observe(Trace { call, at: clock::wall(), kind, text: text() });
        }
    }

    /// Messages with this Call-ID belong to `call`; `false` when nobody watches.
    pub(crate) fn trace_call_id(&self, sip_call_id: &str, call: CallId) -> bool {
        let mut traced = self.traced.borrow_mut();
        let wanted = self.ports.observer.watching() && traced.len() < MAX_TRACED;
        if wanted {
            traced.insert(sip_call_id.to_owned(), call);
        }
        wanted
    }

    /// Messages with this Call-ID belong to nobody any more.
    pub(crate) fn untrace_call_id(&self, sip_call_id: &str) {
        self.traced.borrow_mut().remove(sip_call_id);
    }

    pub(super) fn trace_message(&self, way: Way, peer: SocketAddr, bytes: &[u8]) {
        if self.traced.borrow().is_empty() || !self.ports.observer.watching() {
            return;
        }
        let call = call_id_of(bytes)
            .and_then(|id| std::str::from_utf8(id).ok())
            .and_then(|id| self.traced.borrow().get(id).copied());
        if let Some(call) = call {
            self.trace(call, TraceKind::Sip, || line(way, peer, bytes));
        }
    }
}

/// `<- INVITE sip:+91… from 127.0.0.1:5071`, `-> 200 OK (INVITE) to …`.
fn line(way: Way, peer: SocketAddr, bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let start = text.lines().next().unwrap_or_default();
    let shown: String = match start.strip_prefix("SIP/2.0 ") {
        Some(status) => {
            let method = text
                .lines()
                .take_while(|line| !line.is_empty())
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case("cseq"))
                .and_then(|(_, value)| value.split_whitespace().nth(1))
                .unwrap_or_default();
            format!("{status} ({method})")
        }
        None => start.trim_end_matches(" SIP/2.0").to_owned(),
    };
    let shown: String = shown.chars().take(MAX_LINE_CHARS).collect();
    match way {
        Way::In => format!("<- {shown} from {peer}"),
        Way::Out => format!("-> {shown} to {peer}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_show_their_start_line_and_answers_their_method() {
        let peer = "127.0.0.1:5071".parse().unwrap();
        let invite = b"INVITE sip:+9180@h SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n";
        assert_eq!(line(Way::In, peer, invite), "<- INVITE sip:+9180@h from 127.0.0.1:5071");
        let ok = b"SIP/2.0 200 OK\r\ncseq: 1 INVITE\r\n\r\nv=0";
        assert_eq!(line(Way::Out, peer, ok), "-> 200 OK (INVITE) to 127.0.0.1:5071");
    }
}
