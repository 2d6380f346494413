//! The sections of the configuration, field for key. What each key means stands in `defaults.toml`.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Everything an operator can set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub node: NodeConfig,
    pub database: DatabaseConfig,
    pub api: ApiConfig,
    pub dns: DnsConfig,
    pub sip: SipConfig,
    pub edge: EdgeConfig,
    pub carriers: CarriersConfig,
    pub rtp: RtpConfig,
    pub billing: BillingConfig,
    pub capacity: CapacityConfig,
    pub numbers: NumbersConfig,
    pub payments: PaymentsConfig,
    pub kyc: KycConfig,
    pub mail: MailConfig,
    pub webhooks: WebhooksConfig,
    pub speech: SpeechConfig,
    pub recordings: RecordingsConfig,
    pub metrics: MetricsConfig,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    pub name: String,
    pub data: PathBuf,
    pub threads: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    pub url: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    pub listen: String,
    pub public_url: String,
    pub body_limit_bytes: usize,
    pub timeout_ms: u64,
    pub rate_limit_per_s: u32,
    pub rate_limit_burst: u32,
    pub write_rate_limit_per_s: u32,
    pub write_rate_limit_burst: u32,
    pub call_rate_limit_per_s: u32,
    pub call_rate_limit_burst: u32,
    pub logins_per_minute: u32,
    pub logins_per_minute_source: u32,
    pub refresh_token_days: u32,
    pub token_grace_s: u64,
    pub behind_proxy: bool,
    pub tls_certificate: String,
    pub tls_key: String,
    pub acme_domains: Vec<String>,
    pub acme_terms_agreed: bool,
    pub acme_contact: String,
    pub acme_directory: String,
    pub acme_ca: String,
    pub redirect_listen: String,
    pub call_queue_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipConfig {
    pub listen: String,
    pub tcp_listen: String,
    pub tls_listen: String,
    pub tls_certificate: String,
    pub tls_key: String,
    pub tls_ca: String,
    pub max_connections: usize,
    pub max_connections_per_source: usize,
    pub advertise: String,
    pub domain: String,
    pub registrar: String,
    pub application_domain: String,
    pub max_sessions: usize,
    pub overload_wait_ms: u64,
    pub ring_timeout_s: u32,
    pub max_duration_s: u64,
    pub media_timeout_s: u32,
    pub t1_ms: u16,
    pub min_session_expires_s: u32,
    pub cps_queue_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsConfig {
    pub servers: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeConfig {
    pub stranger_rate_per_s: u32,
    pub stranger_burst: u32,
    pub strangers_per_s: u32,
    pub proven_rate_per_s: u32,
    pub proven_burst: u32,
    pub answers_per_s: u32,
    pub ban_after: u32,
    pub ban_window_s: u64,
    pub ban_s: u64,
    pub ban_longest_s: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriersConfig {
    pub probe_interval_s: u64,
    pub probe_timeout_s: u64,
    pub probe_failures: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RtpConfig {
    pub first_port: u16,
    pub last_port: u16,
    pub quarantine_s: u64,
    pub threads: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillingConfig {
    pub country: String,
    pub webhook_timezone: String,
    pub reserve_s: u64,
    pub open_country_codes: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityConfig {
    pub currency: String,
    pub concurrent_calls_price: String,
    pub concurrent_calls_pack: u32,
    pub cps_price: String,
    pub cps_pack: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumbersConfig {
    pub currency: String,
    pub release_fee: String,
    pub release_window_h: u32,
    pub quarantine_days: u32,
    pub grace_days: u32,
    pub cool_off_days: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentsConfig {
    pub provider: String,
    pub url: String,
    pub secret: String,
    pub least: String,
    pub most: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KycConfig {
    pub pending_blocks_calls: bool,
    pub public_url: String,
    pub verifier: String,
    pub verifier_url: String,
    pub verifier_secret: String,
    pub retention_days: u32,
    pub abandoned_retention_days: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    pub smtp_url: String,
    pub from: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhooksConfig {
    pub allow_private: Vec<IpNet>,
    pub kept_days: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeechConfig {
    pub espeak: String,
    pub apology: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    pub listen: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingsConfig {
    pub all: bool,
    pub retention_days: u32,
}
