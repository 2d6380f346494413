//! What was sent, heard, lost, and how long it took.

use std::time::Duration;

use crate::call::Stamp;

#[derive(Default)]
pub(crate) struct Tally {
    sent: u64,
    unsent: u64,
    strange: u64,
    foreign: u64,
    late_max: Duration,
    heard: Vec<(u32, u32)>,
}

impl Tally {
    pub(crate) fn late(&mut self, late: Duration) {
        self.late_max = self.late_max.max(late);
    }

    pub(crate) fn sent(&mut self, really: bool) {
        self.sent += 1;
        self.unsent += u64::from(!really);
    }

    /// Neither ours nor RTP of ours.
    pub(crate) fn strange(&mut self) {
        self.strange += 1;
    }

    /// A packet came after `delay`, from where it was expected or from elsewhere.
    pub(crate) fn heard(&mut self, expected: bool, stamp: Stamp, delay: Duration) {
        if !expected {
            self.foreign += 1;
            return;
        }
        self.heard.push((stamp.number, delay.as_micros().min(u32::MAX.into()) as u32));
    }

    /// Forgets what was sent before round `first`.
    pub(crate) fn close(&mut self, first: u32) {
        self.heard.retain(|(number, _)| *number >= first);
    }

    pub(crate) fn json(&mut self, calls: usize, length: Duration) -> String {
        self.heard.sort_unstable_by_key(|(_, delay)| *delay);
        let last = self.heard.len().saturating_sub(1);
        let at = |share: f64| self.heard.get((last as f64 * share) as usize).map_or(0, |(_, delay)| *delay);
        let heard = self.heard.len() as u64;
        format!(
            "{{\"calls\": {calls}, \"seconds\": {}, \"sent\": {}, \"unsent\": {}, \"heard\": {heard}, \"lost\": {}, \"foreign\": {}, \
             \"strange\": {}, \"p50_us\": {}, \"p99_us\": {}, \"p999_us\": {}, \"max_us\": {}, \"late_max_us\": {}}}",
            length.as_secs(),
            self.sent,
            self.unsent,
            // More heard than sent is a packet told twice: shown as a negative loss.
            self.sent as i64 - heard as i64,
            self.foreign,
            self.strange,
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            self.late_max.as_micros(),
        )
    }
}
