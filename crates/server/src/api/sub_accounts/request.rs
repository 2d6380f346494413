//! What a body may say of a sub-account. Everything that is wrong with it is told at once, by field.

use serde_json::{Map, Value, json};
use tandem_store::resources::account::{Account, SubAccountChange};

use crate::api::account::profile_of;
use crate::api::lenient::{Fields, Given};
use crate::api::{ApiError, checks};
use crate::kyc::mode::KycMode;

/// Longest name, e-mail address, phone number; longest description.
const TEXT_MAX: usize = 200;
const DESCRIPTION_MAX: usize = 500;
/// `rate_limit` without one, and at most.
pub(super) const RATE_LIMIT: u64 = 1_000;
const RATE_LIMIT_MAX: u64 = 1_000_000;
const KYC_MODES: &[&str] = &["personal_use", "customer_use"];
/// Words of [`BusinessType`].
const BUSINESS_TYPES: &[&str] = &[
    "individual",
    "proprietorship",
    "private_limited",
    "llp",
    "partnership",
    "public_limited",
    "trust",
    "society",
    "huf",
    "government",
];

/// `permissions` as sent: a member that is not there is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Permissions {
    calls: Option<bool>,
    cdr: Option<bool>,
}

/// A change: what is absent stays.
pub(super) struct Change {
    name: Given<String>,
    email: Given<String>,
    phone: Given<String>,
    description: Given<String>,
    rate_limit: Given<u64>,
    permissions: Given<Permissions>,
    enabled: Given<bool>,
    kyc_mode: Given<&'static str>,
    business_type: Given<&'static str>,
}

/// A new sub-account.
pub(super) struct NewSub {
    pub(super) name: String,
    pub(super) email: Option<String>,
    pub(super) phone: String,
    pub(super) description: String,
    pub(super) enabled: bool,
    pub(super) profile: String,
    pub(super) password: Option<String>,
}

fn permissions(fields: &mut Fields) -> Given<Permissions> {
    let member = |object: &Map<String, Value>, name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(()),
    };
    fields.asked(&["permissions"]);
    let read = match fields.raw(&["permissions"]) {
        None => return Given::Absent,
        Some(Value::Null) => return Given::Null,
        Some(Value::Object(object)) => {
            member(object, "calls").and_then(|calls| Ok(Permissions { calls, cdr: member(object, "cdr")? }))
        }
        Some(_) => Err(()),
    };
    match read {
        Ok(permissions) => Given::Value(permissions),
        Err(()) => {
            fields.refuse("permissions", "Must be an object of calls and cdr, each true or false");
            Given::Absent
        }
    }
}

fn checked(
    fields: &mut Fields,
    name: &'static str,
    check: impl Fn(&str) -> Option<String>,
    remedy: &str,
) -> Given<String> {
    match fields.text(&[name], TEXT_MAX) {
        Given::Value(text) => match check(&text) {
            Some(value) => Given::Value(value),
            None => {
                fields.refuse(name, remedy);
                Given::Absent
            }
        },
        other => other,
    }
}

impl Change {
    /// Reads a body; what is wrong with it is answered by [`Self::read`] or [`NewSub::read`].
    fn of(fields: &mut Fields) -> Self {
        let email = |text: &str| checks::email("email", text).ok();
        let phone = |text: &str| checks::number("phone", text).ok().map(|number| number.plus());
        Self {
            name: fields.text(&["name"], TEXT_MAX),
            email: checked(fields, "email", email, "Must be an e-mail address"),
            phone: checked(fields, "phone", phone, "Must be a number in E.164, such as +919800000001"),
            description: fields.text(&["description"], DESCRIPTION_MAX),
            rate_limit: fields.number(&["rate_limit"], 1, RATE_LIMIT_MAX),
            permissions: permissions(fields),
            enabled: fields.flag(&["enabled", "is_active"]),
            kyc_mode: fields.word(&["kyc_mode"], KYC_MODES),
            business_type: fields.word(&["business_type"], BUSINESS_TYPES),
        }
    }

    /// A change of one that exists.
    pub(super) fn read(mut fields: Fields) -> Result<Self, ApiError> {
        let change = Self::of(&mut fields);
        if change.name == Given::Null {
            fields.refuse("name", "This field is required");
        }
        fields.check_known()?;
        fields.check()?;
        Ok(change)
    }

    /// The sub-account as it is to be, and the names of what changes.
    pub(super) fn on(&self, row: &Account) -> Result<(SubAccountChange, Vec<&'static str>), ApiError> {
        let mut profile = profile_of(row);
        let mut changed = SubAccountChange {
            name: row.name.clone(),
            email: Some(row.email.clone()).filter(|email| !email.is_empty()),
            phone: row.phone.clone(),
            description: row.description.clone(),
            enabled: row.enabled,
            profile: String::new(),
        };
        let mut fields = self.profile(&mut profile);
        let mut note = |name: &'static str, differs: bool| fields.extend(differs.then_some(name));
        note("name", self.name.clone().put(&mut changed.name));
        note("email", self.email.clone().put_optional(&mut changed.email));
        note("phone", or_empty(&self.phone).put(&mut changed.phone));
        note("description", or_empty(&self.description).put(&mut changed.description));
        note("enabled", self.enabled.clone().put(&mut changed.enabled));
        changed.profile = Value::Object(profile).to_string();
        needs_email(&changed.profile, changed.email.as_ref())?;
        Ok((changed, fields))
    }

    /// Writes into a profile what lives there, and says what differs.
    fn profile(&self, profile: &mut Map<String, Value>) -> Vec<&'static str> {
        let before = profile.clone();
        match &self.permissions {
            Given::Absent => {}
            Given::Null => {
                profile.remove("permissions");
            }
            Given::Value(sent) => {
                let was = |name: &str| profile.get("permissions").and_then(|was| was.get(name)?.as_bool());
                let calls = sent.calls.or(was("calls")).unwrap_or_default();
                let cdr = sent.cdr.or(was("cdr")).unwrap_or_default();
                profile.insert("permissions".to_owned(), json!({ "calls": calls, "cdr": cdr }));
            }
        }
        if let Given::Value(limit) = self.rate_limit {
            profile.insert("rate_limit".to_owned(), limit.into());
        }
        for (name, word) in [("kyc_mode", &self.kyc_mode), ("business_type", &self.business_type)] {
            if let Given::Value(word) = word {
                profile.insert(name.to_owned(), (*word).into());
            }
        }
        let names = ["permissions", "rate_limit", "kyc_mode", "business_type"];
        names.into_iter().filter(|name| before.get(*name) != profile.get(*name)).collect()
    }
}

/// Null empties a text that is always there.
fn or_empty(given: &Given<String>) -> Given<String> {
    match given {
        Given::Null => Given::Value(String::new()),
        other => other.clone(),
    }
}

/// A customer of the account is written to: without an address there is nobody to ask for documents.
fn needs_email(profile: &str, email: Option<&String>) -> Result<(), ApiError> {
    if KycMode::of_profile(profile) == KycMode::CustomerUse && email.is_none() {
        return Err(ApiError::field("email", "is required when kyc_mode is customer_use"));
    }
    Ok(())
}

impl NewSub {
    /// Reads the body of a creation.
    pub(super) fn read(mut fields: Fields) -> Result<Self, ApiError> {
        let change = Change::of(&mut fields);
        let name = fields.required(&["name"], TEXT_MAX);
        let password = fields.raw(&["password"]).cloned().unwrap_or_default();
        if !matches!(password, Value::Null | Value::String(_)) {
            fields.refuse("password", "Must be text");
        }
        fields.check()?;
        let password = password.as_str().filter(|password| !password.is_empty()).map(str::to_owned);
        if let Some(password) = &password {
            checks::password("password", password)?;
        }
        let mut profile = Map::new();
        profile.insert("rate_limit".to_owned(), RATE_LIMIT.into());
        profile.insert("kyc_mode".to_owned(), KycMode::PersonalUse.as_str().into());
        change.profile(&mut profile);
        let profile = Value::Object(profile).to_string();
        let email = change.email.value();
        needs_email(&profile, email.as_ref())?;
        Ok(Self {
            name,
            email,
            phone: change.phone.value().unwrap_or_default(),
            description: change.description.value().unwrap_or_default(),
            enabled: change.enabled.value().unwrap_or(true),
            profile,
            password,
        })
    }
}

#[cfg(test)]
mod tests {
    use tandem_model::kyc::BusinessType;

    use super::*;

    #[test]
    fn the_words_are_those_of_the_model() {
        assert!(BUSINESS_TYPES.iter().all(|word| BusinessType::parse(word).is_some()));
        assert_eq!(KYC_MODES[1], KycMode::CustomerUse.as_str());
    }
}
