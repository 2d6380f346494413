//! The answers kept in memory, and the task that looks up what is new, expired or failed.
//!
//! Who asks is answered at once with what is known. An expired answer is still given while it is looked up again, and
//! beyond that when no name server answers (RFC 8767), for a day at most; a name that is gone is gone at once. Names in use
//! are looked up again as soon as they expire, others a while later. Bounded: [`MAX_PLACES`] names, [`MAX_LOOKUPS`] look-ups
//! at a time; names that nobody wants any more are forgotten.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tandem_model::{clock, entropy};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::dns::Dns;
use super::locate::{Located, locate};
use super::order::{Step, Target, drawn, listed};
use super::{Means, Place};

/// Names kept; one more is refused.
pub(super) const MAX_PLACES: usize = 65_536;
/// Look-ups at a time.
const MAX_LOOKUPS: usize = 32;
/// One look-up, all its questions together.
const LOOKUP_LIMIT: Duration = Duration::from_secs(6);
/// Answers are kept no shorter and no longer than this, whatever their zone says.
const MIN_TTL: Duration = Duration::from_secs(5);
const MAX_TTL: Duration = Duration::from_hours(1);
/// That a name has no address is believed no longer than this.
const MAX_NEGATIVE_TTL: Duration = Duration::from_mins(5);
/// An answer that is not certain, or none at all, is asked for again after this, doubled with each failure.
const RETRY: Duration = Duration::from_secs(5);
const MAX_RETRY: Duration = Duration::from_mins(1);
/// Longest use of an expired answer while no name server answers.
const MAX_STALE: Duration = Duration::from_hours(24);
/// A name somebody asked for in this time is in use.
const IN_USE: Duration = Duration::from_mins(10);
/// Names not in use are looked up again so much after they expire.
const AT_REST: Duration = Duration::from_mins(5);
/// Names that nobody wanted for so long are forgotten.
const FORGET: Duration = Duration::from_mins(10);
/// How often the table is looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// The names of one node. Clones share them.
#[derive(Clone)]
pub(crate) struct Names(Arc<Inner>);

struct Inner {
    /// `None` where nobody looks names up: literals only.
    dns: Option<Arc<dyn Dns>>,
    means: Means,
    epoch: Instant,
    table: RwLock<HashMap<Place, Entry>>,
    due: Notify,
    /// Counts look-ups that have come to their end.
    finished: watch::Sender<u64>,
}

struct Entry {
    steps: Arc<[Step]>,
    /// When the answer was had, if ever there was one.
    known: Option<Instant>,
    expires: Instant,
    failures: u32,
    tried: bool,
    looking: bool,
    /// When somebody last sent there, and when it was last wanted at all: milliseconds of the table's life.
    asked: AtomicU64,
    wanted: AtomicU64,
}

impl Names {
    /// An empty table; [`Names::keep`] fills it.
    pub(crate) fn new(dns: Arc<dyn Dns>, means: Means) -> Self {
        Self::with(Some(dns), means)
    }

    /// A table that looks nothing up.
    pub(crate) fn literals_only() -> Self {
        Self::with(None, Means::ALL)
    }

    fn with(dns: Option<Arc<dyn Dns>>, means: Means) -> Self {
        Self(Arc::new(Inner {
            dns,
            means,
            epoch: clock::monotonic(),
            table: RwLock::default(),
            due: Notify::new(),
            finished: watch::Sender::new(0),
        }))
    }

    /// Where to send now, best first; empty where that is not known. Never waits.
    pub(crate) fn targets(&self, place: &Place) -> Vec<Target> {
        if let Some((address, transport)) = place.literal() {
            return vec![Target { address, transport }];
        }
        self.look(place, clock::monotonic(), |entry, now| {
            entry.asked.store(now, Ordering::Relaxed);
            drawn(&entry.steps, draw)
        })
    }

    /// All addresses of a place in an order that is the same every time; does not count as use.
    pub(crate) fn listed(&self, place: &Place) -> Vec<Target> {
        if let Some((address, transport)) = place.literal() {
            return vec![Target { address, transport }];
        }
        self.look(place, clock::monotonic(), |entry, _| listed(&entry.steps))
    }

    fn look(
        &self,
        place: &Place,
        now: Instant,
        read: impl FnOnce(&Entry, u64) -> Vec<Target>,
    ) -> Vec<Target> {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = table.get(place) else { return Vec::new() };
        if now >= entry.expires && !entry.looking {
            self.0.due.notify_one();
        }
        read(entry, self.0.since(now))
    }

    /// Keeps a place from now on, and for a while after it was last wanted. `false` when the table is full.
    pub(crate) fn want(&self, place: &Place) -> bool {
        if place.literal().is_some() || self.0.dns.is_none() {
            return true;
        }
        let now = clock::monotonic();
        let stamp = self.0.since(now);
        {
            let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = table.get(place) {
                entry.wanted.store(stamp, Ordering::Relaxed);
                return true;
            }
        }
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= MAX_PLACES {
            return false;
        }
        table.entry(place.clone()).or_insert_with(|| Entry {
            steps: Arc::from([]),
            known: None,
            expires: now,
            failures: 0,
            tried: false,
            looking: false,
            asked: AtomicU64::new(stamp),
            wanted: AtomicU64::new(stamp),
        });
        drop(table);
        self.0.due.notify_one();
        true
    }

    /// Waits until every name has been looked up once, at most so long.
    pub(crate) async fn settled(&self, limit: Duration) {
        if self.0.dns.is_none() {
            return;
        }
        let mut finished = self.0.finished.subscribe();
        let all_tried = async {
            loop {
                finished.borrow_and_update();
                if self.0.all_tried() || finished.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(limit, all_tried).await.is_err() {
            tracing::info!("some names are still being looked up");
        }
    }

    /// Names kept, for people.
    pub(crate) fn count(&self) -> usize {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Looks names up until cancelled, and tells of each whose addresses have changed.
    pub(crate) async fn keep(self, changed: impl Fn(&Place), cancel: CancellationToken) {
        let Some(dns) = self.0.dns.clone() else { return };
        let mut lookups = JoinSet::new();
        loop {
            for place in self.0.begin(clock::monotonic(), MAX_LOOKUPS.saturating_sub(lookups.len())) {
                let (dns, means) = (Arc::clone(&dns), self.0.means);
                lookups.spawn(async move {
                    let located =
                        tokio::time::timeout(LOOKUP_LIMIT, locate(dns.as_ref(), means, &place)).await;
                    (place, located.ok())
                });
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                Some(done) = lookups.join_next() => {
                    let Ok((place, located)) = done else { continue };
                    if self.0.finish(&place, located, clock::monotonic()) {
                        changed(&place);
                    }
                    self.0.finished.send_modify(|count| *count += 1);
                }
                () = self.0.due.notified() => {}
                () = tokio::time::sleep(SWEEP) => {}
            }
        }
    }
}

impl Inner {
    fn all_tried(&self) -> bool {
        self.table.read().unwrap_or_else(PoisonError::into_inner).values().all(|entry| entry.tried)
    }

    fn since(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64
    }

    /// What is to be looked up now, at most so many; forgets what nobody wants.
    fn begin(&self, now: Instant, room: usize) -> Vec<Place> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.since(now);
        let ago =
            |mark: &AtomicU64| Duration::from_millis(stamp.saturating_sub(mark.load(Ordering::Relaxed)));
        table.retain(|_, entry| entry.looking || ago(&entry.wanted).min(ago(&entry.asked)) < FORGET);
        let due = |entry: &Entry| {
            let rest = if !entry.tried || ago(&entry.asked) < IN_USE { Duration::ZERO } else { AT_REST };
            !entry.looking && now >= entry.expires + rest
        };
        // New names first: somebody waits for them.
        let mut found: Vec<_> = table
            .iter()
            .filter(|(_, entry)| due(entry))
            .map(|(place, entry)| (entry.tried, place.clone()))
            .collect();
        found.sort_by_key(|(tried, _)| *tried);
        found.truncate(room);
        found
            .into_iter()
            .map(|(_, place)| {
                if let Some(entry) = table.get_mut(&place) {
                    entry.looking = true;
                }
                place
            })
            .collect()
    }

    /// Takes in a look-up; `true` when the addresses are others than before.
    fn finish(&self, place: &Place, located: Option<Located>, now: Instant) -> bool {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = table.get_mut(place) else { return false };
        entry.looking = false;
        entry.tried = true;
        let known_for = entry.known.map(|known| now.saturating_duration_since(known));
        let may_stay = !entry.steps.is_empty() && known_for.is_some_and(|age| age < MAX_STALE);
        let located = located.unwrap_or(Located { steps: Vec::new(), ttl: RETRY, certain: false });
        if !located.certain && (may_stay || located.steps.is_empty()) {
            entry.failures = entry.failures.saturating_add(1);
            entry.expires = now + (RETRY * 2_u32.saturating_pow(entry.failures.min(8) - 1)).min(MAX_RETRY);
            if entry.failures == 1 {
                tracing::warn!(name = %place, kept = may_stay, "a name is not answered for; it is asked again");
            }
            if may_stay || entry.steps.is_empty() {
                return false;
            }
            entry.steps = Arc::from([]);
            return true;
        }
        entry.failures = 0;
        entry.known = Some(now);
        let longest = match (located.certain, located.steps.is_empty()) {
            (false, _) => RETRY,
            (true, true) => MAX_NEGATIVE_TTL,
            (true, false) => MAX_TTL,
        };
        entry.expires = now + located.ttl.clamp(MIN_TTL, longest.max(MIN_TTL));
        if located.steps.is_empty() {
            tracing::warn!(name = %place, "a name has no address we can use");
        }
        let changed = *entry.steps != *located.steps;
        if changed {
            entry.steps = located.steps.into();
        }
        changed
    }
}

/// A number between 0 and 1.
fn draw() -> f64 {
    (entropy::number() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
