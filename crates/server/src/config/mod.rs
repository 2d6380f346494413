//! The one reader of configuration: embedded defaults, a file, `TANDEM_…` variables, command line.
//! Every value knows where it came from; `tandem doctor` prints it.

mod sections;

use std::path::Path;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use thiserror::Error;

pub use sections::{
    ApiConfig, BillingConfig, CapacityConfig, CarriersConfig, Config, DatabaseConfig, DnsConfig, EdgeConfig,
    KycConfig, MailConfig, MetricsConfig, NodeConfig, NumbersConfig, PaymentsConfig, RecordingsConfig,
    RtpConfig, SipConfig, SpeechConfig, WebhooksConfig,
};

/// The embedded defaults: every key, commented.
pub const DEFAULTS: &str = include_str!("../../defaults.toml");

/// The configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A key has the wrong type, is unknown, or the file does not parse.
    #[error("configuration: {0}")]
    Invalid(Box<figment::Error>),
    /// The file named on the command line is not there.
    #[error("configuration file {0} cannot be read")]
    Missing(String),
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        Self::Invalid(Box::new(error))
    }
}

/// What the command line adds on top, key by dotted key, and what it puts in the place of defaults.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    over: Vec<(String, figment::value::Value)>,
    under: Vec<(String, figment::value::Value)>,
}

impl Overrides {
    /// Sets a dotted key such as `sip.listen`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<figment::value::Value>) -> Self {
        self.over.push((key.to_owned(), value.into()));
        self
    }

    /// Another default for a dotted key: a file and the environment still win.
    #[must_use]
    pub fn set_default(mut self, key: &str, value: impl Into<figment::value::Value>) -> Self {
        self.under.push((key.to_owned(), value.into()));
        self
    }

    /// Sets it when there is a value.
    #[must_use]
    pub fn set_some(self, key: &str, value: Option<impl Into<figment::value::Value>>) -> Self {
        match value {
            Some(value) => self.set(key, value),
            None => self,
        }
    }
}

/// The effective configuration and where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// `(dotted key, value as TOML, origin)`, in the order of `defaults.toml`.
    pub provenance: Vec<(String, String, String)>,
}

/// Reads defaults, then `file`, then the environment, then `overrides`. Unknown keys are refused.
pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let mut figment = Figment::from(Toml::string(DEFAULTS));
    for (key, value) in &overrides.under {
        figment = figment.merge(Serialized::default(key, value));
    }
    if let Some(path) = file {
        if !path.is_file() {
            return Err(ConfigError::Missing(path.display().to_string()));
        }
        figment = figment.merge(Toml::file_exact(path));
    }
    figment = figment.merge(Env::prefixed("TANDEM_").split("__"));
    for (key, value) in &overrides.over {
        figment = figment.merge(Serialized::default(key, value));
    }
    let config: Config = figment.extract()?;
    let keys = default_keys();
    let provenance = keys
        .into_iter()
        .map(|key| {
            let value = figment.find_value(&key).map_or_else(
                |_| String::new(),
                |value| shown(&key, &serde_json::to_string(&value).unwrap_or_default()),
            );
            let origin = figment.find_metadata(&key).map_or("default", origin);
            (key, value, origin.to_owned())
        })
        .collect();
    Ok(Loaded { config, provenance })
}

/// URLs of databases and mail servers carry passwords: show where they point, not how they get in.
fn shown(key: &str, value: &str) -> String {
    match (key, value.find("://"), value.rfind('@')) {
        ("kyc.verifier_secret", _, _) if value != "\"\"" => "\"…\"".to_owned(),
        ("database.url" | "mail.smtp_url", Some(scheme), Some(at)) if at > scheme => {
            format!("{}…{}", &value[..scheme + 3], &value[at..])
        }
        _ => value.to_owned(),
    }
}

fn origin(metadata: &figment::Metadata) -> &'static str {
    match metadata.name.as_ref() {
        name if name.contains("TOML source string") => "default",
        name if name.contains("TOML file") => "file",
        name if name.contains("environment") || name.contains("TANDEM_") => "environment",
        _ => "command line",
    }
}

fn default_keys() -> Vec<String> {
    let Ok(table) = DEFAULTS.parse::<toml::Table>() else { return Vec::new() };
    let mut keys = Vec::new();
    for (section, value) in &table {
        if let toml::Value::Table(values) = value {
            keys.extend(values.keys().map(|key| format!("{section}.{key}")));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_defaults_parse_and_hold_every_key() {
        let loaded = load(None, &Overrides::default()).unwrap();
        let fields = serde_json::to_value(&loaded.config).unwrap();
        let documented = default_keys();
        for (section, values) in fields.as_object().unwrap() {
            for key in values.as_object().unwrap().keys() {
                assert!(
                    documented.contains(&format!("{section}.{key}")),
                    "defaults.toml lacks {section}.{key}"
                );
            }
        }
        assert!(
            loaded.provenance.iter().all(|(_, _, origin)| origin == "default"),
            "{:?}",
            loaded.provenance
        );
    }

    #[test]
    fn a_later_source_wins_and_is_named() {
        let overrides = Overrides::default().set("sip.listen", "127.0.0.1:0");
        let loaded = load(None, &overrides).unwrap();
        assert_eq!(loaded.config.sip.listen, "127.0.0.1:0");
        let line = loaded.provenance.iter().find(|(key, _, _)| key == "sip.listen").unwrap();
        assert_eq!(line.2, "command line");
    }

    #[test]
    fn another_default_gives_way_to_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tandem.toml");
        std::fs::write(&file, "[kyc]\nverifier = \"manual\"\n").unwrap();
        let overrides = Overrides::default().set_default("kyc.verifier", "sandbox");
        assert_eq!(load(None, &overrides).unwrap().config.kyc.verifier, "sandbox");
        assert_eq!(load(Some(&file), &overrides).unwrap().config.kyc.verifier, "manual");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let overrides = Overrides::default().set("sip.lisen", "x");
        assert!(load(None, &overrides).unwrap_err().to_string().contains("lisen"));
    }

    #[test]
    fn a_database_password_is_not_shown() {
        assert_eq!(shown("database.url", "\"postgres://u:secret@h/d\""), "\"postgres://…@h/d\"");
        assert_eq!(shown("mail.smtp_url", "\"smtps://u:p@h\""), "\"smtps://…@h\"");
        assert_eq!(shown("kyc.verifier_secret", "\"s3cret\""), "\"…\"");
    }
}
