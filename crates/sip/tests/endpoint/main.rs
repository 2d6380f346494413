//! The endpoint in virtual time: against a peer written out by hand, and against itself over a bad
//! wire.

mod bench;
mod calls_in;
mod calls_out;
mod in_call;
mod restart;
mod strangers;
mod terms;
mod timers;
mod wire;
