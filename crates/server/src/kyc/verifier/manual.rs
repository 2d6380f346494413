//! The operator looks: every document waits in `tandem admin kyc list` until somebody says yes or no.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Company, DigiLocker, Finding, KycVerifier, Showing, VerifierError};

/// Nobody but the operator knows.
pub(crate) struct Manual;

const NO_REGISTER: VerifierError = VerifierError::NotOffered(
    "This server's operator verifies by hand: there is no register of companies to search (kyc.verifier is manual)",
);
const NO_DIGILOCKER: VerifierError = VerifierError::NotOffered(
    "This server's operator verifies by hand: there is no way to DigiLocker (kyc.verifier is manual)",
);

impl KycVerifier for Manual {
    fn name(&self) -> &'static str {
        "manual"
    }

    fn visits_digilocker(&self) -> bool {
        false
    }

    fn show<'a>(&'a self, _: &'a Showing) -> BoxFuture<'a, Result<Finding, VerifierError>> {
        Box::pin(async { Ok(Finding::Pending { reference: None, after: Duration::ZERO }) })
    }

    fn ask<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Finding, VerifierError>> {
        Box::pin(async { Ok(Finding::Pending { reference: None, after: Duration::ZERO }) })
    }

    fn companies<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<Company>, VerifierError>> {
        Box::pin(async { Err(NO_REGISTER) })
    }

    fn digilocker<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<DigiLocker, VerifierError>> {
        Box::pin(async { Err(NO_DIGILOCKER) })
    }
}
