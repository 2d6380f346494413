//! Fills the directory from the store and follows its change feed: polled every second, sooner when this
//! process changed something itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tandem_model::ports::{DigestPolicy, Transport};
use tandem_model::{
    AccountId, ApplicationPlan, CallbackEvents, E164, EventCallback, HttpMethod, TrunkId, UrlCall,
};
use tandem_store::directory::{
    AccountRow, AclRow, ApplicationRow, CarrierRow, CredentialRow, DeckRow, DirectoryChange, DirectoryKind,
    EndpointRow, NumberRow, OriginationUriRow, RateRow, TrunkRow,
};
use tandem_store::{Reader, StoreError};
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::attached::{Attachable, Attached};
use super::entry::{
    AccountEntry, ApplicationEntry, CarrierEntry, CredentialEntry, DeckEntry, EndpointEntry, NumberEntry,
    NumberFormat, TrunkEntry, UriEntry,
};
use super::sources::{listed_sources, network, option};
use super::{CarrierOptions, Directory};
use crate::auth::{Permissions, Vault, VaultError, context, requests_per_minute};
use crate::kyc::mode;
use crate::names::Place;

/// A change made by another process is seen within this.
const POLL: Duration = Duration::from_secs(1);
/// The names in use are told to those who look them up this often; nobody's are forgotten.
const NAMES: Duration = Duration::from_mins(1);
/// The start waits so long for the addresses of carriers and trunks.
const FIRST_LOOKUPS: Duration = Duration::from_secs(3);

/// The directory could not be filled.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed secret does not open: the master key is not the one it was sealed with.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Attachable for CredentialRow {
    fn trunk(&self) -> Option<TrunkId> {
        self.trunk
    }
}

impl Attachable for AclRow {
    fn trunk(&self) -> Option<TrunkId> {
        self.trunk
    }
}

impl Attachable for OriginationUriRow {
    fn trunk(&self) -> Option<TrunkId> {
        self.trunk
    }
}

/// Where an account's events go that nothing more specific takes.
pub(crate) fn default_callback(
    url: Option<String>,
    word: &str,
    events: CallbackEvents,
) -> Option<EventCallback> {
    let call = url.filter(|url| !url.is_empty()).map(|url| UrlCall { url, method: method(word) })?;
    Some(EventCallback { call, events })
}

/// Keeps one directory up to date.
pub(crate) struct Feed {
    directory: Directory,
    reader: Reader,
    vault: Arc<Vault>,
    nudge: Arc<Notify>,
    seen: i64,
    trunks: HashMap<TrunkId, TrunkRow>,
    credentials: Attached<CredentialRow>,
    acls: Attached<AclRow>,
    uris: Attached<OriginationUriRow>,
    usernames: HashMap<String, String>,
}

impl Feed {
    /// Loads everything. The feed's position is read first, so nothing that changes meanwhile is missed.
    pub(crate) async fn load(
        directory: Directory,
        reader: Reader,
        vault: Arc<Vault>,
    ) -> Result<Self, LoadError> {
        let seen = reader.last_change().await?;
        let mut feed = Self {
            directory,
            reader,
            vault,
            nudge: Arc::new(Notify::new()),
            seen,
            trunks: HashMap::new(),
            credentials: Attached::default(),
            acls: Attached::default(),
            uris: Attached::default(),
            usernames: HashMap::new(),
        };
        feed.load_all().await?;
        feed.directory.names.settled(FIRST_LOOKUPS).await;
        Ok(feed)
    }

    /// Wakes the feed: call it after a configuration change committed.
    pub(crate) fn nudge(&self) -> Arc<Notify> {
        self.nudge.clone()
    }

    async fn load_all(&mut self) -> Result<(), LoadError> {
        for row in self.reader.directory_accounts().await? {
            self.put_account(&row.id.clone(), Some(row))?;
        }
        for row in self.reader.directory_applications().await? {
            self.put_application(row.id.as_str().to_owned().as_str(), Some(row));
        }
        for row in self.reader.directory_numbers().await? {
            self.put_number(&row.e164.clone(), Some(&row));
        }
        for row in self.reader.directory_endpoints().await? {
            self.put_endpoint(&row.id.to_string(), Some(row))?;
        }
        for row in self.reader.directory_credentials().await? {
            self.credentials.put(&row.id.clone(), Some(row));
        }
        for row in self.reader.directory_acls().await? {
            self.acls.put(&row.id.clone(), Some(row));
        }
        for row in self.reader.directory_origination_uris().await? {
            self.uris.put(&row.id.clone(), Some(row));
        }
        let trunks = self.reader.directory_trunks().await?;
        self.trunks = trunks.into_iter().map(|row| (row.id, row)).collect();
        for id in self.trunks.keys().copied().collect::<Vec<_>>() {
            self.build_trunk(id)?;
        }
        for row in self.reader.directory_carriers().await? {
            self.put_carrier(&row.id.to_string(), Some(row))?;
        }
        for row in self.reader.directory_decks().await? {
            self.put_deck(&row.id.clone(), Some(row)).await?;
        }
        self.put_country_rules().await?;
        Ok(())
    }

    /// Follows the feed until cancelled. A failed poll is tried again: the directory goes stale, not wrong.
    pub(crate) async fn follow(mut self, cancel: CancellationToken) {
        let nudge = self.nudge.clone();
        let mut until_names = NAMES;
        // From the first round on, changes wait for it.
        nudge.notify_one();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = nudge.notified() => {}
                () = tokio::time::sleep(POLL) => until_names = until_names.saturating_sub(POLL),
            }
            self.directory.rounds.begin();
            match self.catch_up().await {
                Ok(()) => self.directory.rounds.finish(),
                Err(error) => {
                    tracing::error!(%error, "the directory could not follow the store; trying again")
                }
            }
            if until_names.is_zero() {
                until_names = NAMES;
                self.directory.places().iter().for_each(|place| self.want(place));
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), LoadError> {
        loop {
            let changes = self.reader.changes_since(self.seen).await?;
            let Some(last) = changes.last() else { return Ok(()) };
            let last = last.seq;
            for change in &changes {
                self.apply(change).await?;
            }
            self.seen = last;
        }
    }

    async fn apply(&mut self, change: &DirectoryChange) -> Result<(), LoadError> {
        let id = change.id.as_str();
        match change.kind {
            DirectoryKind::Account => {
                let row = self.reader.directory_account(id).await?;
                self.put_account(&AccountId::new(id), row)?;
            }
            DirectoryKind::Trunk => {
                let Ok(trunk) = id.parse::<TrunkId>() else { return Ok(()) };
                match self.reader.directory_trunk(id).await? {
                    Some(row) => drop(self.trunks.insert(trunk, row)),
                    None => drop(self.trunks.remove(&trunk)),
                }
                self.build_trunk(trunk)?;
            }
            DirectoryKind::Credential => {
                let row = self.reader.directory_credential(id).await?;
                let mut touched = self.credentials.put(id, row);
                touched.extend(self.naming(|trunk| trunk.credential_id.as_deref() == Some(id)));
                self.build_trunks(touched)?;
            }
            DirectoryKind::Acl => {
                let row = self.reader.directory_acl(id).await?;
                let mut touched = self.acls.put(id, row);
                touched.extend(self.naming(|trunk| trunk.acl_id.as_deref() == Some(id)));
                self.build_trunks(touched)?;
            }
            DirectoryKind::OriginationUri => {
                let row = self.reader.directory_origination_uri(id).await?;
                let mut touched = self.uris.put(id, row);
                touched.extend(self.naming(|trunk| {
                    trunk.primary_uri_id.as_deref() == Some(id)
                        || trunk.fallback_uri_id.as_deref() == Some(id)
                }));
                self.build_trunks(touched)?;
            }
            DirectoryKind::Number => {
                let row = self.reader.directory_number(id).await?;
                self.put_number(id, row.as_ref());
            }
            DirectoryKind::Application => {
                let row = self.reader.directory_application(id).await?;
                self.put_application(id, row);
            }
            DirectoryKind::Endpoint => {
                let row = self.reader.directory_endpoint(id).await?;
                self.put_endpoint(id, row)?;
            }
            DirectoryKind::Carrier => {
                let row = self.reader.directory_carrier(id).await?;
                self.put_carrier(id, row)?;
            }
            DirectoryKind::Deck => {
                let row = self.reader.directory_deck(id).await?;
                self.put_deck(id, row).await?;
            }
            DirectoryKind::CountryRule => self.put_country_rules().await?,
            DirectoryKind::Setting => {}
        }
        Ok(())
    }

    fn naming(&self, names: impl Fn(&TrunkRow) -> bool) -> Vec<TrunkId> {
        self.trunks.values().filter(|trunk| names(trunk)).map(|trunk| trunk.id).collect()
    }

    fn build_trunks(&self, mut trunks: Vec<TrunkId>) -> Result<(), LoadError> {
        trunks.sort_unstable();
        trunks.dedup();
        trunks.into_iter().try_for_each(|trunk| self.build_trunk(trunk))
    }

    fn build_trunk(&self, id: TrunkId) -> Result<(), LoadError> {
        let entry = self.trunks.get(&id).map(|row| self.trunk_entry(row)).transpose()?;
        if let Some(trunk) = entry.as_ref().filter(|trunk| trunk.enabled && trunk.inbound) {
            trunk.places().for_each(|place| self.want(place));
        }
        self.directory.write(|table| table.put_trunk(id, entry));
        Ok(())
    }

    fn trunk_entry(&self, row: &TrunkRow) -> Result<TrunkEntry, LoadError> {
        let credentials = self
            .credentials
            .of(row.id, row.credential_id.as_ref())
            .into_iter()
            .filter(|credential| credential.enabled && credential.account == row.account)
            .map(|credential| {
                let password =
                    self.vault.open_secret(context::TRUNK_PASSWORD, &credential.password_sealed)?;
                Ok(CredentialEntry { username: credential.username.clone(), password })
            })
            .collect::<Result<_, VaultError>>()?;
        let acl = self
            .acls
            .of(row.id, row.acl_id.as_ref())
            .into_iter()
            .filter(|acl| acl.enabled && acl.account == row.account)
            .filter_map(|acl| network(&acl.cidr))
            .collect();
        let named = [row.primary_uri_id.as_ref(), row.fallback_uri_id.as_ref()];
        let mut uris: Vec<UriEntry> = named
            .into_iter()
            .flat_map(|name| self.uris.of(row.id, name))
            .filter(|uri| uri.enabled && uri.account == row.account)
            .map(|uri| UriEntry {
                id: uri.id.clone(),
                place: Place::of_uri(&uri.uri),
                uri: uri.uri.clone(),
                priority: uri.priority,
                weight: uri.weight,
            })
            .collect();
        uris.sort_by(|a, b| a.id.cmp(&b.id));
        uris.dedup_by(|a, b| a.id == b.id);
        let secret = |sealed: &Option<Vec<u8>>| -> Result<Option<SecretString>, VaultError> {
            sealed.as_deref().map(|sealed| self.vault.open_secret(context::TRUNK_SECRET, sealed)).transpose()
        };
        Ok(TrunkEntry {
            id: row.id,
            account: row.account.clone(),
            label: row.domain_label.clone(),
            enabled: row.enabled,
            outbound: row.direction != "inbound",
            inbound: row.direction != "outbound",
            digest: match row.digest.as_str() {
                "sha256" => DigestPolicy::Sha256,
                "both" => DigestPolicy::Both,
                _ => DigestPolicy::Md5,
            },
            credentials,
            acl,
            uris,
            primary_uri: row.primary_uri_id.clone(),
            fallback_uri: row.fallback_uri_id.clone(),
            inbound_destination: row
                .inbound_destination
                .as_deref()
                .and_then(|host| Place::of_host_port(host, None)),
            format: NumberFormat::parse(&row.number_format).unwrap_or(NumberFormat::Plus),
            caller_id: row.caller_id,
            recording: row.recording,
            hears_recordings: row.recording_webhook_enabled,
            max_duration_s: row.max_duration_s.and_then(|seconds| u64::try_from(seconds).ok()),
            webhook: row.webhook_url.clone().map(|url| EventCallback {
                call: UrlCall { url, method: method(&row.webhook_method) },
                events: row.webhook_events,
            }),
            secret: secret(&row.secret_sealed)?,
            previous_secret: secret(&row.secret_previous_sealed)?.zip(row.secret_previous_until),
        })
    }

    fn put_account(&self, id: &AccountId, row: Option<AccountRow>) -> Result<(), LoadError> {
        let entry = row
            .map(|row| {
                let token = row.token_sealed.as_deref();
                let token =
                    token.map(|sealed| self.vault.open_secret(context::AUTH_TOKEN, sealed)).transpose()?;
                Ok::<_, VaultError>(AccountEntry {
                    default_callback: default_callback(
                        row.default_callback_url,
                        &row.default_callback_method,
                        row.default_callback_events,
                    ),
                    epoch: row.epoch,
                    requests_per_minute: requests_per_minute(&row.kind, &row.profile),
                    id: row.id,
                    kind: row.kind.clone(),
                    parent: row.parent,
                    permissions: Permissions::of(&row.kind, &row.profile),
                    enabled: row.enabled,
                    kyc_pending: mode::is_pending(&row.kind, &row.profile, &row.kyc_status),
                    kyc_blocks_calls: mode::blocks_calls(&row.kind, &row.profile, &row.kyc_status),
                    country: row.country,
                    currency: row.currency,
                    cps_limit: u32::try_from(row.cps_limit).unwrap_or(u32::MAX),
                    deck: row.deck_id,
                    token,
                    token_hash: row.token_hash,
                    previous_token: row.token_previous_hash.zip(row.token_previous_until),
                    ndnc_secret: row
                        .ndnc_secret_sealed
                        .as_deref()
                        .map(|sealed| self.vault.open_secret(context::NDNC_SECRET, sealed))
                        .transpose()?,
                })
            })
            .transpose()?;
        self.directory.write(|table| table.put_account(id, entry));
        Ok(())
    }

    fn put_number(&self, id: &str, row: Option<&NumberRow>) {
        let Ok(e164) = E164::parse(id) else {
            tracing::error!(
                number_digits = id.len(),
                "a stored number is not E.164; calls to it are not found"
            );
            return;
        };
        let entry = row.and_then(|row| {
            Some(NumberEntry {
                account: row.sub_account.clone().or_else(|| row.account.clone())?,
                application: row.application.clone(),
                trunk: row.trunk,
                active: !row.is_blocked
                    && matches!(row.status.as_str(), "active" | "pending_release")
                    && (!row.aadhaar_required || row.aadhaar_verified),
                plan: row.urls.answer.clone().map(|answer| ApplicationPlan {
                    answer,
                    fallback: None,
                    hangup: row.urls.hangup.clone(),
                    ring: None,
                    status: None,
                    input: row.urls.input.clone(),
                }),
            })
        });
        self.directory.write(|table| table.put_number(e164, entry));
    }

    fn put_application(&self, id: &str, row: Option<ApplicationRow>) {
        let id = tandem_model::ApplicationId::new(id);
        let entry = row.map(|row| ApplicationEntry {
            id: row.id.clone(),
            enabled: row.enabled,
            events: row.callback_events,
            plan: ApplicationPlan {
                answer: UrlCall { url: row.answer_url, method: method(&row.answer_method) },
                fallback: row
                    .fallback_answer_url
                    .filter(|url| !url.is_empty())
                    .map(|url| UrlCall { url, method: method(&row.fallback_method) }),
                hangup: row
                    .hangup_url
                    .filter(|url| !url.is_empty())
                    .map(|url| UrlCall { url, method: method(&row.hangup_method) }),
                ring: None,
                status: None,
                input: None,
            },
        });
        self.directory.write(|table| table.put_application(&id, entry));
    }

    fn put_endpoint(&mut self, id: &str, row: Option<EndpointRow>) -> Result<(), LoadError> {
        let Some(row) = row else {
            if let Some(username) = self.usernames.remove(id) {
                self.directory.write(|table| table.put_endpoint(&username, None));
            }
            return Ok(());
        };
        self.usernames.insert(id.to_owned(), row.username.clone());
        let password = self.vault.open_secret(context::ENDPOINT_PASSWORD, &row.password_sealed)?;
        let entry = (row.enabled && row.allow_voice).then(|| EndpointEntry {
            username: row.username.clone(),
            account: row.sub_account.unwrap_or(row.account),
            password,
            application: row.application,
        });
        self.directory.write(|table| table.put_endpoint(&row.username, entry));
        Ok(())
    }

    fn put_carrier(&mut self, id: &str, row: Option<CarrierRow>) -> Result<(), LoadError> {
        let Ok(carrier) = id.parse() else { return Ok(()) };
        let entry = row.map(|row| self.carrier_entry(&row)).transpose()?;
        if let Some(entry) = &entry {
            self.want(&entry.place);
        }
        self.directory.write(|table| {
            // Asked within the lock: addresses found meanwhile come after it.
            let entry = entry.map(|mut entry| {
                let known = self.directory.names.listed(&entry.place);
                entry.addresses = known.into_iter().map(|target| target.address).collect();
                entry
            });
            table.put_carrier(carrier, entry);
        });
        Ok(())
    }

    fn want(&self, place: &Place) {
        if !self.directory.names.want(place) {
            tracing::error!(name = %place, "too many names are kept; no call can go there");
        }
    }

    fn carrier_entry(&self, row: &CarrierRow) -> Result<CarrierEntry, LoadError> {
        let password = row.auth_password_sealed.as_deref();
        let (options, format) = (CarrierOptions::read(&row.options), NumberFormat::parse(&row.number_format));
        let format = format.unwrap_or(NumberFormat::Plus);
        Ok(CarrierEntry {
            id: row.id,
            name: row.name.clone(),
            place: Place::new(&row.host, row.port as u16, stored_transport(&row.transport)),
            addresses: Vec::new(),
            priority: row.priority,
            weight: row.weight,
            cps_limit: u32::try_from(row.cps_limit).unwrap_or(u32::MAX),
            prefixes: row.prefixes.clone(),
            concurrent_limit: u32::try_from(row.concurrent_limit).unwrap_or(u32::MAX),
            format,
            caller_format: options.caller_format(format),
            failover: options.failover(),
            username: row.auth_username.clone(),
            password: password
                .map(|sealed| self.vault.open_secret(context::CARRIER_PASSWORD, sealed))
                .transpose()?,
            realm: row.auth_realm.clone(),
            listed_sources: listed_sources(row),
            register: option(&row.options, "register"),
            enabled: row.enabled,
        })
    }

    async fn put_deck(&self, id: &str, row: Option<DeckRow>) -> Result<(), LoadError> {
        let entry = match row {
            Some(row) => {
                let rates = self.reader.directory_rates_of(&row.id).await?;
                Some(DeckEntry {
                    currency: Some(row.currency),
                    is_default: row.is_default && row.kind == "sell",
                    rates: rates.into_iter().map(|RateRow { prefix, rate, .. }| (prefix, rate)).collect(),
                })
            }
            None => None,
        };
        self.directory.write(|table| table.put_deck(id, entry));
        Ok(())
    }

    async fn put_country_rules(&self) -> Result<(), LoadError> {
        let rules = self.reader.directory_country_rules().await?;
        let rules = rules.into_iter().filter_map(|rule| {
            let prefix = calling_code(&rule.country)?;
            Some((rule.scope, prefix, rule.allowed))
        });
        self.directory.write(|table| table.put_country_rules(rules));
        Ok(())
    }
}

/// `+`, digits, `*`, or an ISO 3166 code as the digits its numbers begin with.
fn calling_code(country: &str) -> Option<String> {
    let text = country.trim_start_matches('+');
    if text == "*" || text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.to_owned());
    }
    let database = &*phonenumber::metadata::DATABASE;
    database.by_id(&text.to_ascii_uppercase()).map(|metadata| metadata.country_code().to_string())
}

fn method(text: &str) -> HttpMethod {
    HttpMethod::parse(text).unwrap_or_default()
}

/// A stored transport; `any` leaves it to the records of the host.
pub(crate) fn stored_transport(word: &str) -> Option<Transport> {
    match word {
        "any" => None,
        "tcp" => Some(Transport::Tcp),
        "tls" => Some(Transport::Tls),
        _ => Some(Transport::Udp),
    }
}
