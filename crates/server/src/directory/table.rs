//! The directory's tables: entries by id and the indexes calls are looked up by. One lock, held for
//! the length of a look-up or of one entry's replacement, never across anything that waits.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use tandem_model::ports::Transport;
use tandem_model::{AccountId, ApplicationId, CarrierId, E164, TrunkId};

use super::entry::{
    AccountEntry, ApplicationEntry, CarrierEntry, DeckEntry, EndpointEntry, NumberEntry, TrunkEntry,
};
use crate::names::Place;

/// Everything, indexed.
#[derive(Default)]
pub(crate) struct Table {
    accounts: HashMap<AccountId, Arc<AccountEntry>>,
    trunks: HashMap<TrunkId, Arc<TrunkEntry>>,
    trunk_of_label: HashMap<String, TrunkId>,
    /// Networks on trunks' ACLs, by address for single hosts.
    acl_hosts: HashMap<IpAddr, HashSet<TrunkId>>,
    acl_nets: Vec<(IpNet, TrunkId)>,
    numbers: HashMap<E164, Arc<NumberEntry>>,
    applications: HashMap<ApplicationId, Arc<ApplicationEntry>>,
    endpoints: HashMap<String, Arc<EndpointEntry>>,
    carriers: Vec<Arc<CarrierEntry>>,
    decks: HashMap<String, Arc<DeckEntry>>,
    open_countries: HashSet<(String, String)>,
    barred_prefixes: HashSet<(String, String)>,
}

impl Table {
    pub(crate) fn put_account(&mut self, id: &AccountId, entry: Option<AccountEntry>) {
        match entry {
            Some(entry) => drop(self.accounts.insert(id.clone(), Arc::new(entry))),
            None => drop(self.accounts.remove(id)),
        }
    }

    pub(crate) fn put_trunk(&mut self, id: TrunkId, entry: Option<TrunkEntry>) {
        if let Some(old) = self.trunks.remove(&id) {
            self.trunk_of_label.remove(&old.label);
            for net in &old.acl {
                if let Some(of_host) = self.acl_hosts.get_mut(&net.addr()) {
                    of_host.remove(&id);
                    if of_host.is_empty() {
                        self.acl_hosts.remove(&net.addr());
                    }
                }
            }
            self.acl_nets.retain(|(_, trunk)| *trunk != id);
        }
        let Some(entry) = entry else { return };
        self.trunk_of_label.insert(entry.label.clone(), id);
        for net in &entry.acl {
            if net.prefix_len() == net.max_prefix_len() {
                self.acl_hosts.entry(net.addr()).or_default().insert(id);
            } else {
                self.acl_nets.push((*net, id));
            }
        }
        self.trunks.insert(id, Arc::new(entry));
    }

    pub(crate) fn put_number(&mut self, e164: E164, entry: Option<NumberEntry>) {
        match entry {
            Some(entry) => drop(self.numbers.insert(e164, Arc::new(entry))),
            None => drop(self.numbers.remove(&e164)),
        }
    }

    pub(crate) fn put_application(&mut self, id: &ApplicationId, entry: Option<ApplicationEntry>) {
        match entry {
            Some(entry) => drop(self.applications.insert(id.clone(), Arc::new(entry))),
            None => drop(self.applications.remove(id)),
        }
    }

    /// Endpoints change by id but are looked up by user name, which never changes.
    pub(crate) fn put_endpoint(&mut self, username: &str, entry: Option<EndpointEntry>) {
        match entry {
            Some(entry) => drop(self.endpoints.insert(username.to_owned(), Arc::new(entry))),
            None => drop(self.endpoints.remove(username)),
        }
    }

    pub(crate) fn put_carrier(&mut self, id: CarrierId, entry: Option<CarrierEntry>) {
        self.carriers.retain(|carrier| carrier.id != id);
        if let Some(entry) = entry {
            self.carriers.push(Arc::new(entry));
            self.carriers.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        }
    }

    /// The addresses of a place have changed.
    pub(crate) fn move_carriers(&mut self, place: &Place, addresses: &[SocketAddr]) {
        for carrier in self.carriers.iter_mut().filter(|carrier| carrier.place == *place) {
            Arc::make_mut(carrier).addresses = addresses.to_vec();
        }
    }

    pub(crate) fn put_deck(&mut self, id: &str, entry: Option<DeckEntry>) {
        match entry {
            Some(entry) => drop(self.decks.insert(id.to_owned(), Arc::new(entry))),
            None => drop(self.decks.remove(id)),
        }
    }

    /// Replaces the rules of calling codes and prefixes: `(scope, prefix, allowed)`.
    pub(crate) fn put_country_rules(&mut self, rules: impl IntoIterator<Item = (String, String, bool)>) {
        self.open_countries.clear();
        self.barred_prefixes.clear();
        for (scope, prefix, allowed) in rules {
            if allowed {
                self.open_countries.insert((scope, prefix));
            } else {
                self.barred_prefixes.insert((scope, prefix));
            }
        }
    }

    pub(crate) fn account(&self, id: &AccountId) -> Option<Arc<AccountEntry>> {
        self.accounts.get(id).cloned()
    }

    pub(crate) fn trunk(&self, id: &TrunkId) -> Option<Arc<TrunkEntry>> {
        self.trunks.get(id).cloned()
    }

    /// Every trunk.
    pub(crate) fn trunks(&self) -> Vec<Arc<TrunkEntry>> {
        self.trunks.values().cloned().collect()
    }

    pub(crate) fn trunk_of_label(&self, label: &str) -> Option<Arc<TrunkEntry>> {
        self.trunk_of_label.get(label).and_then(|id| self.trunk(id))
    }

    /// The trunk on whose ACL the address stands, if it is exactly one on the whole platform.
    pub(crate) fn only_trunk_of_source(&self, source: IpAddr) -> Option<Arc<TrunkEntry>> {
        let mut found: HashSet<TrunkId> = self.acl_hosts.get(&source).cloned().unwrap_or_default();
        found.extend(self.acl_nets.iter().filter(|(net, _)| net.contains(&source)).map(|(_, trunk)| *trunk));
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(only), None) => self.trunk(&only),
            _ => None,
        }
    }

    /// Whether the address stands on any trunk's ACL.
    pub(crate) fn is_acl_source(&self, source: IpAddr) -> bool {
        self.acl_hosts.contains_key(&source) || self.acl_nets.iter().any(|(net, _)| net.contains(&source))
    }

    pub(crate) fn number(&self, e164: &E164) -> Option<Arc<NumberEntry>> {
        self.numbers.get(e164).cloned()
    }

    pub(crate) fn application(&self, id: &ApplicationId) -> Option<Arc<ApplicationEntry>> {
        self.applications.get(id).cloned()
    }

    pub(crate) fn endpoint(&self, username: &str) -> Option<Arc<EndpointEntry>> {
        self.endpoints.get(username).cloned()
    }

    /// The carrier whose calls come from this address: an entry with the port beats one without.
    pub(crate) fn carrier_of_source(&self, source: SocketAddr) -> Option<Arc<CarrierEntry>> {
        let of = |with_port: bool| {
            self.carriers.iter().find(|carrier| carrier.enabled && carrier.is_source(source, with_port))
        };
        of(true).or_else(|| of(false)).cloned()
    }

    /// The same for a connection, whose source port means nothing: an entry's port names where the carrier listens. Where
    /// several share the address, the port cannot tell them apart and the first is taken.
    pub(crate) fn carrier_of_flow(
        &self,
        source: SocketAddr,
        transport: Transport,
    ) -> Option<Arc<CarrierEntry>> {
        let exact = self.carrier_of_source(source);
        if exact.is_some() || transport == Transport::Udp {
            return exact;
        }
        let of_host = |carrier: &&Arc<CarrierEntry>| {
            carrier.enabled
                && carrier.transport().is_none_or(|its| its == transport)
                && carrier.is_source_host(source.ip())
        };
        self.carriers.iter().find(of_host).cloned()
    }

    /// Enabled carriers in order of priority.
    pub(crate) fn carriers(&self) -> &[Arc<CarrierEntry>] {
        &self.carriers
    }

    /// The account's deck, else the default one of its currency.
    pub(crate) fn deck_of(&self, account: &AccountEntry) -> Option<Arc<DeckEntry>> {
        if let Some(id) = &account.deck {
            return self.decks.get(id).cloned();
        }
        let of_currency = |default: bool| {
            self.decks
                .values()
                .find(|deck| deck.is_default == default && deck.currency == Some(account.currency))
                .cloned()
        };
        of_currency(true)
    }

    /// Whether calls of `account` may go to this calling code (rules of the account, then of the platform).
    pub(crate) fn is_open(&self, account: &AccountId, prefix: &str) -> bool {
        [account.as_str(), "*"]
            .iter()
            .any(|scope| self.open_countries.contains(&((*scope).to_owned(), prefix.to_owned())))
    }

    /// Whether a prefix of the number is barred.
    pub(crate) fn is_barred(&self, account: &AccountId, number: &E164) -> bool {
        !self.barred_prefixes.is_empty()
            && (1..=number.digits().len()).any(|length| {
                [account.as_str(), "*"].iter().any(|scope| {
                    self.barred_prefixes
                        .contains(&((*scope).to_owned(), number.digits()[..length].to_owned()))
                })
            })
    }
}
