//! End to end: the real binary, started as anybody starts it, provisioned through the admin socket and REST, called
//! by real sipp, heard by handsets of our own, telling a customer's web server that checks every signature by
//! an implementation of its own.
//!
//! Each test is one node (money races: two) with many customers; what belongs together runs at once, so that
//! the whole of it takes as long as its longest call.

mod acme;
mod api_calls;
mod callback_events;
mod cancel_and_failures;
mod carrier_limits;
mod certificate;
mod clients;
mod fragments;
mod hostile;
mod inbound_calls;
mod keys;
mod kyc;
mod money_races;
mod names;
mod networks;
mod readings;
mod recordings;
mod refusals;
mod routing;
mod scripts;
mod stage;
mod steering;
mod thousand_trunks;
mod trunk_calls;
mod walls;
