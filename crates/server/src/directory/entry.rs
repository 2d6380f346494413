//! What the directory keeps of each thing: just what a call needs, secrets opened once at load.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use jiff::Timestamp;
use secrecy::SecretString;
use tandem_model::ports::{DigestPolicy, Failover, RouteCredentials, Transport};
use tandem_model::{
    AccountId, ApplicationId, ApplicationPlan, CallbackEvents, CarrierId, CountryRules, Currency, E164,
    EventCallback, Rate, TrunkId,
};

use crate::auth::Permissions;
use crate::names::Place;

/// An account, as calls see it. Balances and limits that money depends on are never cached.
#[derive(Clone, Debug)]
pub(crate) struct AccountEntry {
    pub(crate) id: AccountId,
    /// `partner`, `master` or `sub`.
    pub(crate) kind: String,
    /// The main account of a sub-account.
    pub(crate) parent: Option<AccountId>,
    /// What it may do, when it is a sub-account.
    pub(crate) permissions: Permissions,
    pub(crate) enabled: bool,
    /// KYC is not complete.
    pub(crate) kyc_pending: bool,
    /// A sub-account for a customer whose documents are not verified: it may not call whatever the configuration says.
    pub(crate) kyc_blocks_calls: bool,
    pub(crate) country: String,
    pub(crate) currency: Currency,
    pub(crate) cps_limit: u32,
    pub(crate) deck: Option<String>,
    /// The token that signs its webhooks.
    pub(crate) token: Option<SecretString>,
    /// Keyed hash of that token.
    pub(crate) token_hash: Option<String>,
    /// Keyed hash of the token before it, and until when that one is good.
    pub(crate) previous_token: Option<(String, Timestamp)>,
    /// Where events of its calls go that nothing more specific takes.
    pub(crate) default_callback: Option<EventCallback>,
    /// Access tokens of other epochs are void.
    pub(crate) epoch: i64,
    /// Requests a minute of a sub-account.
    pub(crate) requests_per_minute: Option<u32>,
    /// Signs complaints about its numbers.
    pub(crate) ndnc_secret: Option<SecretString>,
}

impl AccountEntry {
    /// Who pays: charges of a sub-account roll up to its parent.
    pub(crate) fn payer(&self) -> &AccountId {
        self.parent.as_ref().unwrap_or(&self.id)
    }

    /// Rules for numbers it dials.
    pub(crate) fn country_rules(&self) -> CountryRules {
        CountryRules::of(&self.country)
    }
}

/// A user name and password of a trunk.
#[derive(Clone, Debug)]
pub(crate) struct CredentialEntry {
    pub(crate) username: String,
    pub(crate) password: SecretString,
}

/// Where calls to an inbound trunk's numbers go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UriEntry {
    pub(crate) id: String,
    pub(crate) uri: String,
    /// Where it leads; `None` when it cannot be read.
    pub(crate) place: Option<Place>,
    pub(crate) priority: i64,
    pub(crate) weight: i64,
}

/// A trunk with what hangs on it.
#[derive(Clone, Debug)]
pub(crate) struct TrunkEntry {
    pub(crate) id: TrunkId,
    pub(crate) account: AccountId,
    pub(crate) label: String,
    pub(crate) enabled: bool,
    pub(crate) outbound: bool,
    pub(crate) inbound: bool,
    pub(crate) digest: DigestPolicy,
    pub(crate) credentials: Vec<CredentialEntry>,
    pub(crate) acl: Vec<IpNet>,
    pub(crate) uris: Vec<UriEntry>,
    pub(crate) primary_uri: Option<String>,
    pub(crate) fallback_uri: Option<String>,
    /// For trunks without origination URIs.
    pub(crate) inbound_destination: Option<Place>,
    /// How numbers are written to the PBX.
    pub(crate) format: NumberFormat,
    /// The number its calls go out as when the PBX names none.
    pub(crate) caller_id: Option<E164>,
    pub(crate) recording: bool,
    /// Its webhook is told of recordings too.
    pub(crate) hears_recordings: bool,
    pub(crate) max_duration_s: Option<u64>,
    pub(crate) webhook: Option<EventCallback>,
    pub(crate) secret: Option<SecretString>,
    pub(crate) previous_secret: Option<(SecretString, Timestamp)>,
}

impl TrunkEntry {
    /// Where calls to its numbers go: its origination URIs, or else its destination.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        let alone = self.inbound_destination.iter().filter(|_| self.uris.is_empty());
        self.uris.iter().filter_map(|uri| uri.place.as_ref()).chain(alone)
    }
}

/// A number in service.
#[derive(Clone, Debug)]
pub(crate) struct NumberEntry {
    pub(crate) account: AccountId,
    pub(crate) application: Option<ApplicationId>,
    pub(crate) trunk: Option<TrunkId>,
    pub(crate) active: bool,
    /// What its own answer URL says, which goes before application and trunk.
    pub(crate) plan: Option<ApplicationPlan>,
}

/// An application.
#[derive(Clone, Debug)]
pub(crate) struct ApplicationEntry {
    pub(crate) id: ApplicationId,
    pub(crate) enabled: bool,
    pub(crate) plan: ApplicationPlan,
    /// Which events its answer URL is told of, in the place of a hangup URL.
    pub(crate) events: CallbackEvents,
}

/// A SIP endpoint.
#[derive(Clone, Debug)]
pub(crate) struct EndpointEntry {
    pub(crate) username: String,
    pub(crate) account: AccountId,
    pub(crate) password: SecretString,
    pub(crate) application: Option<ApplicationId>,
}

/// How a carrier or a PBX wants numbers written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberFormat {
    /// `+919812345678`
    Plus,
    /// `919812345678`
    Digits,
    /// `09812345678` inside the given country, `00…` outside.
    National,
}

impl NumberFormat {
    /// Reads the stored word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "e164-plus" => Some(Self::Plus),
            "e164" => Some(Self::Digits),
            "national" => Some(Self::National),
            _ => None,
        }
    }

    /// Writes a number.
    pub(crate) fn write(self, number: E164, home: CountryRules) -> String {
        match self {
            Self::Plus => number.plus(),
            Self::Digits => number.digits().to_owned(),
            Self::National => match number.digits().strip_prefix(home.code) {
                Some(national) => format!("{}{national}", home.trunk_prefix),
                None => format!("00{}", number.digits()),
            },
        }
    }
}

/// An address a carrier's calls come from; any port when none is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceEntry {
    pub(crate) ip: IpAddr,
    pub(crate) port: Option<u16>,
}

/// An interconnect.
#[derive(Clone, Debug)]
pub(crate) struct CarrierEntry {
    pub(crate) id: CarrierId,
    pub(crate) name: String,
    /// As the operator wrote it.
    pub(crate) place: Place,
    /// Every address of it, as far as they are known now.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) priority: i64,
    pub(crate) weight: i64,
    pub(crate) cps_limit: u32,
    pub(crate) concurrent_limit: u32,
    /// Prefixes it carries, without `+`; empty for all.
    pub(crate) prefixes: Vec<String>,
    /// How it wants the called number.
    pub(crate) format: NumberFormat,
    /// How it wants the caller's.
    pub(crate) caller_format: NumberFormat,
    /// When the next carrier is tried.
    pub(crate) failover: Failover,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) realm: Option<String>,
    /// Where its calls come from, as the operator listed them; its own addresses when empty.
    pub(crate) listed_sources: Vec<SourceEntry>,
    /// Register there with the user name and password.
    pub(crate) register: bool,
    pub(crate) enabled: bool,
}

/// What begins the prefixes of calls *to* numbers of ours.
const INBOUND: &str = "in";

impl CarrierEntry {
    /// The transport it was given; `None` where its DNS records say.
    pub(crate) fn transport(&self) -> Option<Transport> {
        self.place.transport()
    }

    /// What its challenges are answered with.
    pub(crate) fn credentials(&self) -> Option<RouteCredentials> {
        let (username, password) = self.username.clone().zip(self.password.clone())?;
        Some(RouteCredentials { username, password, realm: self.realm.clone() })
    }

    /// Whether its calls come from this address; what the operator listed goes before its own addresses. On this very
    /// machine carriers are told apart by their ports.
    pub(crate) fn is_source(&self, source: SocketAddr, with_port: bool) -> bool {
        self.sources().any(|entry| {
            entry.ip == source.ip()
                && entry.port.is_some() == with_port
                && entry.port.is_none_or(|port| port == source.port())
        })
    }

    /// Whether its calls come from this host, whatever the port.
    pub(crate) fn is_source_host(&self, ip: IpAddr) -> bool {
        self.sources().any(|entry| entry.ip == ip)
    }

    fn sources(&self) -> impl Iterator<Item = SourceEntry> {
        let own = self.listed_sources.is_empty().then_some(&self.addresses).into_iter().flatten();
        let own = own.map(|address| SourceEntry {
            ip: address.ip(),
            port: address.ip().is_loopback().then(|| address.port()),
        });
        self.listed_sources.iter().copied().chain(own)
    }
}

/// A rate deck: the longest matching prefix decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeckEntry {
    pub(crate) currency: Option<Currency>,
    pub(crate) is_default: bool,
    pub(crate) rates: HashMap<String, Rate>,
}

impl DeckEntry {
    /// The rate of the longest prefix of `number`; the empty prefix covers all.
    pub(crate) fn rate(&self, number: &E164) -> Option<(&str, Rate)> {
        let digits = number.digits();
        (0..=digits.len()).rev().find_map(|length| {
            self.rates.get_key_value(&digits[..length]).map(|(prefix, rate)| (prefix.as_str(), *rate))
        })
    }

    /// The rate of calls *to* a number of ours: the longest prefix written [`INBOUND`]`<prefix>`.
    pub(crate) fn inbound_rate(&self, number: &E164) -> Option<Rate> {
        let prefix = format!("{INBOUND}{}", number.digits());
        (INBOUND.len()..=prefix.len()).rev().find_map(|length| self.rates.get(&prefix[..length]).copied())
    }
}

#[cfg(test)]
mod tests {
    use tandem_model::Money;

    use super::*;

    #[test]
    fn the_longest_prefix_decides_the_rate() {
        let rate = |micros| Rate {
            per_minute: Money::from_micros(micros),
            pulse_s: 60,
            minimum_s: 0,
            connection_fee: Money::ZERO,
        };
        let deck = DeckEntry {
            rates: HashMap::from([
                ("91".to_owned(), rate(1)),
                ("9198".to_owned(), rate(2)),
                ("1".to_owned(), rate(3)),
            ]),
            ..DeckEntry::default()
        };
        let find = |text: &str| {
            deck.rate(&text.parse().unwrap())
                .map(|(prefix, rate)| (prefix.to_owned(), rate.per_minute.micros))
        };
        assert_eq!(find("+919812345678"), Some(("9198".to_owned(), 2)));
        assert_eq!(find("+918012345678"), Some(("91".to_owned(), 1)));
        assert_eq!(find("+447911123456"), None);
    }

    #[test]
    fn each_number_format_is_written_as_its_carrier_dials() {
        let number: E164 = "+919812345678".parse().unwrap();
        assert_eq!(NumberFormat::Plus.write(number, CountryRules::IN), "+919812345678");
        assert_eq!(NumberFormat::Digits.write(number, CountryRules::IN), "919812345678");
        assert_eq!(NumberFormat::National.write(number, CountryRules::IN), "09812345678");
        let abroad: E164 = "+14155550100".parse().unwrap();
        assert_eq!(NumberFormat::National.write(abroad, CountryRules::IN), "0014155550100");
    }
}
