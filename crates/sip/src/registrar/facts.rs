//! What goes into a registration and what comes out.

use super::binding::{BindingChange, Flow};

/// An authenticated and authorised REGISTER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterFacts {
    /// Address of record (To) in the host's canonical form.
    pub aor: String,
    /// The Contact header fields.
    pub contacts: Contacts,
    /// The Expires header.
    pub expires: Option<u32>,
    /// Call-ID.
    pub call_id: String,
    /// CSeq number.
    pub cseq: u32,
    /// Where it came from.
    pub flow: Flow,
    /// Path, topmost first.
    pub path: Vec<String>,
    /// User-Agent.
    pub user_agent: Option<String>,
}

/// The Contact header fields of a REGISTER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contacts {
    /// None: a query.
    Absent,
    /// `Contact: *`: forget all.
    Wildcard,
    /// One or more.
    Listed(Vec<ContactFacts>),
}

/// One Contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactFacts {
    /// The URI as written, without angle brackets and header parameters.
    pub uri: String,
    /// `expires` parameter.
    pub expires: Option<u32>,
    /// `q` in thousandths.
    pub q_millis: Option<u16>,
    /// `+sip.instance`, without quotes.
    pub instance: Option<String>,
    /// `reg-id`.
    pub reg_id: Option<u32>,
}

/// What to do with a REGISTER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterOutcome {
    /// Store the changes, then answer 200 with these contacts.
    Accepted {
        /// To store, in order, in one transaction.
        changes: Vec<BindingChange>,
        /// For the 200's Contact headers, most recent first.
        contacts: Vec<RegisteredContact>,
    },
    /// Answer with an error; nothing changed.
    Refused(RegisterRefusal),
}

/// One Contact of the 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredContact {
    /// URI as registered.
    pub uri: String,
    /// Remaining seconds.
    pub expires: u32,
    /// `+sip.instance`, to be quoted.
    pub instance: Option<String>,
    /// `reg-id`.
    pub reg_id: Option<u32>,
    /// `q` in thousandths.
    pub q_millis: u16,
}

/// Why a REGISTER is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterRefusal {
    /// 423 with `Min-Expires`.
    #[error("the interval is shorter than {min_expires} seconds")]
    IntervalTooBrief {
        /// For the `Min-Expires` header.
        min_expires: u32,
    },
    /// 400: `Contact: *` needs `Expires: 0`.
    #[error("Contact: * needs Expires: 0")]
    WildcardWithoutZero,
    /// 400: a Contact without URI.
    #[error("a Contact has no URI")]
    EmptyContact,
    /// 400: an older request of the same Call-ID arrived late.
    #[error("CSeq is not above that of the stored binding")]
    OutOfOrder,
    /// 403: more contacts in one request than one user may have.
    #[error("more contacts than one address of record may have")]
    TooManyContacts,
    /// 503: this node holds as many bindings as it may.
    #[error("this node is full of bindings")]
    NodeFull,
}

impl RegisterRefusal {
    /// The SIP status that answers it.
    pub fn status(self) -> u16 {
        match self {
            Self::IntervalTooBrief { .. } => 423,
            Self::WildcardWithoutZero | Self::EmptyContact | Self::OutOfOrder => 400,
            Self::TooManyContacts => 403,
            Self::NodeFull => 503,
        }
    }
}
