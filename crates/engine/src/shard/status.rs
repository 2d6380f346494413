//! The readings of one shard, taken on its thread: the length of everything that grows, and what was counted.

use super::Shard;
use crate::status::Reading;

impl Shard {
    /// How full every table and queue is.
    pub(super) fn readings(&self) -> Vec<Reading> {
        let sip = self.endpoint(tandem_sip::Endpoint::stats);
        let streams = self.streams.sizes();
        let counted = self.streams.stats();
        let gateways = self.gateways.sizes();
        vec![
            Reading::drains("sip_legs", "SIP legs: calls in dialogs and those being set up", sip.legs),
            Reading::drains(
                "sip_server_transactions",
                "requests of peers not over yet",
                sip.server_transactions,
            ),
            Reading::drains(
                "sip_client_transactions",
                "requests of ours not over yet",
                sip.client_transactions,
            ),
            Reading::drains("sip_index_entries", "ways to find legs and transactions", sip.index_entries),
            Reading::stays("sip_timers", "deadlines waiting, those of what is over included", sip.timers),
            Reading::drains(
                "sip_leg_owners",
                "SIP legs whose events go to a session",
                self.owners.borrow().len(),
            ),
            Reading::drains(
                "sessions",
                "sessions, those that wait for their end to be stored included",
                self.live.count(),
            ),
            Reading::drains("calls_talking", "calls that talk", self.talking.borrow().len()),
            Reading::drains("calls_traced", "SIP Call-IDs watched for timelines", self.traced.borrow().len()),
            Reading::drains("media_legs", "RTP legs open", self.media.live_legs()),
            Reading::drains(
                "stream_queued_bytes",
                "bytes waiting to be written on connections",
                streams.queued_bytes,
            ),
            Reading::drains(
                "gateway_requests",
                "OPTIONS and REGISTER of ours waiting for their answer",
                gateways.waiting,
            ),
            Reading::stays(
                "registered_bindings",
                "contacts of registered phones",
                self.registrar.borrow().len(),
            ),
            Reading::stays(
                "streams_open",
                "TCP and TLS connections, those in their handshake included",
                streams.open,
            ),
            Reading::stays("streams_known", "connections in use", streams.known),
            Reading::stays("stream_sources", "addresses that have connected", streams.sources),
            Reading::stays(
                "stream_longest_queue",
                "messages waiting on the fullest connection",
                streams.longest_queue,
            ),
            Reading::stays("stream_names", "TLS peers whose name is known", streams.names),
            Reading::stays("stream_refusals", "addresses that refused TCP lately", streams.refusals),
            Reading::stays("gateways_failing", "gateways whose last probes failed", gateways.failing),
            Reading::stays("gateway_registrations", "accounts kept registered at gateways", gateways.held),
            Reading::counts("sip_malformed_total", "messages that were no SIP", sip.malformed),
            Reading::counts(
                "sip_refused_full_total",
                "requests refused because a table was full",
                sip.refused_full,
            ),
            Reading::counts("sip_strays_total", "responses and ACKs that belong to nothing", sip.strays),
            Reading::counts("sip_retransmissions_total", "messages sent again", sip.retransmissions),
            Reading::counts("sip_unsent_total", "datagrams the system did not take", self.unsent.get()),
            Reading::counts("streams_turned_away_total", "connections turned away", counted.turned_away),
            Reading::counts(
                "streams_overflowed_total",
                "connections closed because the peer did not read",
                counted.overflowed,
            ),
            Reading::counts(
                "streams_unreadable_total",
                "connections closed for what came or did not come",
                counted.unreadable,
            ),
        ]
    }
}
