//! A call towards the platform and what its caller does, as values and as one line of text.

use std::net::SocketAddr;
use std::time::Duration;

use tandem_media::g711::Law;
use thiserror::Error;

/// Longest script.
pub const MAX_STEPS: usize = 256;

/// A call to place.
#[derive(Clone, Debug)]
pub struct CallSpec {
    /// The number to call, or a whole `sip:` URI.
    pub to: String,
    /// The calling number or user.
    pub from: String,
    /// Host of the Request-URI, To and (with credentials) From. `None` prints the platform's address.
    pub host: Option<String>,
    /// Where to send it instead of the configured platform.
    pub via: Option<SocketAddr>,
    /// User name and password, to answer a 401 or 407 as a customer's PBX does.
    pub credentials: Option<(String, String)>,
    /// Further headers: `X-…`, P-Asserted-Identity, Diversion, Privacy.
    pub headers: Vec<(String, String)>,
    /// Cancel after so long without an answer. The CANCEL waits for a provisional response
    /// (RFC 3261 §9.1), so towards a host that sends nothing at all the call ends after 32 s.
    pub ring_limit: Duration,
    /// What to do once answered. At the end of it the call is hung up.
    pub script: Vec<Step>,
    /// Whether this call has a telephone at its end.
    pub line: LineUse,
    /// Frequencies to look for besides the loudest one, as when several people speak at once.
    pub listen_for: Vec<u16>,
    /// The one codec to offer; both laws of G.711 without.
    pub law: Option<Law>,
}

/// What is done with the audio of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineUse {
    /// Send, listen, measure.
    #[default]
    Talk,
    /// The same and keep what was heard ([`CallOutcome::recording`](super::CallOutcome::recording)).
    Record,
    /// No RTP task; packets to this caller vanish. For load without media.
    SignallingOnly,
}

/// One thing a caller does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Let this many milliseconds pass.
    Wait(u64),
    /// Dial (`0-9*#A-D`, `w` half a second, `W` a second) and wait until all are sent.
    SendDigits(String),
    /// Play a tone to its end.
    PlayTone {
        /// Frequency.
        hz: u16,
        /// Milliseconds.
        ms: u64,
    },
    /// Play the configured clip (or the melody) to its end.
    PlayClip,
    /// Hold the far side by re-INVITE (`sendonly`), and wait for its answer.
    HoldOn,
    /// End the hold, and wait for the answer.
    HoldOff,
    /// Hang up.
    Hangup,
    /// The far side must hang up now; if it does not, so do we and the outcome says so.
    ExpectHangup {
        /// Milliseconds it has for it.
        within_ms: u64,
    },
}

/// Why a script cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScriptError {
    /// Not a step.
    #[error(
        "`{0}` is no step; steps are wait:MS, digits:12#, tone:HZ/MS, clip, hold, resume, hangup, expect-hangup:MS"
    )]
    UnknownStep(String),
    /// More than [`MAX_STEPS`].
    #[error("the script has more than {MAX_STEPS} steps")]
    TooLong,
}

impl CallSpec {
    /// A call with defaults: no credentials, 60 s ring limit, hang up at once when answered.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            from: from.into(),
            host: None,
            via: None,
            credentials: None,
            headers: Vec::new(),
            ring_limit: Duration::from_mins(1),
            script: Vec::new(),
            line: LineUse::Talk,
            listen_for: Vec::new(),
            law: None,
        }
    }

    /// The same call with this script.
    pub fn script(self, script: impl Into<Vec<Step>>) -> Self {
        Self { script: script.into(), ..self }
    }
}

/// Reads `wait:500,digits:12#,tone:440/1000,clip,hold,resume,hangup,expect-hangup:5000`.
pub fn parse_script(text: &str) -> Result<Vec<Step>, ScriptError> {
    let steps = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let script = steps.map(parse_step).collect::<Result<Vec<_>, _>>()?;
    if script.len() > MAX_STEPS { Err(ScriptError::TooLong) } else { Ok(script) }
}

fn parse_step(word: &str) -> Result<Step, ScriptError> {
    let unknown = || ScriptError::UnknownStep(word.to_owned());
    let number = |text: &str| text.parse::<u64>().map_err(|_| unknown());
    match word.split_once(':') {
        Some(("wait", ms)) => Ok(Step::Wait(number(ms)?)),
        Some(("digits", digits)) if !digits.is_empty() => Ok(Step::SendDigits(digits.to_owned())),
        Some(("tone", tone)) => {
            let (hz, ms) = tone.split_once('/').ok_or_else(unknown)?;
            Ok(Step::PlayTone { hz: hz.parse().map_err(|_| unknown())?, ms: number(ms)? })
        }
        Some(("expect-hangup", ms)) => Ok(Step::ExpectHangup { within_ms: number(ms)? }),
        None if word == "clip" => Ok(Step::PlayClip),
        None if word == "hold" => Ok(Step::HoldOn),
        None if word == "resume" => Ok(Step::HoldOff),
        None if word == "hangup" => Ok(Step::Hangup),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_spelling() {
        let script =
            parse_script("wait:500, digits:12#,tone:440/1000,clip,hold,resume,hangup,expect-hangup:5");
        let expected = [
            Step::Wait(500),
            Step::SendDigits("12#".to_owned()),
            Step::PlayTone { hz: 440, ms: 1_000 },
            Step::PlayClip,
            Step::HoldOn,
            Step::HoldOff,
            Step::Hangup,
            Step::ExpectHangup { within_ms: 5 },
        ];
        assert_eq!(script.as_deref(), Ok(expected.as_slice()));
    }

    #[test]
    fn what_is_no_step_is_named() {
        for bad in ["jump", "wait", "wait:x", "tone:440", "digits:", "clip:1"] {
            assert_eq!(parse_script(bad), Err(ScriptError::UnknownStep(bad.to_owned())));
        }
    }

    #[test]
    fn the_length_limit_holds_at_and_one_past() {
        assert_eq!(parse_script(&"clip,".repeat(MAX_STEPS)).map(|script| script.len()), Ok(MAX_STEPS));
        assert_eq!(parse_script(&"clip,".repeat(MAX_STEPS + 1)), Err(ScriptError::TooLong));
    }
}
