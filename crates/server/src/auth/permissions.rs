//! What a sub-account may do with its own credentials: its main account's grant, in its profile. Without one it may do all.

use serde_json::Value;
use tandem_model::ErrorCode;

use super::{Caller, CallerKind};
use crate::api::ApiError;

/// A grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permissions {
    /// Make, read and steer calls; over SIP too.
    pub(crate) calls: bool,
    /// Read call records and recordings.
    pub(crate) cdr: bool,
}

impl Permissions {
    /// Everything.
    pub(crate) const ALL: Self = Self { calls: true, cdr: true };

    /// Of an account of that kind with that profile (JSON).
    pub(crate) fn of(kind: &str, profile: &str) -> Self {
        if kind != "sub" {
            return Self::ALL;
        }
        let profile: Value = serde_json::from_str(profile).unwrap_or_default();
        match profile.get("permissions") {
            Some(Value::Object(granted)) => {
                let may = |name: &str| granted.get(name).and_then(Value::as_bool).unwrap_or_default();
                Self { calls: may("calls"), cdr: may("cdr") }
            }
            _ => Self::ALL,
        }
    }
}

/// Refuses a sub-account what its main account did not grant. `pattern` is the route's, below the account.
pub(super) fn check(caller: &Caller, pattern: &str) -> Result<(), ApiError> {
    let granted = caller.account.permissions;
    let missing = match pattern.split('/').next().unwrap_or_default() {
        "Call" if !granted.calls => "calls",
        "cdr" | "Recording" | "export" if !granted.cdr => "cdr",
        _ => return Ok(()),
    };
    if caller.kind != CallerKind::Sub {
        return Ok(());
    }
    let words = format!("This sub-account has no permission for {missing}");
    Err(ApiError::because(ErrorCode::PermissionMissing, words)
        .details(serde_json::json!({ "permissions": { missing: false } })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_that_is_not_said_is_none_and_no_grant_at_all_is_everything() {
        assert_eq!(Permissions::of("sub", "{}"), Permissions::ALL);
        assert_eq!(Permissions::of("sub", r#"{"permissions":null}"#), Permissions::ALL);
        let calls = Permissions::of("sub", r#"{"permissions":{"calls":true}}"#);
        assert_eq!(calls, Permissions { calls: true, cdr: false });
        assert_eq!(Permissions::of("master", r#"{"permissions":{}}"#), Permissions::ALL);
    }
}
