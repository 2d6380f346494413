//! The in-memory directory: who is a stranger, whose trunk is this, where does a number lead.
//!
//! The cast: [`Directory`] answers the engine's and admission's questions from a [`table::Table`];
//! `load` fills it from the store and follows the store's change feed (polled every second, sooner on
//! a nudge). Balances and limits of money are never answered from here.

mod attached;
mod carrier_options;
mod entry;
mod gateways;
mod load;
mod locate;
mod rounds;
mod secrets;
mod sources;
mod table;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub(crate) use carrier_options::CarrierOptions;
pub(crate) use entry::{
    AccountEntry, ApplicationEntry, CarrierEntry, DeckEntry, EndpointEntry, NumberEntry, NumberFormat,
    TrunkEntry, UriEntry,
};
use gateways::Gateways;
pub(crate) use load::{Feed, LoadError, default_callback, stored_transport};
pub(crate) use locate::OurHosts;
use rounds::Rounds;
pub(crate) use sources::option as carrier_option;
use table::Table;
use tandem_model::{AccountId, ApplicationId, CarrierId, E164, TrunkId};
use tokio_util::sync::CancellationToken;

use crate::egress::EgressPolicy;
use crate::names::{Names, Place, Target};

/// A change that names a new host waits so long for its addresses.
const FIRST_LOOKUP: Duration = Duration::from_secs(1);

/// The directory of one node. Clones share it.
#[derive(Clone)]
pub(crate) struct Directory {
    table: Arc<RwLock<Table>>,
    hosts: Arc<OurHosts>,
    egress: Arc<EgressPolicy>,
    rounds: Arc<Rounds>,
    gateways: Arc<Gateways>,
    names: Names,
}

impl Directory {
    /// An empty directory for these hosts; [`Feed`] fills it.
    pub(crate) fn new(hosts: OurHosts, egress: Arc<EgressPolicy>, names: Names) -> Self {
        Self {
            table: Arc::default(),
            hosts: Arc::new(hosts),
            egress,
            rounds: Arc::new(Rounds::new()),
            gateways: Arc::default(),
            names,
        }
    }

    /// The names and addresses this node answers to.
    pub(crate) fn hosts(&self) -> &OurHosts {
        &self.hosts
    }

    /// Wakes the feed and waits until this directory holds what was committed before now.
    pub(crate) async fn followed(&self, wake: impl FnOnce()) {
        self.rounds.next(wake).await;
        self.names.settled(FIRST_LOOKUP).await;
    }

    /// Where to send for a place now, best first; gateways whose probes fail come last. Never waits.
    pub(crate) fn targets(&self, place: &Place) -> Vec<Target> {
        let mut targets = self.names.targets(place);
        targets.sort_by_key(|target| self.is_down(target.address));
        targets
    }

    /// Every address of a place in an order that stays, those that are down last: for what lasts longer than a call.
    pub(crate) fn stable_targets(&self, place: &Place) -> Vec<Target> {
        let mut targets = self.names.listed(place);
        targets.sort_by_key(|target| self.is_down(target.address));
        targets
    }

    /// Hosts whose addresses are kept.
    pub(crate) fn names_kept(&self) -> usize {
        self.names.count()
    }

    /// Addresses whose probes fail.
    pub(crate) fn gateways_down(&self) -> usize {
        self.gateways.down()
    }

    /// Looks up the hosts that carriers and trunks name, until cancelled.
    pub(crate) async fn keep_names(self, cancel: CancellationToken) {
        let moved = |place: &Place| {
            let addresses: Vec<_> = self.names.listed(place).iter().map(|target| target.address).collect();
            self.write(|table| table.move_carriers(place, &addresses));
        };
        self.names.clone().keep(moved, cancel).await;
    }

    /// Reads. A panic of a writer cannot leave an entry half replaced, so poison is not fatal.
    fn read<T>(&self, look_up: impl FnOnce(&Table) -> T) -> T {
        look_up(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces entries.
    fn write<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        change(&mut self.table.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn account(&self, id: &AccountId) -> Option<Arc<AccountEntry>> {
        self.read(|table| table.account(id))
    }

    pub(crate) fn trunk(&self, id: &TrunkId) -> Option<Arc<TrunkEntry>> {
        self.read(|table| table.trunk(id))
    }

    pub(crate) fn number(&self, e164: &E164) -> Option<Arc<NumberEntry>> {
        self.read(|table| table.number(e164))
    }

    pub(crate) fn application(&self, id: &ApplicationId) -> Option<Arc<ApplicationEntry>> {
        self.read(|table| table.application(id))
    }

    pub(crate) fn endpoint(&self, username: &str) -> Option<Arc<EndpointEntry>> {
        self.read(|table| table.endpoint(username))
    }

    /// Carriers in order of priority.
    pub(crate) fn carriers(&self) -> Vec<Arc<CarrierEntry>> {
        self.read(|table| table.carriers().to_vec())
    }

    /// Puts carriers in, for tests of what reads them.
    #[cfg(test)]
    pub(crate) fn with_carriers(&self, carriers: Vec<CarrierEntry>) {
        self.write(|table| carriers.into_iter().for_each(|entry| table.put_carrier(entry.id, Some(entry))));
    }

    /// The carrier of this id.
    pub(crate) fn carrier(&self, id: CarrierId) -> Option<Arc<CarrierEntry>> {
        self.read(|table| table.carriers().iter().find(|carrier| carrier.id == id).cloned())
    }

    /// The rate deck of an account.
    pub(crate) fn deck_of(&self, account: &AccountEntry) -> Option<Arc<DeckEntry>> {
        self.read(|table| table.deck_of(account))
    }

    /// Whether calls of `account` may go to this calling code.
    pub(crate) fn is_open(&self, account: &AccountId, prefix: &str) -> bool {
        self.read(|table| table.is_open(account, prefix))
    }

    /// Whether a prefix of the number is barred for the account or the platform.
    pub(crate) fn is_barred(&self, account: &AccountId, number: &E164) -> bool {
        self.read(|table| table.is_barred(account, number))
    }
}
