//! One telephone: whether it calls or is called, and what it must see at the end.

use std::net::SocketAddr;
use std::time::Duration;

use super::fields::Fields;
use super::{address, not_empty, steps};
use crate::problem::Problem;
use crate::script::{
    Answering, Awaited, Codec, Credentials, Deed, Dialling, EndedBy, Ending, Party, Registering, Role, Step,
};
use crate::table::{ENDING, PARTY, REGISTER};
use crate::values;
use crate::yaml::{Key, Node};

/// Who calls, unless told.
const FROM: &str = "+919812345678";
/// Rings for so long, unless told.
const RING_LIMIT: Duration = Duration::from_mins(1);
/// A party that answers waits so long, unless told.
const CALLED_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn party(name: &Key, node: &Node, listen: SocketAddr) -> Result<Party, Problem> {
    let fields = Fields::of(node, &PARTY)?;
    let role = role(&fields)?;
    let steps = match fields.node("steps") {
        Some(node) => steps::steps(node)?,
        None => Vec::new(),
    };
    check_order(&role, &steps, name)?;
    let expect = match fields.node("expect") {
        Some(node) => ending(node)?,
        None => Ending { place: name.place, ..Ending::default() },
    };
    Ok(Party {
        name: name.text.clone(),
        place: name.place,
        role,
        listen: fields.read("listen", address)?.unwrap_or(listen),
        codec: fields.read("codec", codec)?,
        steps,
        expect,
    })
}

fn role(fields: &Fields<'_>) -> Result<Role, Problem> {
    let register = fields.node("register").map(registering).transpose()?;
    if fields.node("dial").is_some() {
        for name in ["answer", "within"] {
            fields.refuse(name, "a party that dials is not called")?;
        }
        if register.is_some() {
            let why = "a party that dials shows `user` and `password` at its call; it needs no registration";
            return Err(fields.problem("register", why));
        }
        return dialling(fields).map(Role::Dials);
    }
    if fields.node("answer").is_none() && register.is_none() {
        let message = "a party needs `dial` (it calls), `answer` or `register` (it is called)";
        return Err(Problem::new(fields.place, message));
    }
    for name in ["from", "user", "password", "host", "headers", "ring_limit", "after"] {
        fields.refuse(name, "only a party that dials has it")?;
    }
    let number = match (fields.read("answer", not_empty)?, &register) {
        (Some(any), None) if any == "any" => None,
        (Some(number), None) => Some(number),
        (Some(_), Some(_)) => {
            return Err(fields.problem("answer", "a registered party answers for its user"));
        }
        (None, register) => register.as_ref().map(|register| register.credentials.user.clone()),
    };
    Ok(Role::Answers(Answering { number, register, within: fields.time("within", CALLED_WITHIN)? }))
}

fn dialling(fields: &Fields<'_>) -> Result<Dialling, Problem> {
    let credentials = credentials(fields)?;
    let from = fields.read("from", not_empty)?;
    let from = from.or_else(|| credentials.as_ref().map(|known| known.user.clone()));
    Ok(Dialling {
        to: fields.required("dial", not_empty)?,
        from: from.unwrap_or_else(|| FROM.to_owned()),
        host: fields.read("host", not_empty)?,
        credentials,
        headers: fields.pairs("headers")?,
        ring_limit: fields.time("ring_limit", RING_LIMIT)?,
        after: fields.time("after", Duration::ZERO)?,
    })
}

/// `user` and `password`: both or neither.
pub(super) fn credentials(fields: &Fields<'_>) -> Result<Option<Credentials>, Problem> {
    match (fields.read("user", not_empty)?, fields.text("password")?) {
        (Some(user), Some(password)) => Ok(Some(Credentials { user, password })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Problem::new(fields.place_of("user"), "`user` needs its `password`")),
        (None, Some(_)) => Err(Problem::new(fields.place_of("password"), "`password` needs its `user`")),
    }
}

fn registering(node: &Node) -> Result<Registering, Problem> {
    let fields = Fields::of(node, &REGISTER)?;
    let credentials = credentials(&fields)?
        .ok_or_else(|| Problem::new(node.place, "`register` needs `user` and `password`"))?;
    Ok(Registering { credentials, host: fields.read("host", not_empty)? })
}

fn ending(node: &Node) -> Result<Ending, Problem> {
    let fields = Fields::of(node, &ENDING)?;
    Ok(Ending {
        place: node.place,
        status: fields.read("status", sip_status)?,
        cause: fields.read("cause", q850)?,
        ended_by: fields.read("ended_by", ended_by)?,
        answered: fields.read("answered", values::truth)?,
        post_dial_delay_ms: fields.time_bounds("post_dial_delay")?,
        answered_ms: fields.time_bounds("answered_within")?,
        first_audio_ms: fields.time_bounds("first_audio_within")?,
        duration_ms: fields.time_bounds("duration")?,
        digits: fields.read("digits", heard_digits)?,
        early_media: fields.read("early_media", values::truth)?,
    })
}

/// Keys that must have been heard; none are written as quoted nothing.
pub(super) fn heard_digits(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { values::digits(text, false) }
}

/// A party that answers says so, first of what needs a call.
fn check_order(role: &Role, steps: &[Step], name: &Key) -> Result<(), Problem> {
    let takes = |step: &Step| matches!(step.deed, Deed::Answer(_) | Deed::Refuse(_));
    match role {
        Role::Dials(_) => match steps.iter().find(|step| takes(step)) {
            Some(step) => Err(Problem::new(step.place, "only a party that is called answers or refuses")),
            None => Ok(()),
        },
        Role::Answers(_) => {
            let before =
                |step: &&Step| !matches!(step.deed, Deed::Pause(_) | Deed::Request(_) | Deed::Record(_));
            match steps.iter().find(before) {
                Some(step) if takes(step) => Ok(()),
                Some(step) => {
                    Err(Problem::new(step.place, "a party that is called does `answer` or `refuse` first"))
                }
                None => Err(Problem::new(
                    name.place,
                    "a party that is called needs the step `answer` or `refuse`",
                )),
            }
        }
    }
}

/// Without `webhooks` nobody can wait for one.
pub(super) fn need_no_webhooks(parties: &[Party]) -> Result<(), Problem> {
    let waits =
        |step: &&Step| matches!(&step.deed, Deed::Wait(wait) if matches!(wait.what, Awaited::Webhook(_)));
    match parties.iter().flat_map(|party| &party.steps).find(waits) {
        Some(step) => Err(Problem::new(step.place, "waiting for a webhook needs `webhooks` in the script")),
        None => Ok(()),
    }
}

fn codec(text: &str) -> Result<Codec, String> {
    match text.to_ascii_lowercase().as_str() {
        "pcmu" => Ok(Codec::Pcmu),
        "pcma" => Ok(Codec::Pcma),
        _ => Err(format!("`{text}` is no codec of the simulator: pcmu, pcma")),
    }
}

fn sip_status(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(status @ 200..=699) => Ok(status),
        _ => Err(format!("`{text}` is no final SIP status: 200 to 699")),
    }
}

fn q850(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(cause @ 1..=127) => Ok(cause),
        _ => Err(format!("`{text}` is no Q.850 cause: 1 to 127")),
    }
}

fn ended_by(text: &str) -> Result<EndedBy, String> {
    [EndedBy::Us, EndedBy::Platform, EndedBy::Failure]
        .into_iter()
        .find(|by| by.word() == text)
        .ok_or_else(|| format!("`{text}` is nobody: us, platform, failure"))
}
