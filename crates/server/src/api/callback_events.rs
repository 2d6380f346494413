//! Lists of the events of calls that somebody wants to hear of, as accounts, applications and trunks take them: names in any
//! case, the older ones too. They are kept and shown by their newer names, in one order.

use serde_json::Value;
use tandem_model::{CallbackEvent, CallbackEvents};

use super::lenient::{Fields, Given};

/// Entries of one list at most; every name there is fits in twice.
const ENTRIES_MAX: usize = 16;
/// How much of a wrong name is said again.
const SHOWN: usize = 40;

/// The list sent as `name`; null is an empty one, which means all.
pub(super) fn events(fields: &mut Fields, name: &'static str) -> Given<CallbackEvents> {
    fields.asked(&[name]);
    let read = match fields.raw(&[name]) {
        None => return Given::Absent,
        Some(Value::Null) => return Given::Value(CallbackEvents::ALL),
        Some(Value::Array(entries)) if entries.len() > ENTRIES_MAX => {
            Err(format!("At most {ENTRIES_MAX} names"))
        }
        Some(Value::Array(entries)) => entries.iter().map(event).collect(),
        Some(_) => Err("Must be a list of names of events".to_owned()),
    };
    match read {
        Ok(events) => Given::Value(events),
        Err(why) => {
            fields.refuse(name, why);
            Given::Absent
        }
    }
}

fn event(entry: &Value) -> Result<CallbackEvent, String> {
    let Value::String(text) = entry else { return Err("Must be a list of names of events".to_owned()) };
    CallbackEvent::parse(text).ok_or_else(|| {
        let wrong: String = text.chars().take(SHOWN).collect();
        format!("There is no event {wrong:?}; there are {}", known())
    })
}

/// Every name, newer ones first.
fn known() -> String {
    let newer = CallbackEvent::ALL.into_iter().map(CallbackEvent::name);
    let older = CallbackEvent::ALL.into_iter().filter_map(CallbackEvent::older_name);
    newer.chain(older).collect::<Vec<_>>().join(", ")
}

/// For what shows a list only when it leaves something out: the typed clients know of none.
pub(super) fn shown(events: CallbackEvents) -> Option<Vec<&'static str>> {
    (!events.is_all()).then(|| events.names())
}
