//! What an operator may say of a carrier beyond its address and limits: stored as JSON beside it, written by the operator's API, read by
//! the directory.

use serde::{Deserialize, Serialize};
use tandem_model::ports::Failover;

use super::NumberFormat;

/// Options of a carrier; what is absent is the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CarrierOptions {
    /// How it wants caller ids; as it wants called numbers, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) caller_format: Option<String>,
    /// SIP statuses after which the next carrier is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failover: Option<Vec<u16>>,
}

impl CarrierOptions {
    /// Reads the stored JSON; what cannot be read is the usual.
    pub(crate) fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// The JSON to store.
    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    pub(crate) fn failover(&self) -> Failover {
        self.failover.as_deref().map_or_else(Failover::of_carriers, Failover::after)
    }

    pub(crate) fn caller_format(&self, called: NumberFormat) -> NumberFormat {
        self.caller_format.as_deref().and_then(NumberFormat::parse).unwrap_or(called)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_absent_is_the_usual() {
        let options =
            CarrierOptions { caller_format: Some("national".to_owned()), failover: Some(vec![404, 503]) };
        assert_eq!(CarrierOptions::read(&options.write()), options);
        assert_eq!(options.failover(), Failover::after(&[404, 503]));
        assert_eq!(options.caller_format(NumberFormat::Plus), NumberFormat::National);
        for usual in ["{}", "", "[]"] {
            let options = CarrierOptions::read(usual);
            assert_eq!(options.failover(), Failover::of_carriers(), "{usual}");
            assert_eq!(options.caller_format(NumberFormat::Digits), NumberFormat::Digits);
        }
    }
}
