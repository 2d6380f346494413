//! What happens when a number is called: the table that `tandem sim carrier --table` prints.
//!
//! The last four digits decide, so that any country and area code may stand before them. `NN` in a
//! pattern is a two-digit parameter. The last row is for every other number.

use std::time::Duration;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// Last digits, `N` for any digit; `*` for every other number.
    pub pattern: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// What a caller notices.
    pub what: &'static str,
    plan: fn(u16) -> Plan,
}

/// What the network does with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Ask for digest with 407 first.
    pub demands_digest: bool,
    /// Before the verdict.
    pub opening: Opening,
    /// How long the opening lasts.
    pub opening_for: Duration,
    /// What follows.
    pub verdict: Verdict,
    /// What is said once answered.
    pub voice: Voice,
    /// Digits dialled half a second after the answer.
    pub digits: Option<&'static str>,
    /// Hang up so long after the answer.
    pub hang_up_after: Option<Duration>,
    /// Hold the caller by re-INVITE one second after the answer, for two seconds.
    pub holds_caller: bool,
    /// Answer with A-law alone.
    pub alaw_only: bool,
    /// Packet time of what is sent.
    pub ptime_ms: u16,
    /// Share of our RTP packets that never leave.
    pub loss_percent: u8,
}

/// What a caller hears of a call before its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// 100 alone.
    Trying,
    /// 180.
    Ringing,
    /// 183 with SDP, and the clip as early media.
    EarlyMedia,
}

/// How a call attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 200.
    Answer,
    /// A final failure with the Q.850 cause that carriers print beside it.
    Refuse {
        /// 300–699.
        status: u16,
        /// `Reason: Q.850`.
        cause: u16,
    },
    /// Nothing: the opening lasts until the caller gives up.
    Wait,
    /// Not a single response, as of a dead host.
    Ignore,
}

/// What is said in an answered call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Audio packets return to their sender; digits do not.
    Echo,
    /// The clip once, then silence on the wire.
    Speak,
    /// A steady tone.
    Tone {
        /// Its frequency.
        hz: u16,
    },
    /// Silence as packets.
    Silence,
    /// No packets at all, but it listens.
    Mute,
    /// No RTP task: packets to it vanish. For load without media.
    Absent,
}

/// The notes of the melody that stands in for a clip, 400 ms each.
pub const MELODY_HZ: [u16; 4] = [440, 554, 659, 880];

/// The pattern of the last row.
const EVERY_OTHER: &str = "*";
/// How long numbers ring that do not say otherwise.
const RING: Duration = Duration::from_secs(1);

impl Plan {
    /// Answer at once and echo.
    pub const ECHO: Self = Self {
        demands_digest: false,
        opening: Opening::Trying,
        opening_for: Duration::ZERO,
        verdict: Verdict::Answer,
        voice: Voice::Echo,
        digits: None,
        hang_up_after: None,
        holds_caller: false,
        alaw_only: false,
        ptime_ms: 20,
        loss_percent: 0,
    };

    /// Refuse at once.
    pub const fn refuse(status: u16, cause: u16) -> Self {
        Self { verdict: Verdict::Refuse { status, cause }, ..Self::ECHO }
    }

    /// The same after ringing for a while.
    pub const fn ringing_for(self, time: Duration) -> Self {
        Self { opening: Opening::Ringing, opening_for: time, ..self }
    }

    /// The same saying something else.
    pub const fn saying(self, voice: Voice) -> Self {
        Self { voice, ..self }
    }
}

static BEHAVIOURS: &[Behaviour] = &[
    row("0000", "speaks", "rings for 1 s, answers, plays a melody (or the clip), then silence", |_| {
        Plan::ECHO.ringing_for(RING).saying(Voice::Speak)
    }),
    row("0001", "echo at once", "answers at once and echoes what it hears", |_| Plan::ECHO),
    row("0002", "busy", "486 Busy Here", |_| Plan::refuse(486, 17)),
    row("0003", "no answer", "rings until the caller gives up", |_| Plan {
        verdict: Verdict::Wait,
        ..Plan::ECHO.ringing_for(Duration::ZERO)
    }),
    row("0004", "rejected", "603 Decline", |_| Plan::refuse(603, 21)),
    row("0005", "network failure", "503 Service Unavailable", |_| Plan::refuse(503, 38)),
    row("0006", "unallocated number", "404 Not Found", |_| Plan::refuse(404, 1)),
    row("0007", "dials", "answers at once and sends the digits 1234#", |_| Plan {
        digits: Some("1234#"),
        ..Plan::ECHO.saying(Voice::Silence)
    }),
    row("0008", "hangs up", "answers at once, echoes, hangs up after 5 s", |_| Plan {
        hang_up_after: Some(Duration::from_secs(5)),
        ..Plan::ECHO
    }),
    row("0009", "early media", "183 with a melody for 2 s, then answers and echoes", |_| Plan {
        opening: Opening::EarlyMedia,
        opening_for: Duration::from_secs(2),
        ..Plan::ECHO
    }),
    row("0010", "lossy", "answers at once and echoes, losing 20 % of its packets", |_| Plan {
        loss_percent: 20,
        ..Plan::ECHO
    }),
    row("0011", "slow to answer", "rings for 10 s, answers, plays a melody, then silence", |_| {
        Plan::ECHO.ringing_for(Duration::from_secs(10)).saying(Voice::Speak)
    }),
    row("0012", "mute", "answers at once and never sends a packet", |_| Plan::ECHO.saying(Voice::Mute)),
    row(
        "0013",
        "A-law only",
        "answers at once with PCMA alone and echoes; 488 if A-law is not offered",
        |_| Plan { alaw_only: true, ..Plan::ECHO },
    ),
    row(
        "0014",
        "40 ms packets",
        "answers at once with a=ptime:40 and plays a melody in such packets",
        |_| Plan { ptime_ms: 40, ..Plan::ECHO.saying(Voice::Speak) },
    ),
    row("0015", "unavailable", "480 Temporarily Unavailable", |_| Plan::refuse(480, 18)),
    row("0016", "server error", "500 Server Internal Error", |_| Plan::refuse(500, 41)),
    row("0017", "demands digest", "407 until the digest is right, then answers and echoes", |_| Plan {
        demands_digest: true,
        ..Plan::ECHO
    }),
    row("0018", "dead host", "no response of any kind", |_| Plan { verdict: Verdict::Ignore, ..Plan::ECHO }),
    row(
        "0019",
        "holds its caller",
        "answers at once, echoes, holds by re-INVITE after 1 s, resumes 2 s later",
        |_| Plan { holds_caller: true, ..Plan::ECHO },
    ),
    row("0020", "busy after ringing", "rings for 2 s, then 486 Busy Here", |_| {
        Plan::refuse(486, 17).ringing_for(Duration::from_secs(2))
    }),
    row("0021", "redirects", "302 Moved Temporarily to the number that ends in 0001", |_| {
        Plan::refuse(302, 23)
    }),
    row("0022", "announced failure", "183 with a melody for 2 s, then 404 Not Found", |_| Plan {
        opening: Opening::EarlyMedia,
        opening_for: Duration::from_secs(2),
        ..Plan::refuse(404, 1)
    }),
    row("01NN", "timed call", "answers at once, echoes, hangs up after NN seconds (00: 100)", |n| Plan {
        hang_up_after: Some(seconds(n)),
        ..Plan::ECHO
    }),
    row("02NN", "steady tone", "answers at once and plays a tone of 300 + 20 × NN Hz", |n| {
        Plan::ECHO.saying(Voice::Tone { hz: 300 + 20 * n })
    }),
    row(
        "03NN",
        "timed call without media",
        "answers at once, no RTP at all, hangs up after NN seconds (00: 100)",
        |n| Plan { hang_up_after: Some(seconds(n)), ..Plan::ECHO.saying(Voice::Absent) },
    ),
    row("04NN", "rings for long", "rings for NN seconds (00: 100), answers and echoes", |n| {
        Plan::ECHO.ringing_for(seconds(n))
    }),
    row(EVERY_OTHER, "echo", "rings for 1 s, answers and echoes what it hears", |_| {
        Plan::ECHO.ringing_for(RING)
    }),
];

/// The table; the last row is for every number that no other one fits.
pub fn behaviours() -> &'static [Behaviour] {
    BEHAVIOURS
}

/// The row that a dialled number falls under. Everything but digits is ignored.
pub fn behaviour_of(number: &str) -> &'static Behaviour {
    match_row(number).0
}

/// What happens when this number is called.
pub fn plan_for(number: &str) -> Plan {
    let (behaviour, parameter) = match_row(number);
    (behaviour.plan)(parameter)
}

const fn row(
    pattern: &'static str,
    title: &'static str,
    what: &'static str,
    plan: fn(u16) -> Plan,
) -> Behaviour {
    Behaviour { pattern, title, what, plan }
}

fn seconds(parameter: u16) -> Duration {
    Duration::from_secs(if parameter == 0 { 100 } else { u64::from(parameter) })
}

fn match_row(number: &str) -> (&'static Behaviour, u16) {
    let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).collect();
    BEHAVIOURS
        .iter()
        .find_map(|behaviour| Some((behaviour, parameter(behaviour.pattern, &digits)?)))
        .expect("the last row fits every number")
}

/// The value of the pattern's `N`s, if the digits end like the pattern.
fn parameter(pattern: &str, digits: &[u8]) -> Option<u16> {
    if pattern == EVERY_OTHER {
        return Some(0);
    }
    let start = digits.len().checked_sub(pattern.len())?;
    let tail = digits.get(start..)?;
    tail.iter().zip(pattern.bytes()).try_fold(0, |value, (digit, expected)| match expected {
        b'N' => Some(value * 10 + u16::from(digit - b'0')),
        _ => (*digit == expected).then_some(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digits_decide_whatever_stands_before_them() {
        for number in ["+14155550002", "00914155550002", "0002", "+1 (415) 555-0002", "sip:0002"] {
            assert_eq!(behaviour_of(number).pattern, "0002", "{number}");
        }
        assert_eq!(behaviour_of("+14155557777").pattern, "*");
        assert_eq!(behaviour_of("002").pattern, "*");
        assert_eq!(behaviour_of("").pattern, "*");
    }

    #[test]
    fn two_digits_are_a_parameter() {
        assert_eq!(plan_for("+919000000107").hang_up_after, Some(Duration::from_secs(7)));
        assert_eq!(plan_for("+919000000100").hang_up_after, Some(Duration::from_secs(100)));
        assert_eq!(plan_for("0299").voice, Voice::Tone { hz: 2_280 });
        assert_eq!(plan_for("0412").opening_for, Duration::from_secs(12));
    }

    #[test]
    fn every_pattern_is_reached_and_none_twice() {
        for behaviour in BEHAVIOURS {
            let number = behaviour.pattern.replace('N', "5");
            assert_eq!(behaviour_of(&number).title, behaviour.title);
            assert!(!behaviour.what.is_empty());
        }
        assert_eq!(BEHAVIOURS.last().map(|row| row.pattern), Some(EVERY_OTHER));
    }
}
