//! Whose turn it is: round robin over accounts, and within an account over its endpoints. An
//! account with a thousand endpoints gets one turn, like an account with one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tandem_model::AccountId;

/// One customer endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct EndpointKey {
    pub(super) account: AccountId,
    pub(super) endpoint: Arc<str>,
}

/// Endpoints that have something ready to send.
#[derive(Default)]
pub(super) struct Rotation {
    accounts: VecDeque<AccountId>,
    endpoints: HashMap<AccountId, VecDeque<EndpointKey>>,
    members: HashSet<EndpointKey>,
}

impl Rotation {
    /// Puts an endpoint at the end of its account's line, unless it stands there already.
    pub(super) fn enter(&mut self, key: &EndpointKey) {
        if !self.members.insert(key.clone()) {
            return;
        }
        let line = self.endpoints.entry(key.account.clone()).or_default();
        if line.is_empty() {
            self.accounts.push_back(key.account.clone());
        }
        line.push_back(key.clone());
    }

    /// The endpoint whose turn it is; it leaves the rotation.
    pub(super) fn next(&mut self) -> Option<EndpointKey> {
        let account = self.accounts.pop_front()?;
        let line = self.endpoints.get_mut(&account)?;
        let key = line.pop_front()?;
        if line.is_empty() {
            self.endpoints.remove(&account);
        } else {
            self.accounts.push_back(account);
        }
        self.members.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(account: &str, endpoint: &str) -> EndpointKey {
        EndpointKey { account: AccountId::new(account), endpoint: endpoint.into() }
    }

    #[test]
    fn accounts_take_turns_however_many_endpoints_they_have() {
        let mut rotation = Rotation::default();
        for name in ["a1", "a2", "a3"] {
            rotation.enter(&key("A", name));
        }
        rotation.enter(&key("B", "b1"));
        rotation.enter(&key("A", "a1"));
        let order: Vec<_> =
            std::iter::from_fn(|| rotation.next()).map(|key| key.endpoint.to_string()).collect();
        assert_eq!(order, ["a1", "b1", "a2", "a3"]);
    }
}
