//! What comes over the wire is not always well meant: the torture messages of RFC 4475 and RFC 5118, INVITEs bent out of
//! shape by the hundred, floods, sprayed RTP, guesses and forgeries, against the running binary. Between them ordinary calls
//! go through.

mod peer;
mod torture;

#[path = "../../../../../fuzz/bodies/mutation.rs"]
mod mutation;

mod doorstep;
mod flood;
mod mutants;
