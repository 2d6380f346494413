//! Verifies nothing real: findings follow from what is shown, so that every way a session can go can be walked. Test
//! mode takes the contract's magic words; elsewhere the four digits of the PAN decide: 0001 is refused, 0002 waits and is
//! then verified, 0003 waits and is then refused, 0004 breaks the verifier, any other is verified. A GSTIN's thirteenth
//! character does the same: 9 is refused, 8 waits and is then verified.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tandem_model::entropy;
use tandem_model::kyc::{Document, Pan, parse_gstin};

use super::{Company, DigiLocker, Finding, KycVerifier, Showing, VerifierError};

/// How long a document waits for its verdict.
const WAIT: Duration = Duration::from_secs(20);
/// Visits remembered; the oldest are forgotten and must begin anew.
const VISITS_MAX: usize = 10_000;

/// What the person said at the pretended DigiLocker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Nothing yet.
    Asked,
    /// Share it.
    Given,
    /// Do not.
    Denied,
}

#[derive(Clone, Debug)]
struct Asked {
    consent: Consent,
    return_url: String,
    state: String,
}

/// The pretended register.
pub(crate) struct Sandbox {
    public_url: String,
    visits: Mutex<(Vec<String>, HashMap<String, Asked>)>,
}

impl Sandbox {
    /// One whose pretended DigiLocker stands below `public_url`.
    pub(crate) fn new(public_url: &str) -> Self {
        Self { public_url: public_url.trim_end_matches('/').to_owned(), visits: Mutex::default() }
    }

    /// Whether a visit is under way.
    pub(crate) fn knows(&self, request: &str) -> bool {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).1.contains_key(request)
    }

    /// Notes what the person said; where the browser goes then.
    pub(crate) fn answer(&self, request: &str, consent: Consent) -> Option<String> {
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = visits.1.get_mut(request)?;
        asked.consent = consent;
        let mut url = url::Url::parse(&asked.return_url).ok()?;
        let word = if consent == Consent::Given { "granted" } else { "denied" };
        url.query_pairs_mut()
            .append_pair("access_request_id", request)
            .append_pair("state", &asked.state)
            .append_pair("status", word);
        Some(url.into())
    }

    fn consent(&self, request: &str) -> Consent {
        let visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        visits.1.get(request).map_or(Consent::Asked, |asked| asked.consent)
    }

    fn look(&self, showing: &Showing) -> Result<Finding, VerifierError> {
        if let Some(finding) = showing.mock.then(|| magic(showing)).flatten() {
            return finding;
        }
        let found = |value: Value| match value {
            Value::Object(found) => Ok(Finding::Verified(found)),
            _ => Ok(Finding::Verified(Map::new())),
        };
        let failed = |reason: &str| Ok(Finding::Failed(reason.to_owned()));
        match showing.document {
            Document::Pan => {
                let Some(pan) = Pan::parse(showing.field("pan")) else {
                    return failed("The PAN is not well-formed.");
                };
                let name = [showing.field("name"), showing.field("entity_name")].join("").to_uppercase();
                match pan.reveal().get(5..9).unwrap_or_default() {
                    "0001" => failed("No such PAN is known."),
                    "0002" => Ok(later("verified")),
                    "0003" => Ok(later("failed")),
                    "0004" => Err(VerifierError::Unavailable("the sandbox was asked to fail".to_owned())),
                    _ => found(json!({"pan_name_match": true, "pan_registered_name": name})),
                }
            }
            Document::Gst => {
                let gstin = match parse_gstin(showing.field("gstin")) {
                    Some(gstin) => gstin,
                    None if showing.mock && showing.field("gstin").len() == 15 => {
                        "000000000000100".to_owned()
                    }
                    None => return failed("The GSTIN is not well-formed."),
                };
                match gstin.as_bytes().get(12) {
                    Some(b'9') => failed("No such GSTIN is known."),
                    Some(b'8') => Ok(later("verified")),
                    _ => found(json!({"gst_status": "Active",
                        "gst_legal_name": showing.field("entity_name").to_uppercase()})),
                }
            }
            Document::Cin => {
                let known = companies(showing.field("company_name"));
                match known.into_iter().find(|company| company.cin == showing.field("cin")) {
                    Some(company) => found(json!({"company_name": company.company_name})),
                    None => failed("The register has no such company under that name."),
                }
            }
            Document::Aadhaar => match self.consent(showing.field("access_request_id")) {
                Consent::Given => found(json!({
                    "aadhaar_name": showing.field("name"), "aadhaar_dob": showing.field("birth_date"),
                    "masked_aadhaar": "XXXXXXXX7058", "gender": "X", "address": "Sandbox Street 1, Pune 411001",
                })),
                Consent::Denied => failed("DigiLocker was not allowed to share the document."),
                Consent::Asked => failed("DigiLocker has not been visited."),
            },
        }
    }
}

fn later(outcome: &str) -> Finding {
    Finding::Pending { reference: Some(format!("sandbox:{outcome}")), after: WAIT }
}

/// The contract's magic words, which may be longer than they are written: a GSTIN must have fifteen characters.
fn magic(showing: &Showing) -> Option<Result<Finding, VerifierError>> {
    let names = ["pan", "gstin", "cin", "company_name", "access_request_id"];
    let word = names
        .iter()
        .map(|name| showing.field(name))
        .find(|text| text.starts_with("TEST") || text.starts_with("MOCK_AR_"))?;
    let failed = || Ok(Finding::Failed("The test input says so.".to_owned()));
    Some(match word {
        "MOCK_AR_SUCCESS" => Ok(Finding::Verified(Map::new())),
        "MOCK_AR_FAIL" => failed(),
        _ if word.starts_with("TESTSUCCESS") => Ok(Finding::Verified(Map::new())),
        _ if word.starts_with("TESTFAIL") => failed(),
        _ if word.starts_with("TESTERROR") => {
            Err(VerifierError::Unavailable("the test input says so".to_owned()))
        }
        _ if word.starts_with("TESTPENDING_F") || word.starts_with("TESTPENDINGF") => Ok(later("failed")),
        _ if word.starts_with("TESTPENDING") => Ok(later("verified")),
        _ => return None,
    })
}

/// Two companies for any name, always the same two.
fn companies(name: &str) -> Vec<Company> {
    let name = name.trim().to_uppercase();
    if name.is_empty() || name.starts_with("TESTFAIL") {
        return Vec::new();
    }
    let digest = Sha256::digest(name.as_bytes());
    let number = |index: usize| {
        digest.iter().skip(index).take(3).fold(0_u32, |sum, byte| sum * 256 + u32::from(*byte))
    };
    [("PTC", "PRIVATE LIMITED"), ("PLC", "LIMITED")]
        .iter()
        .enumerate()
        .map(|(index, (class, ending))| Company {
            cin: format!("U72900KA2015{class}{:06}", number(index * 3) % 1_000_000),
            company_name: format!("{name} {ending}"),
        })
        .collect()
}

impl KycVerifier for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn visits_digilocker(&self) -> bool {
        true
    }

    fn show<'a>(&'a self, showing: &'a Showing) -> BoxFuture<'a, Result<Finding, VerifierError>> {
        Box::pin(async move { self.look(showing) })
    }

    fn ask<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Finding, VerifierError>> {
        Box::pin(async move {
            Ok(match reference {
                "sandbox:verified" => Finding::Verified(Map::new()),
                _ => Finding::Failed("The sandbox refuses it.".to_owned()),
            })
        })
    }

    fn companies<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Company>, VerifierError>> {
        Box::pin(async move {
            if name.starts_with("TESTERROR") {
                return Err(VerifierError::Unavailable("the test input says so".to_owned()));
            }
            Ok(companies(name))
        })
    }

    fn digilocker<'a>(
        &'a self,
        return_url: &'a str,
        state: &'a str,
    ) -> BoxFuture<'a, Result<DigiLocker, VerifierError>> {
        Box::pin(async move {
            let request = format!("AR_{}", hex::encode(entropy::bytes::<16>()));
            let asked =
                Asked { consent: Consent::Asked, return_url: return_url.to_owned(), state: state.to_owned() };
            let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
            let (order, asked_of) = &mut *visits;
            if order.len() >= VISITS_MAX {
                let oldest = order.remove(0);
                asked_of.remove(&oldest);
            }
            order.push(request.clone());
            asked_of.insert(request.clone(), asked);
            let auth_url = format!("{}/verify/sandbox/digilocker?request={request}", self.public_url);
            Ok(DigiLocker { auth_url, access_request_id: request })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn showing(document: Document, mock: bool, fields: &[(&str, &str)]) -> Showing {
        let fields: BTreeMap<_, _> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Showing { check: "c".to_owned(), document, fields, mock }
    }

    #[test]
    fn the_magic_words_count_in_test_mode_only() {
        let sandbox = Sandbox::new("http://h");
        let look = |word: &str| sandbox.look(&showing(Document::Pan, true, &[("pan", word)]));
        assert!(matches!(look("TESTSUCCESS0001"), Ok(Finding::Verified(_))));
        assert!(matches!(look("TESTFAIL0001"), Ok(Finding::Failed(_))));
        assert!(matches!(look("TESTERROR0001"), Err(VerifierError::Unavailable(_))));
        assert_eq!(look("TESTPENDING001"), Ok(later("verified")));
        assert_eq!(look("TESTPENDING_FAIL"), Ok(later("failed")));
        let real = sandbox.look(&showing(Document::Pan, false, &[("pan", "TESTSUCCESS0001")]));
        assert!(matches!(real, Ok(Finding::Failed(_))));
    }

    #[tokio::test]
    async fn a_visit_counts_once_somebody_said_yes() {
        let sandbox = Sandbox::new("http://h/");
        let visit = sandbox.digilocker("https://c.example/back?a=1", "s1").await.unwrap();
        let shown = showing(Document::Aadhaar, false, &[("access_request_id", &visit.access_request_id)]);
        assert!(matches!(sandbox.look(&shown), Ok(Finding::Failed(_))));
        let back = sandbox.answer(&visit.access_request_id, Consent::Given).unwrap();
        assert!(back.starts_with("https://c.example/back?a=1&access_request_id=AR_"), "{back}");
        assert!(back.ends_with("&state=s1&status=granted"), "{back}");
        assert!(matches!(sandbox.look(&shown), Ok(Finding::Verified(_))));
        assert!(sandbox.answer("AR_other", Consent::Given).is_none());
    }

    #[test]
    fn a_company_is_confirmed_by_the_number_the_search_gave() {
        let sandbox = Sandbox::new("http://h");
        let cin = companies("Acme")[0].cin.clone();
        let shown = |cin: &str| {
            sandbox.look(&showing(Document::Cin, false, &[("company_name", "acme"), ("cin", cin)]))
        };
        assert!(matches!(shown(&cin), Ok(Finding::Verified(_))));
        assert!(matches!(shown("U00000KA2015PTC000000"), Ok(Finding::Failed(_))));
    }
}
