//! Accounts of ours at gateways that want their customers to register, and what the registrations have come to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};
use tandem_model::CarrierId;
use tandem_model::ports::Transport;

/// An account of ours at a gateway's registrar.
#[derive(Clone, Debug)]
pub struct GatewayAccount {
    /// Which carrier's.
    pub carrier: CarrierId,
    /// Where requests go.
    pub address: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// Its host as configured: in Request-URI, To and TLS.
    pub host: String,
    /// User name, also in To, From and Contact.
    pub username: String,
    /// Password.
    pub password: SecretString,
    /// The only realm answered, once known.
    pub realm: Option<String>,
}

impl GatewayAccount {
    /// Whether nothing changed that a registration depends on.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.carrier, self.address, self.transport) == (other.carrier, other.address, other.transport)
            && self.host == other.host
            && self.username == other.username
            && self.realm == other.realm
            && self.password.expose_secret() == other.password.expose_secret()
    }
}

/// How far a registration of ours has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// Not answered yet.
    Trying,
    /// Registered.
    Registered,
    /// Refused with this status; 408 when nothing came back.
    Refused(u16),
}

impl RegistrationState {
    /// For people.
    pub fn words(self) -> String {
        match self {
            Self::Trying => "trying".to_owned(),
            Self::Registered => "registered".to_owned(),
            Self::Refused(status) => format!("refused ({status})"),
        }
    }
}

/// What the registrations have come to: written by the shard, read by the service.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegistrationBoard(Arc<Mutex<HashMap<CarrierId, RegistrationState>>>);

impl RegistrationBoard {
    pub(crate) fn set(&self, carrier: CarrierId, state: Option<RegistrationState>) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state {
            Some(state) => drop(states.insert(carrier, state)),
            None => drop(states.remove(&carrier)),
        }
    }

    pub(crate) fn all(&self) -> HashMap<CarrierId, RegistrationState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
