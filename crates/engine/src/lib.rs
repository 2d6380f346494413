//! The only SIP and RTP sockets: shards, sessions, RTP workers, the carrier simulator.
