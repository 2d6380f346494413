//! What outsiders saw: the legs in the logs of the carrier and the PBX, the requests at the customer's web server,
//! the records as REST shows them, the deaths as the killer noted them. Never a table of ours.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

/// The header that the PBX gives each call and the platform must pass on; its value is the call's number in this loop.
pub(crate) const LOOP_HEADER: &str = "X-VH-Loop";

/// A leg as its own end logged it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leg {
    /// SIP Call-ID.
    pub(crate) call_id: String,
    /// It came from the platform.
    pub(crate) incoming: bool,
    /// The value of [`LOOP_HEADER`], where the log has headers.
    pub(crate) offer: Option<u64>,
    pub(crate) answered_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
    /// `us`, `peer`, `failure`, from that end's point of view.
    pub(crate) ended_by: String,
    pub(crate) talk_ms: u64,
}

/// A call that was offered to the platform, and what its caller saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offer {
    pub(crate) number: u64,
    /// The caller's Call-ID.
    pub(crate) call_id: String,
    /// 180 or 183 came.
    pub(crate) rang: bool,
    /// The final status, 0 when none came.
    pub(crate) status: u16,
}

/// One request of an event at the customer's web server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Event {
    /// `webhook-id`.
    pub(crate) id: String,
    /// `CallInitiated` or `Hangup`.
    pub(crate) kind: String,
    /// `CallUUID`.
    pub(crate) call: String,
    /// What it says the call cost; only trunk events say it in micro-units.
    pub(crate) cost_micros: Option<i64>,
    /// We answered it with 200.
    pub(crate) taken: bool,
    /// Its signatures hold.
    pub(crate) signed: bool,
}

/// A call record as REST shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) call: String,
    pub(crate) sip_call_id: String,
    pub(crate) outbound: bool,
    pub(crate) billsec: u64,
    pub(crate) cost_micros: i64,
}

/// The platform died and came back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Death {
    pub(crate) killed_ms: i64,
    pub(crate) ready_ms: i64,
    /// From the start of the process to its ready line.
    pub(crate) ready_in_ms: u64,
}

/// Money and live calls, as the operator is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) opening_micros: i64,
    pub(crate) closing_micros: i64,
    pub(crate) held_micros: i64,
    pub(crate) live_calls: u64,
    pub(crate) listed_live: usize,
    /// What `verify-ledger` says, when it is not "ok".
    pub(crate) ledger: Option<String>,
    /// Micro-units for a second of talk: out, in.
    pub(crate) second_micros: (i64, i64),
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) offers: Vec<Offer>,
    pub(crate) carrier: Vec<Leg>,
    pub(crate) pbx: Vec<Leg>,
    pub(crate) events: Vec<Event>,
    pub(crate) records: Vec<Record>,
    pub(crate) deaths: Vec<Death>,
    pub(crate) books: Books,
}

/// Reads a simulator's log: of each leg, what its last line says.
pub(crate) fn legs(path: &Path) -> Vec<Leg> {
    let text = std::fs::read_to_string(path).expect("the simulator's log");
    let mut legs: HashMap<(String, bool), Leg> = HashMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("each line stands alone");
        let leg = leg(&line);
        legs.insert((leg.call_id.clone(), leg.incoming), leg);
    }
    legs.into_values().collect()
}

fn leg(line: &Value) -> Leg {
    let headers = line["headers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let offer = headers.iter().find_map(|header| {
        let is_ours = header[0].as_str()?.eq_ignore_ascii_case(LOOP_HEADER);
        is_ours.then(|| header[1].as_str()?.trim().parse().ok()).flatten()
    });
    Leg {
        call_id: line["call_id"].as_str().unwrap_or_default().to_owned(),
        incoming: line["direction"] == "incoming",
        offer,
        answered_ms: line["answered_at_ms"].as_i64(),
        ended_ms: line["ended_at_ms"].as_i64(),
        ended_by: line["ended_by"].as_str().unwrap_or_default().to_owned(),
        talk_ms: line["talk_ms"].as_u64().unwrap_or_default(),
    }
}

/// Reads a row of `/cdr`.
pub(crate) fn record(row: &Value) -> Record {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    Record {
        call: text("uuid"),
        sip_call_id: text("sip_call_id"),
        outbound: row["call_direction"] == "outbound",
        billsec: row["billsec"].as_u64().unwrap_or_default(),
        // A price below 2^53 micro-units comes back from JSON exactly.
        cost_micros: (row["total_cost"].as_f64().unwrap_or(-1.0) * 1e6).round() as i64,
    }
}
