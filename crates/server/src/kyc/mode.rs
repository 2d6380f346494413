//! What an account's profile says about KYC: whose use it is for, and what kind of business it is. The one place that
//! reads these two fields; whoever creates or changes sub-accounts writes them.

use serde_json::Value;
use tandem_model::kyc::BusinessType;

/// Whom a sub-account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KycMode {
    /// Its parent's own use: the parent's KYC is enough.
    PersonalUse,
    /// A customer of the parent: no calls before its own documents are verified.
    CustomerUse,
}

impl KycMode {
    /// The word of the contract.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::PersonalUse => "personal_use",
            Self::CustomerUse => "customer_use",
        }
    }

    /// From an account's profile (JSON): `kyc_mode`.
    pub(crate) fn of_profile(profile: &str) -> Self {
        match field(profile, "kyc_mode").as_deref() {
            Some("customer_use") => Self::CustomerUse,
            _ => Self::PersonalUse,
        }
    }
}

/// `business_type` of a profile; a person unless it says otherwise.
pub(crate) fn business_type(profile: &str) -> BusinessType {
    field(profile, "business_type")
        .and_then(|word| BusinessType::parse(&word))
        .unwrap_or(BusinessType::Individual)
}

/// Whether a KYC status lets calls through.
pub(crate) fn is_complete(kyc_status: &str) -> bool {
    matches!(kyc_status, "completed" | "verified")
}

/// Whether a sub-account is for a customer whose documents are not verified.
pub(crate) fn blocks_calls(kind: &str, profile: &str, kyc_status: &str) -> bool {
    kind == "sub" && !is_complete(kyc_status) && KycMode::of_profile(profile) == KycMode::CustomerUse
}

/// Whether an account's own KYC is still to come. A sub-account for its parent's use has none of its own.
pub(crate) fn is_pending(kind: &str, profile: &str, kyc_status: &str) -> bool {
    let none_of_its_own = kind == "sub" && KycMode::of_profile(profile) == KycMode::PersonalUse;
    !none_of_its_own && !is_complete(kyc_status)
}

fn field(profile: &str, name: &str) -> Option<String> {
    let profile: Value = serde_json::from_str(profile).ok()?;
    profile.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_customers_sub_account_waits_for_documents_of_its_own() {
        let customer = r#"{"kyc_mode":"customer_use","business_type":"llp"}"#;
        assert!(blocks_calls("sub", customer, "pending") && blocks_calls("sub", customer, "failed"));
        assert!(!blocks_calls("sub", customer, "completed"));
        assert!(!blocks_calls("sub", "{}", "pending") && !blocks_calls("master", customer, "pending"));
        assert!(!is_pending("sub", "{}", "pending") && is_pending("master", "{}", "pending"));
        assert_eq!(business_type(customer), BusinessType::Llp);
        assert_eq!(business_type("nonsense"), BusinessType::Individual);
    }
}
