//! Typed ids. Public ids are of v4's form. Trunk ids are random throughout: trunk domains are made of
//! their first eight hex digits. Call and event ids lead with the clock ([`Ids::ordered`]).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{clock, entropy};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id! {
    /// One call, which is one admission decision, one record, at most one charge. Vobiz's `CallUUID`.
    CallId
}
id! {
    /// A SIP trunk.
    TrunkId
}
id! {
    /// One event of the outbox; the `webhook-id` header of its deliveries.
    EventId
}
id! {
    /// A recording.
    RecordingId
}
id! {
    /// An interconnect to the telephone network.
    CarrierId
}
id! {
    /// One run of one server process; the owner of live calls and delivery leases.
    NodeId
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub std::sync::Arc<str>);

        impl $name {
            /// Wraps a public id as it stands.
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

text_id! {
    /// An account's `auth_id`: `MA_` customer, `SA_` sub-account, `PA_` partner, each with eight of `0-9A-Z`.
    AccountId
}
text_id! {
    /// A partner's `auth_id` (`PA_…`), the root of a tree of customers.
    PartnerId
}
text_id! {
    /// An application: a long decimal string (Vobiz: 15–17 digits).
    ApplicationId
}
text_id! {
    /// A SIP endpoint: a long decimal string.
    EndpointId
}

/// Mints new ids. The only caller of the operating system's randomness for identity.
pub struct Ids;

impl Ids {
    /// A random (v4) UUID for anything the public sees.
    pub fn random() -> Uuid {
        uuid::Builder::from_random_bytes(entropy::bytes()).into_uuid()
    }

    /// A UUID of v4's form whose first 48 bits are the wall clock in milliseconds, the other 74 free bits
    /// random: not to be guessed, yet new rows land at the end of every index keyed by it. Call and event
    /// ids are in seven indexes of one call; scattered, they cost more than twice the CPU (docs/decisions/0002).
    pub fn ordered() -> Uuid {
        let mut bytes: [u8; 16] = entropy::bytes();
        let millis = u64::try_from(clock::wall().as_millisecond()).unwrap_or_default().to_be_bytes();
        if let (Some(lead), Some(low)) = (bytes.get_mut(..6), millis.get(2..)) {
            lead.copy_from_slice(low);
        }
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// `PREFIX_` followed by eight of `0-9A-Z`; about 41 bits, so inserts must redraw on conflict.
    pub fn account(prefix: &str) -> AccountId {
        const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut n = entropy::number();
        let mut text = String::with_capacity(prefix.len() + 9);
        text.push_str(prefix);
        text.push('_');
        for _ in 0..8 {
            text.push(char::from(ALPHABET[(n % 36) as usize]));
            n /= 36;
        }
        AccountId(text.into())
    }

    /// Seventeen decimal digits, the first not zero: application and endpoint ids.
    pub fn decimal() -> String {
        let digits = entropy::decimal(17);
        match digits.strip_prefix('0') {
            Some(rest) => format!("3{rest}"),
            None => digits,
        }
    }
}

impl CallId {
    /// A new call id, random behind its leading clock.
    pub fn random() -> Self {
        Self(Ids::ordered())
    }
}

impl TrunkId {
    /// A new random trunk id.
    pub fn random() -> Self {
        Self(Ids::random())
    }

    /// The first eight hex digits: the label of the trunk's domain.
    pub fn label(&self) -> String {
        self.0.simple().to_string()[..8].to_owned()
    }
}

impl EventId {
    /// A new event id, random behind its leading clock.
    pub fn random() -> Self {
        Self(Ids::ordered())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_look_like_v4_and_sort_by_time() {
        let first = CallId::random();
        let began = clock::wall().as_millisecond();
        while clock::wall().as_millisecond() == began {}
        let second = CallId::random();
        assert_eq!(first.0.get_version_num(), 4);
        assert!(first.to_string() < second.to_string());
        assert_ne!(first.to_string()[20..], second.to_string()[20..]);
    }
}
