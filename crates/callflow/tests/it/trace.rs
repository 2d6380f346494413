//! How orders and reports read in a trace.

use tandem_callflow::{DialTarget, Effect, End, Input};
use tandem_model::ports::LegTarget;

pub(crate) fn callee(target: &DialTarget) -> String {
    match target {
        DialTarget::Leg(LegTarget::Number(to) | LegTarget::User(to)) => to.clone(),
        DialTarget::AdmittedRoutes => "admitted routes".to_owned(),
    }
}

fn ended(end: &End) -> String {
    format!("{} {} by {}", end.cause.code(), end.text.as_str(), end.source.as_str())
}

/// Parameters that are the same in every request of a call say nothing in a trace.
fn own(params: &[(std::borrow::Cow<'static, str>, String)]) -> String {
    const SAME: [&str; 15] = [
        "CallUUID",
        "RequestUUID",
        "ALegUUID",
        "ALegRequestUUID",
        "From",
        "To",
        "CallerName",
        "Direction",
        "ParentAuthID",
        "SessionStart",
        "BillRate",
        "STIRVerification",
        "STIRAttestation",
        "DialALegUUID",
        "Event",
    ];
    let event = params.iter().find(|(name, _)| name == "Event").map_or("", |(_, event)| event);
    let mut own = event.to_owned();
    for (name, value) in params.iter().filter(|(name, _)| !SAME.contains(&name.as_ref())) {
        own += &format!(" {name}={value}");
    }
    own
}

pub(crate) fn told(effect: &Effect) -> String {
    match effect {
        Effect::EarlyMedia { from } => format!("EarlyMedia from {from:?}"),
        Effect::Reject { end, sip_status } => format!("Reject {sip_status} ({})", ended(end)),
        Effect::Hangup { end } => format!("Hangup ({})", ended(end)),
        Effect::Fetch { request, .. } => {
            format!(
                "Fetch {:?} {} {} {}",
                request.kind,
                request.method.as_str(),
                request.url,
                own(&request.params)
            )
        }
        Effect::Prepare { preparation, sound } => format!("Prepare #{} {sound:?}", preparation.0),
        Effect::Play { playback, leg, sound, loops } => {
            format!("Play #{} to {leg:?} {loops:?} {sound:?}", playback.0)
        }
        Effect::StopPlayback { playback } => format!("StopPlayback #{}", playback.0),
        Effect::Dial { leg, order } => {
            let credentials = order.credentials.as_ref().map_or(String::new(), |it| format!(" as {it:?}"));
            format!(
                "Dial {leg:?} {} callerId={:?} callerName={:?} headers={:?}{credentials}",
                callee(&order.target),
                order.caller_id,
                order.caller_name,
                order.custom_headers
            )
        }
        Effect::HangupLeg { leg, end } => format!("HangupLeg {leg:?} ({})", ended(end)),
        Effect::Bridge { a, b } => format!("Bridge {a:?} {b:?}"),
        Effect::Unbridge { a, b } => format!("Unbridge {a:?} {b:?}"),
        Effect::SendDigits { leg, digits } => format!("SendDigits {leg:?} {digits}"),
        Effect::Watch { leg, watch: Some(watch) } => format!("Watch {leg:?} {watch:?}"),
        Effect::Watch { leg, watch: None } => format!("Watch {leg:?} no more"),
        Effect::StartRecording { recording, leg, order } => {
            let told = order.tells.iter().map(|tell| format!("{:?} {}", tell.words, tell.call.url));
            let action = order.action.iter().map(|action| format!("action {}", action.url));
            format!(
                "StartRecording #{} of {leg:?} {} {:?} max={:?} silence={:?} tells={:?}",
                recording.0,
                order.format.as_str(),
                order.channels,
                order.max_length,
                order.silence,
                told.chain(action).collect::<Vec<_>>()
            )
        }
        Effect::StopRecording { recording, reason, digits, abandoned } => {
            let fate = if *abandoned { " abandoned" } else { "" };
            format!("StopRecording #{} {} {digits}{fate}", recording.0, reason.as_str())
        }
        Effect::Notify(notice) => format!("Notify {} {}", notice.url, own(&notice.params)),
        Effect::Trace(text) => format!("Trace {text}"),
        Effect::Finished(end) => format!("Finished ({})", ended(end)),
        Effect::Ring => "Ring".to_owned(),
        Effect::Answer => "Answer".to_owned(),
    }
}

pub(crate) fn heard(input: &Input) -> String {
    match input {
        Input::Fetched { result: Ok(fetched), .. } => format!("Fetched {}", fetched.url),
        Input::Fetched { result: Err(error), .. } => format!("Fetched {error}"),
        Input::LegAdmitted { leg, .. } => format!("LegAdmitted {leg:?}"),
        Input::LegRefused { leg, refusal } => format!("LegRefused {leg:?} {}", refusal.reason),
        Input::LegRinging { leg } => format!("LegRinging {leg:?}"),
        Input::LegEarlyMedia { leg } => format!("LegEarlyMedia {leg:?}"),
        Input::LegAnswered { leg } => format!("LegAnswered {leg:?}"),
        Input::LegEnded { leg, end, .. } => format!("LegEnded {leg:?} ({})", ended(end)),
        Input::Digit { leg, digit } => format!("Digit {leg:?} {digit}"),
        Input::Prepared { preparation } => format!("Prepared #{}", preparation.0),
        Input::DigitsSent { leg } => format!("DigitsSent {leg:?}"),
        Input::Noticed { leg } => format!("Noticed {leg:?}"),
        Input::PlaybackDone { playback, .. } => format!("PlaybackDone #{}", playback.0),
        Input::RecordingStarted { recording, .. } => format!("RecordingStarted #{}", recording.0),
        Input::RecordingDone { recording, result } => {
            format!("RecordingDone #{} {} {} ms", recording.0, result.reason.as_str(), result.duration_ms)
        }
        Input::Transfer { to, releasing } => format!("Transfer {} releasing={releasing:?}", to.url),
        Input::Released { leg } => format!("Released {leg:?}"),
        Input::HangupRequested { end } => format!("HangupRequested ({})", ended(end)),
        Input::Start => "Start".to_owned(),
        Input::Deadline => "Deadline".to_owned(),
    }
}
