//! The service: REST API, admission, billing, webhooks, jobs and configuration.

pub mod auth;
pub mod config;
pub mod egress;
pub mod webhooks;
