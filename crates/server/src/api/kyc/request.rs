//! What a session is asked for with, checked field by field: 422 names the first that is wrong.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::kyc::holds_aadhaar;
use tandem_model::{AccountId, ErrorCode};
use tandem_store::audit::Actor;

use super::http_error;
use crate::api::{ApiError, AppState, checks};
use crate::egress::EgressTarget;
use crate::kyc::{NewRequest, Private};

/// Days that a link may work.
const DAYS: std::ops::RangeInclusive<i64> = 1..=90;
const DAYS_DEFAULT: i64 = 7;
/// Longest URL.
const URL_MAX: usize = 2_048;
/// Most reminders of a session.
const REMINDERS_MAX: usize = 10;
/// Largest metadata, as JSON.
const METADATA_BYTES_MAX: usize = 4_096;

/// A session as it is asked for. Unknown fields are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SessionBody {
    pub(super) account_auth_id: Option<String>,
    flow_type: Option<String>,
    customer_email: Option<String>,
    redirect_url: Option<String>,
    webhook_url: Option<String>,
    expires_in_days: Value,
    reminder_schedule: Value,
    metadata: Value,
}

/// 422, as this family answers what is wrong.
pub(super) fn wrong(field: &str, remedy: &str) -> ApiError {
    ApiError::field(field, remedy).status(StatusCode::UNPROCESSABLE_ENTITY)
}

fn unprocessable(error: ApiError) -> ApiError {
    error.status(StatusCode::UNPROCESSABLE_ENTITY)
}

fn url(field: &str, value: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(text) = value.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.len() > URL_MAX || EgressTarget::parse(text).is_err() {
        return Err(wrong(field, "is an absolute http:// or https:// URL of at most 2048 characters"));
    }
    Ok(Some(text.to_owned()))
}

fn days(value: &Value) -> Result<i64, ApiError> {
    match value {
        Value::Null => Ok(DAYS_DEFAULT),
        value => value
            .as_i64()
            .filter(|days| DAYS.contains(days))
            .ok_or_else(|| wrong("expires_in_days", "is a whole number of days from 1 to 90")),
    }
}

/// Days before the end, and the schedule as it is shown again.
fn reminders(value: &Value, days: i64) -> Result<(Vec<i64>, Value), ApiError> {
    let remedy = "is a list of at most 10 entries {\"trigger\": \"days_before_expiry\", \"value\": days}, days from 0 to expires_in_days";
    let refused = || wrong("reminder_schedule", remedy);
    let entries = match value {
        Value::Null => return Ok((Vec::new(), json!([]))),
        Value::Array(entries) if entries.len() <= REMINDERS_MAX => entries,
        _ => return Err(refused()),
    };
    let mut before = Vec::new();
    for entry in entries {
        let known = entry["trigger"] == "days_before_expiry";
        let value = entry["value"].as_i64().filter(|value| known && (0..=days).contains(value));
        before.push(value.ok_or_else(refused)?);
    }
    let shown = before.iter().map(|days| json!({"trigger": "days_before_expiry", "value": days})).collect();
    Ok((before, Value::Array(shown)))
}

/// Whether a text or number anywhere in it could be a full Aadhaar number. A mobile number with its country code has twelve
/// digits too, and is let through.
fn tells_aadhaar(value: &Value) -> bool {
    let tells = |text: &str| {
        let digits = text.trim().trim_start_matches('+');
        let is_mobile = digits.len() == 12
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && digits.starts_with("91")
            && digits.as_bytes().get(2).is_some_and(|digit| *digit >= b'6');
        !is_mobile && holds_aadhaar(text)
    };
    match value {
        Value::String(text) => tells(text),
        Value::Number(number) => tells(&number.to_string()),
        Value::Array(values) => values.iter().any(tells_aadhaar),
        Value::Object(values) => values.iter().any(|(name, value)| tells(name) || tells_aadhaar(value)),
        Value::Null | Value::Bool(_) => false,
    }
}

impl SessionBody {
    /// The request about `account`, on behalf of `owner`.
    pub(super) fn checked(
        self,
        state: &AppState,
        owner: AccountId,
        account: AccountId,
        request_key: Option<String>,
        actor: Actor,
    ) -> Result<NewRequest, ApiError> {
        let by_mail = match self.flow_type.as_deref().unwrap_or("email") {
            "email" => true,
            "redirect" => false,
            _ => return Err(wrong("flow_type", "is email or redirect")),
        };
        let mut private =
            Private { webhook_url: url("webhook_url", self.webhook_url.as_deref())?, ..Private::default() };
        if by_mail {
            let given =
                checks::text("customer_email", self.customer_email.as_deref(), 254).map_err(unprocessable)?;
            private.customer_email = Some(checks::email("customer_email", &given).map_err(unprocessable)?);
        }
        if let Some(given) =
            self.customer_email.as_deref().filter(|given| !by_mail && !given.trim().is_empty())
        {
            // Not used and not kept; still no reason to take nonsense.
            checks::email("customer_email", given).map_err(unprocessable)?;
        }
        private.redirect_url = url("redirect_url", self.redirect_url.as_deref())?;
        if !by_mail && private.redirect_url.is_none() {
            return Err(wrong("redirect_url", "is required for the redirect flow"));
        }
        let days = days(&self.expires_in_days)?;
        let (reminders, reminder_schedule) = reminders(&self.reminder_schedule, days)?;
        private.metadata = match self.metadata {
            Value::Null => None,
            Value::Object(metadata) => {
                let metadata = Value::Object(metadata);
                let text = metadata.to_string();
                if text.len() > METADATA_BYTES_MAX {
                    return Err(wrong("metadata", "is an object of at most 4096 bytes"));
                }
                if tells_aadhaar(&metadata) {
                    return Err(wrong("metadata", "must not hold an Aadhaar number"));
                }
                Some(metadata)
            }
            _ => return Err(wrong("metadata", "is an object")),
        };
        if by_mail && state.kyc.post.is_none() {
            let words = "This server sends no e-mail: its operator sets mail.smtp_url and mail.from. The redirect flow works.";
            return Err(http_error(ErrorCode::MailNotConfigured, words));
        }
        Ok(NewRequest {
            owner,
            account,
            by_mail,
            private,
            days,
            reminder_schedule,
            reminders,
            request_key,
            actor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aadhaar_number_is_found_anywhere_and_a_mobile_number_is_none() {
        for value in
            [json!({"a": ["9999 4105 7058"]}), json!({"999941057058": 1}), json!({"a": 999_941_057_058_u64})]
        {
            assert!(tells_aadhaar(&value), "{value}");
        }
        // One of ten has a good check digit.
        let mobile = (0..10).map(|last| format!("91981234567{last}"));
        assert!(mobile.clone().any(|number| holds_aadhaar(&number)));
        for number in mobile {
            assert!(!tells_aadhaar(&json!({"phone": number, "plus": format!("+{number}")})), "{number}");
        }
    }

    #[test]
    fn days_and_reminders_are_bounded() {
        assert_eq!(days(&Value::Null).unwrap(), 7);
        assert_eq!((days(&json!(1)).unwrap(), days(&json!(90)).unwrap()), (1, 90));
        for value in [json!(0), json!(91), json!("7"), json!(1.5), json!(true)] {
            assert!(days(&value).is_err(), "{value}");
        }
        let entry = |value: Value| json!({"trigger": "days_before_expiry", "value": value});
        assert_eq!(reminders(&json!([entry(json!(7)), entry(json!(0))]), 7).unwrap().0, [7, 0]);
        for value in [
            json!({}),
            json!([entry(json!(8))]),
            json!([entry(json!(-1))]),
            json!([{"value": 1}]),
            json!([1]),
        ] {
            assert!(reminders(&value, 7).is_err(), "{value}");
        }
        let many = |count: usize| Value::Array(vec![entry(json!(1)); count]);
        assert!(reminders(&many(10), 7).is_ok() && reminders(&many(11), 7).is_err());
    }
}
