//! The registrar: bindings by user, expiry, and the rules of RFC 3261 §10.3.

use std::collections::{BTreeSet, HashMap};

use super::binding::{Binding, BindingChange, Flow, FlowTransport, Nat};
use super::facts::{
    ContactFacts, Contacts, RegisterFacts, RegisterOutcome, RegisterRefusal, RegisteredContact,
};
use super::keepalive::{KEEPALIVE_BATCH, KEEPALIVE_INTERVAL_SECONDS, KeepAlive, Schedule};

/// Shortest registration; below it 423.
pub const MIN_EXPIRES_SECONDS: u32 = 60;
/// Longest registration; longer wishes are shortened.
pub const MAX_EXPIRES_SECONDS: u32 = 3_600;
/// Where the phone names none.
pub const DEFAULT_EXPIRES_SECONDS: u32 = 3_600;
/// Most bindings of one user; one more replaces the least recently refreshed, because phones that
/// restart without unregistering leave dead ones behind.
pub const MAX_BINDINGS_PER_AOR: usize = 10;
/// Most bindings in one registrar.
pub const MAX_BINDINGS_TOTAL: usize = 262_144;

/// All bindings of this node. Times are seconds since the epoch.
#[derive(Debug)]
pub struct Registrar {
    bindings: HashMap<u64, Binding>,
    by_aor: HashMap<String, Vec<u64>>,
    by_expiry: BTreeSet<(u64, u64)>,
    by_flow: BTreeSet<(Flow, u64)>,
    by_connection: BTreeSet<(u64, u64)>,
    keepalives: Schedule,
    /// Number of the next binding. Never stored; rises with each upsert, so it also orders bindings
    /// that were refreshed in the same second.
    next: u64,
    capacity: usize,
}

impl Default for Registrar {
    fn default() -> Self {
        Self::with_capacity(MAX_BINDINGS_TOTAL)
    }
}

impl Registrar {
    /// An empty registrar for [`MAX_BINDINGS_TOTAL`] bindings.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty registrar for at most `capacity` bindings.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bindings: HashMap::new(),
            by_aor: HashMap::new(),
            by_expiry: BTreeSet::new(),
            by_flow: BTreeSet::new(),
            by_connection: BTreeSet::new(),
            keepalives: Schedule::default(),
            next: 0,
            capacity,
        }
    }

    /// Takes over stored bindings at start. Those that expired meanwhile, and those beyond a limit,
    /// come back as removals.
    ///
    /// Connections of the former process are gone: their bindings stay, without connection and
    /// keep-alive, until the phone registers again. Keep-alives over UDP are due in turn over the
    /// first interval, not all at once.
    pub fn load(&mut self, now: u64, stored: impl IntoIterator<Item = Binding>) -> Vec<BindingChange> {
        let mut stored: Vec<Binding> = stored.into_iter().collect();
        stored.sort_by_key(|binding| binding.refreshed_at);
        let mut changes = Vec::new();
        for (position, mut binding) in stored.into_iter().enumerate() {
            if binding.expires_at <= now || self.bindings.len() >= self.capacity {
                changes.push(removal(&binding));
                continue;
            }
            binding.flow.connection = None;
            let aor = binding.aor.clone();
            if let Some(twin) = self.find(&aor, |known| same_uri(&known.contact_uri, &binding.contact_uri)) {
                let old = self.take(twin).filter(|old| old.contact_uri != binding.contact_uri);
                changes.extend(old.map(|old| removal(&old)));
            }
            self.put(binding, now + position as u64 % KEEPALIVE_INTERVAL_SECONDS);
            changes.extend(self.drop_surplus(&aor));
        }
        changes
    }

    /// Decides one REGISTER. Refusals change nothing.
    pub fn handle(&mut self, now: u64, facts: RegisterFacts) -> RegisterOutcome {
        let outcome = match &facts.contacts {
            Contacts::Absent => Ok(Vec::new()),
            Contacts::Wildcard => self.unregister_all(now, &facts),
            Contacts::Listed(contacts) => {
                self.plan(now, &facts, contacts).map(|plan| self.apply(now, &facts, plan))
            }
        };
        match outcome {
            Ok(changes) => RegisterOutcome::Accepted { changes, contacts: self.contacts(&facts.aor, now) },
            Err(refusal) => RegisterOutcome::Refused(refusal),
        }
    }

    /// Drops every binding of a user, as when its password changes.
    pub fn remove_all(&mut self, aor: &str) -> Vec<BindingChange> {
        let ids = self.by_aor.get(aor).cloned().unwrap_or_default();
        self.remove_each(ids)
    }

    /// Drops the bindings that only a closed connection could reach: those behind a NAT and those
    /// of RFC 5626 flows. Phones with a public contact keep theirs.
    pub fn connection_closed(&mut self, connection: u64) -> Vec<BindingChange> {
        let only_there = |binding: &Binding| binding.flow.nat == Nat::Translated || binding.reg_id.is_some();
        let ids = self.by_connection.range((connection, 0)..=(connection, u64::MAX)).map(|(_, id)| *id);
        let lost = ids.filter(|id| self.bindings.get(id).is_some_and(only_there)).collect();
        self.remove_each(lost)
    }

    /// Drops what has expired at `now`.
    pub fn expire(&mut self, now: u64) -> Vec<BindingChange> {
        let ids = self.by_expiry.range(..=(now, u64::MAX)).map(|(_, id)| *id).collect();
        self.remove_each(ids)
    }

    /// The keep-alives due at `now`, at most [`super::KEEPALIVE_BATCH`].
    pub fn keepalives(&mut self, now: u64) -> Vec<KeepAlive> {
        let mut due = Vec::new();
        while due.len() < KEEPALIVE_BATCH
            && let Some(flow) = self.keepalives.next(now)
        {
            match flow.transport {
                FlowTransport::Tcp | FlowTransport::Tls => due.push(KeepAlive::DoubleCrlf { flow }),
                FlowTransport::Ws | FlowTransport::Wss => due.push(KeepAlive::WebSocketPing { flow }),
                FlowTransport::Udp => {
                    let options = |contact_uri| KeepAlive::Options { flow, contact_uri };
                    due.extend(self.newest_contact(flow).map(options));
                }
            }
        }
        due
    }

    /// The live bindings of a user, most recently refreshed first.
    pub fn bindings(&self, aor: &str, now: u64) -> Vec<&Binding> {
        let ids = self.by_aor.get(aor).map(Vec::as_slice).unwrap_or_default();
        // Numbers rise with each upsert: the last in the list is the most recent.
        let live = ids.iter().rev().filter_map(|id| self.bindings.get(id));
        live.filter(|binding| now < binding.expires_at).collect()
    }

    /// When [`Self::expire`] or [`Self::keepalives`] next has something to do.
    pub fn deadline(&self) -> Option<u64> {
        let expiry = self.by_expiry.first().map(|(at, _)| *at);
        [expiry, self.keepalives.deadline()].into_iter().flatten().min()
    }

    /// How many bindings are held, expired ones included until [`Self::expire`].
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    fn unregister_all(
        &mut self,
        now: u64,
        facts: &RegisterFacts,
    ) -> Result<Vec<BindingChange>, RegisterRefusal> {
        if facts.expires != Some(0) {
            return Err(RegisterRefusal::WildcardWithoutZero);
        }
        if self.bindings(&facts.aor, now).iter().any(|known| order(known, facts) == Order::Late) {
            return Err(RegisterRefusal::OutOfOrder);
        }
        Ok(self.remove_all(&facts.aor))
    }

    /// Judges every contact before any is touched (RFC 3261 §10.3 step 7).
    fn plan<'a>(
        &self,
        now: u64,
        facts: &RegisterFacts,
        contacts: &'a [ContactFacts],
    ) -> Result<Vec<Step<'a>>, RegisterRefusal> {
        if contacts.len() > MAX_BINDINGS_PER_AOR {
            return Err(RegisterRefusal::TooManyContacts);
        }
        let mut plan = Vec::new();
        let mut added = 0;
        for contact in contacts {
            if contact.uri.trim().is_empty() {
                return Err(RegisterRefusal::EmptyContact);
            }
            let wish = contact.expires.or(facts.expires).unwrap_or(DEFAULT_EXPIRES_SECONDS);
            if wish != 0 && wish < MIN_EXPIRES_SECONDS {
                return Err(RegisterRefusal::IntervalTooBrief { min_expires: MIN_EXPIRES_SECONDS });
            }
            let known =
                self.find(&facts.aor, |binding| now < binding.expires_at && is_same(binding, contact));
            match known.and_then(|id| self.bindings.get(&id)).map(|binding| order(binding, facts)) {
                Some(Order::Late) => return Err(RegisterRefusal::OutOfOrder),
                // The same request again: answer as before.
                Some(Order::Repeated) => {}
                Some(Order::Next) | None => {
                    added += usize::from(known.is_none() && wish != 0);
                    plan.push(Step { contact, expires: wish.min(MAX_EXPIRES_SECONDS) });
                }
            }
        }
        if added > 0 && self.bindings.len() + added > self.capacity {
            return Err(RegisterRefusal::NodeFull);
        }
        Ok(plan)
    }

    fn apply(&mut self, now: u64, facts: &RegisterFacts, plan: Vec<Step<'_>>) -> Vec<BindingChange> {
        let mut changes = Vec::new();
        for Step { contact, expires } in plan {
            // One device may have left several behind, under another port each.
            while let Some(id) = self.find(&facts.aor, |binding| is_same(binding, contact)) {
                let old = self.take(id).filter(|old| expires == 0 || old.contact_uri != contact.uri);
                changes.extend(old.map(|old| removal(&old)));
            }
            if expires != 0 {
                let binding = bind(now, facts, contact, expires);
                changes.push(BindingChange::Upsert(binding.clone()));
                self.put(binding, now + KEEPALIVE_INTERVAL_SECONDS);
            }
        }
        changes.extend(self.drop_surplus(&facts.aor));
        changes
    }

    /// Drops the least recently refreshed bindings of a user who has too many.
    fn drop_surplus(&mut self, aor: &str) -> Vec<BindingChange> {
        let ids = self.by_aor.get(aor).map(Vec::as_slice).unwrap_or_default();
        let surplus = ids.len().saturating_sub(MAX_BINDINGS_PER_AOR);
        let oldest = ids.iter().take(surplus).copied().collect();
        self.remove_each(oldest)
    }

    fn contacts(&self, aor: &str, now: u64) -> Vec<RegisteredContact> {
        let contact = |binding: &Binding| RegisteredContact {
            uri: binding.contact_uri.clone(),
            expires: u32::try_from(binding.expires_at.saturating_sub(now)).unwrap_or(u32::MAX),
            instance: binding.instance.clone(),
            reg_id: binding.reg_id,
            q_millis: binding.q_millis,
        };
        self.bindings(aor, now).into_iter().map(contact).collect()
    }

    fn newest_contact(&self, flow: Flow) -> Option<String> {
        let (_, id) = self.by_flow.range((flow, 0)..=(flow, u64::MAX)).next_back()?;
        self.bindings.get(id).map(|binding| binding.contact_uri.clone())
    }

    fn find(&self, aor: &str, matches: impl Fn(&Binding) -> bool) -> Option<u64> {
        let ids = self.by_aor.get(aor)?;
        ids.iter().copied().find(|id| self.bindings.get(id).is_some_and(&matches))
    }

    fn put(&mut self, binding: Binding, first_keepalive: u64) {
        let id = self.next;
        self.next += 1;
        self.by_aor.entry(binding.aor.clone()).or_default().push(id);
        self.by_expiry.insert((binding.expires_at, id));
        self.by_flow.insert((binding.flow, id));
        self.by_connection.extend(binding.flow.connection.map(|connection| (connection, id)));
        self.keepalives.add(binding.flow, first_keepalive);
        self.bindings.insert(id, binding);
    }

    fn take(&mut self, id: u64) -> Option<Binding> {
        let binding = self.bindings.remove(&id)?;
        if let Some(ids) = self.by_aor.get_mut(&binding.aor) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.by_aor.remove(&binding.aor);
            }
        }
        self.by_expiry.remove(&(binding.expires_at, id));
        self.by_flow.remove(&(binding.flow, id));
        if let Some(connection) = binding.flow.connection {
            self.by_connection.remove(&(connection, id));
        }
        self.keepalives.remove(&binding.flow);
        Some(binding)
    }

    fn remove_each(&mut self, ids: Vec<u64>) -> Vec<BindingChange> {
        ids.into_iter().filter_map(|id| self.take(id)).map(|binding| removal(&binding)).collect()
    }
}

/// A contact that is to be bound for `expires` seconds, or unbound at 0.
struct Step<'a> {
    contact: &'a ContactFacts,
    expires: u32,
}

/// How a request stands to the one that made a binding.
#[derive(PartialEq, Eq)]
enum Order {
    /// Newer, or of another Call-ID, which has an order of its own.
    Next,
    /// The same request delivered twice.
    Repeated,
    /// Older: overtaken on the way.
    Late,
}

fn order(known: &Binding, facts: &RegisterFacts) -> Order {
    if known.call_id != facts.call_id || facts.cseq > known.cseq {
        Order::Next
    } else if facts.cseq == known.cseq {
        Order::Repeated
    } else {
        Order::Late
    }
}

/// Whether a contact means a binding: by device and flow (RFC 5626 §6), else by URI. A device that
/// names no `reg-id` has one flow, so that its restart replaces the binding of its former port.
fn is_same(binding: &Binding, contact: &ContactFacts) -> bool {
    let same_device = contact.instance.is_some()
        && binding.instance == contact.instance
        && binding.reg_id == contact.reg_id;
    same_device || same_uri(&binding.contact_uri, &contact.uri)
}

/// URI equality as far as phones need it: user part by case, the rest without (RFC 3261 §19.1.4).
fn same_uri(left: &str, right: &str) -> bool {
    let ((left_scheme, left_user, left_host), (right_scheme, right_user, right_host)) =
        (uri_parts(left), uri_parts(right));
    left_user == right_user
        && left_scheme.eq_ignore_ascii_case(right_scheme)
        && left_host.eq_ignore_ascii_case(right_host)
}

/// Scheme, user and the rest.
fn uri_parts(uri: &str) -> (&str, &str, &str) {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    let (user, host) = rest.split_once('@').unwrap_or(("", rest));
    (scheme, user, host)
}

fn bind(now: u64, facts: &RegisterFacts, contact: &ContactFacts, expires: u32) -> Binding {
    Binding {
        aor: facts.aor.clone(),
        contact_uri: contact.uri.clone(),
        expires_at: now + u64::from(expires),
        refreshed_at: now,
        call_id: facts.call_id.clone(),
        cseq: facts.cseq,
        flow: facts.flow,
        path: facts.path.clone(),
        user_agent: facts.user_agent.clone(),
        instance: contact.instance.clone(),
        reg_id: contact.reg_id,
        q_millis: contact.q_millis.unwrap_or(1_000),
    }
}

fn removal(binding: &Binding) -> BindingChange {
    BindingChange::Remove { aor: binding.aor.clone(), contact_uri: binding.contact_uri.clone() }
}
