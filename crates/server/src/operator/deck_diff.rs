//! What an import would change in a deck, price by price. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tandem_model::Rate;
use tandem_store::directory::RateRow;
use tandem_store::resources::deck::PrefixRate;

/// Changes named in one answer; the counts are of all.
const NAMED_MAX: usize = 2_000;

/// One prefix that does not stay as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    prefix: String,
    old: Option<Rate>,
    new: Option<Rate>,
}

/// The difference of two decks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Diff {
    changes: Vec<Change>,
    unchanged: usize,
}

impl Diff {
    /// What replacing `stored` by `wanted` changes, by prefix. Descriptions do not count: nobody pays them.
    pub(super) fn between(stored: &[RateRow], wanted: &[PrefixRate]) -> Self {
        let mut prefixes: BTreeMap<&str, (Option<Rate>, Option<Rate>)> = BTreeMap::new();
        for row in stored {
            prefixes.entry(&row.prefix).or_default().0 = Some(row.rate);
        }
        for row in wanted {
            prefixes.entry(&row.prefix).or_default().1 = Some(row.rate);
        }
        let mut diff = Self::default();
        for (prefix, (old, new)) in prefixes {
            if old == new {
                diff.unchanged += 1;
            } else {
                diff.changes.push(Change { prefix: prefix.to_owned(), old, new });
            }
        }
        diff
    }

    /// As the operator's API says it.
    pub(super) fn view(&self) -> Value {
        let count = |wanted: &str| self.changes.iter().filter(|change| change.word() == wanted).count();
        let named: Vec<Value> = self
            .changes
            .iter()
            .take(NAMED_MAX)
            .map(|change| {
                json!({
                    "change": change.word(), "prefix": change.prefix,
                    "old": change.old.map(price), "new": change.new.map(price),
                })
            })
            .collect();
        json!({
            "added": count("added"), "changed": count("changed"), "removed": count("removed"),
            "unchanged": self.unchanged, "changes": named, "more": self.changes.len().saturating_sub(NAMED_MAX),
        })
    }
}

impl Change {
    fn word(&self) -> &'static str {
        match (self.old, self.new) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(_), Some(_)) => "changed",
        }
    }
}

fn price(rate: Rate) -> Value {
    json!({
        "per_minute": rate.per_minute.to_fixed(6), "pulse": rate.pulse_s, "minimum": rate.minimum_s,
        "connection_fee": rate.connection_fee.to_fixed(6),
    })
}

#[cfg(test)]
mod tests {
    use tandem_model::Money;

    use super::*;

    fn rate(micros: i64) -> Rate {
        Rate { per_minute: Money::from_micros(micros), ..Rate::FREE }
    }

    fn stored(prefix: &str, micros: i64) -> RateRow {
        RateRow { deck_id: String::new(), prefix: prefix.to_owned(), rate: rate(micros) }
    }

    fn wanted(prefix: &str, micros: i64) -> PrefixRate {
        PrefixRate { prefix: prefix.to_owned(), description: "new words".to_owned(), rate: rate(micros) }
    }

    #[test]
    fn each_prefix_is_added_changed_removed_or_stays() {
        let diff = Diff::between(
            &[stored("91", 1), stored("44", 2), stored("1", 3)],
            &[wanted("91", 1), wanted("44", 5), wanted("33", 4)],
        );
        let view = diff.view();
        let counts = ["added", "changed", "removed", "unchanged", "more"].map(|name| view[name].as_u64());
        assert_eq!(counts, [Some(1), Some(1), Some(1), Some(1), Some(0)]);
        let told: Vec<_> = view["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| (change["change"].as_str().unwrap(), change["prefix"].as_str().unwrap()))
            .collect();
        assert_eq!(told, [("removed", "1"), ("added", "33"), ("changed", "44")]);
        assert_eq!(view["changes"][2]["old"]["per_minute"], "0.000002");
        assert_eq!(view["changes"][2]["new"]["per_minute"], "0.000005");
        assert_eq!(view["changes"][0]["new"], Value::Null);
    }

    #[test]
    fn a_long_list_is_cut_but_counted() {
        let many: Vec<PrefixRate> = (0..=NAMED_MAX).map(|n| wanted(&format!("9{n}"), 1)).collect();
        let view = Diff::between(&[], &many).view();
        assert_eq!(view["added"], NAMED_MAX + 1);
        assert_eq!((view["changes"].as_array().unwrap().len(), &view["more"]), (NAMED_MAX, &json!(1)));
    }
}
