//! `limit` and `offset` lists (REST reference §1.3): Plivo's, and those of the trunk family. Absent or
//! senseless values fall back to the default; a window beyond the end is empty.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Dialect;

/// Rows of a window when the request does not say, and at most; more are cut to it.
const LIMIT_DEFAULT: u32 = 20;
const LIMIT_MAX: u64 = 100;

/// `limit` and `offset` as written.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct WindowQuery {
    limit: Option<String>,
    offset: Option<String>,
}

/// A window on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) limit: u32,
    pub(super) offset: u64,
}

impl WindowQuery {
    /// What was asked for, within bounds.
    pub(super) fn window(&self) -> Window {
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.trim().parse::<u64>().ok());
        let limit = number(&self.limit).filter(|limit| *limit > 0);
        Window {
            limit: limit.map_or(LIMIT_DEFAULT, |limit| limit.min(LIMIT_MAX) as u32),
            offset: number(&self.offset).unwrap_or_default().min(u64::from(u32::MAX)),
        }
    }
}

impl Window {
    /// Plivo's `meta`. `path` is relative and has no `/api` prefix, such as `/v1/Account/MA_X/Application/`.
    /// `next` on the last page is `""`: a null breaks the Python SDK.
    pub(super) fn plivo_meta(self, path: &str, total: u64) -> Value {
        let link = |offset: u64| format!("{path}?limit={}&offset={offset}", self.limit);
        let after = self.offset + u64::from(self.limit);
        let next = if after < total { link(after) } else { String::new() };
        let previous = (self.offset > 0).then(|| link(self.offset.saturating_sub(u64::from(self.limit))));
        json!({
            "limit": self.limit, "next": next, "offset": self.offset, "previous": previous, "total_count": total,
        })
    }

    /// `meta` of trunks and what hangs on them: `total`, and for all but the typed Python client `total_count`,
    /// which the older documentation prints.
    pub(super) fn trunk_meta(self, total: u64, dialect: Dialect) -> Value {
        let mut meta = json!({ "limit": self.limit, "offset": self.offset, "total": total });
        if dialect != Dialect::FernPython {
            meta["total_count"] = total.into();
        }
        meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(limit: &str, offset: &str) -> Window {
        WindowQuery { limit: Some(limit.to_owned()), offset: Some(offset.to_owned()) }.window()
    }

    #[test]
    fn a_window_is_cut_at_a_hundred_and_nonsense_counts_as_absent() {
        assert_eq!(window("100", "5"), Window { limit: 100, offset: 5 });
        assert_eq!(window("101", "0").limit, 100);
        assert_eq!(window("x", "-1"), Window { limit: 20, offset: 0 });
        assert_eq!(window("0", "").limit, 20);
    }

    #[test]
    fn links_lead_to_windows_that_exist() {
        let meta = window("20", "20").plivo_meta("/v1/x/", 41);
        assert_eq!(
            (&meta["next"], &meta["previous"]),
            (&json!("/v1/x/?limit=20&offset=40"), &json!("/v1/x/?limit=20&offset=0"))
        );
        let last = window("20", "0").plivo_meta("/v1/x/", 20);
        assert_eq!((&last["next"], &last["previous"]), (&json!(""), &Value::Null));
        assert!(window("1", "0").trunk_meta(1, Dialect::FernPython).get("total_count").is_none());
        assert_eq!(window("1", "0").trunk_meta(1, Dialect::Fern)["total_count"], 1);
    }
}
