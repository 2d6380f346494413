//! Every function of the store, on SQLite and on PostgreSQL: one body, two tests.

#![expect(clippy::unwrap_used, reason = "test code: a panic is the failure report")]

#[path = "conformance/support.rs"]
mod support;

#[path = "conformance/audit.rs"]
mod audit;
#[path = "conformance/calls.rs"]
mod calls;
#[path = "conformance/capacity.rs"]
mod capacity;
#[path = "conformance/configuration.rs"]
mod configuration;
#[path = "conformance/endpoints.rs"]
mod endpoints;
#[path = "conformance/fold.rs"]
mod fold;
#[path = "conformance/kyc.rs"]
mod kyc;
#[path = "conformance/ledger_model.rs"]
mod ledger_model;
#[path = "conformance/money.rs"]
mod money;
#[path = "conformance/numbers.rs"]
mod numbers;
#[path = "conformance/opening.rs"]
mod opening;
#[path = "conformance/outbox.rs"]
mod outbox;
#[path = "conformance/paying.rs"]
mod paying;
#[path = "conformance/provisioning.rs"]
mod provisioning;
#[path = "conformance/recordings.rs"]
mod recordings;
#[path = "conformance/records.rs"]
mod records;
#[path = "conformance/sessions.rs"]
mod sessions;
#[path = "conformance/sub_accounts.rs"]
mod sub_accounts;
#[path = "conformance/trunking.rs"]
mod trunking;
#[path = "conformance/writer.rs"]
mod writer;
