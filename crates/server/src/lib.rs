//! The service: REST API, admission, billing, webhooks, jobs and configuration.
