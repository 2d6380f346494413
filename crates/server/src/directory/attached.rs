//! What hangs on trunks (credentials, ACL entries, URIs), by its own id and by trunk, so that one changed
//! row rebuilds one trunk.

use std::collections::{BTreeSet, HashMap};

use tandem_model::TrunkId;

/// A row that may be attached to a trunk.
pub(super) trait Attachable {
    /// The trunk it names itself.
    fn trunk(&self) -> Option<TrunkId>;
}

/// Rows by id, and which of them each trunk has.
pub(super) struct Attached<R> {
    rows: HashMap<String, R>,
    of_trunk: HashMap<TrunkId, BTreeSet<String>>,
}

impl<R> Default for Attached<R> {
    fn default() -> Self {
        Self { rows: HashMap::new(), of_trunk: HashMap::new() }
    }
}

impl<R: Attachable> Attached<R> {
    /// Replaces a row; says which trunks it was and is attached to.
    pub(super) fn put(&mut self, id: &str, row: Option<R>) -> Vec<TrunkId> {
        let mut touched = Vec::new();
        if let Some(trunk) = self.rows.remove(id).and_then(|old| old.trunk()) {
            if let Some(ids) = self.of_trunk.get_mut(&trunk) {
                ids.remove(id);
                if ids.is_empty() {
                    self.of_trunk.remove(&trunk);
                }
            }
            touched.push(trunk);
        }
        if let Some(row) = row {
            if let Some(trunk) = row.trunk() {
                self.of_trunk.entry(trunk).or_default().insert(id.to_owned());
                touched.push(trunk);
            }
            self.rows.insert(id.to_owned(), row);
        }
        touched
    }

    /// The rows that name this trunk, and the one it names itself.
    pub(super) fn of(&self, trunk: TrunkId, named: Option<&String>) -> Vec<&R> {
        let own = self.of_trunk.get(&trunk).into_iter().flatten();
        let ids: BTreeSet<&String> = own.chain(named).collect();
        ids.into_iter().filter_map(|id| self.rows.get(id)).collect()
    }
}
