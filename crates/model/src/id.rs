//! Typed ids. Public ids are random (v4): the leading digits of v7 are the clock, and trunk domains
//! made of the first eight hex digits would collide. v7 is for internal ordering keys only.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entropy;

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
    /// A new random call id.
    pub fn random() -> Self {
        Self(Ids::random())
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
    /// A new random event id.
    pub fn random() -> Self {
        Self(Ids::random())
    }
}
