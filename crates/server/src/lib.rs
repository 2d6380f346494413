//! The service: REST API, admission, billing, webhooks, jobs and configuration.

mod admission;
pub mod auth;
pub mod config;
mod directory;
mod documents;
pub mod egress;
mod registrations;
mod timeline;
pub mod webhooks;
