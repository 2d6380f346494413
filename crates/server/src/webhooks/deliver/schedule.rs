//! How long an attempt may take and when the next one is due.
//!
//! Every channel has four quick attempts (at once, then after 1, 2 and 4 s). Durable channels go on
//! for 72 hours with growing pauses, because a restart of the customer's server must not cost a bill.

use std::time::Duration;

use tandem_model::{DeliveryChannel, EventId};

/// Quick attempts of every channel: the first and three retries.
pub(super) const QUICK_ATTEMPTS: u32 = 4;
/// A durable event is given up this long after its fact.
pub(super) const DURABLE_LIFE: Duration = Duration::from_hours(72);
/// Pauses after the quick attempts; the last one repeats.
const DURABLE_PAUSES: [Duration; 7] = [
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(3),
    Duration::from_hours(6),
];
/// The longest `Retry-After` honoured on durable channels, and on the others.
const RETRY_AFTER_DURABLE_MAX: Duration = Duration::from_hours(1);
const RETRY_AFTER_QUICK_MAX: Duration = Duration::from_secs(10);

/// Whether a channel goes on after the quick attempts.
pub(super) const fn is_durable(channel: DeliveryChannel) -> bool {
    matches!(
        channel,
        DeliveryChannel::DurableCallback
            | DeliveryChannel::DurableTrunk
            | DeliveryChannel::DurableSealed
            | DeliveryChannel::DurableAccount
            | DeliveryChannel::DurableNdnc
            | DeliveryChannel::Mail
    )
}

/// How long the attempt numbered `attempt` (from 1) may take, body included.
pub(super) const fn timeout(channel: DeliveryChannel, attempt: u32) -> Duration {
    if is_durable(channel) && attempt > QUICK_ATTEMPTS {
        return Duration::from_secs(15);
    }
    match channel {
        DeliveryChannel::Callback | DeliveryChannel::DurableCallback => Duration::from_secs(3),
        DeliveryChannel::DurableNdnc => Duration::from_secs(5),
        DeliveryChannel::Trunk
        | DeliveryChannel::DurableTrunk
        | DeliveryChannel::DurableSealed
        | DeliveryChannel::DurableAccount => Duration::from_secs(10),
        // A mail server may think for a while before it takes a letter.
        DeliveryChannel::Mail => Duration::from_mins(1),
    }
}

/// The pause after attempt `attempt` (from 1) failed; `None` when that was the last one. `life_left`
/// is what remains of [`DURABLE_LIFE`].
pub(super) fn pause_after(
    channel: DeliveryChannel,
    attempt: u32,
    event: EventId,
    retry_after: Option<Duration>,
    life_left: Duration,
) -> Option<Duration> {
    let planned = match attempt {
        1 => Duration::from_secs(1),
        2 => Duration::from_secs(2),
        3 => Duration::from_secs(4),
        _ if !is_durable(channel) => return None,
        later => {
            let index = (later - QUICK_ATTEMPTS) as usize;
            let pause = DURABLE_PAUSES.get(index).unwrap_or(&DURABLE_PAUSES[DURABLE_PAUSES.len() - 1]);
            if *pause > life_left {
                return None;
            }
            spread(*pause, event)
        }
    };
    let longest = if is_durable(channel) { RETRY_AFTER_DURABLE_MAX } else { RETRY_AFTER_QUICK_MAX };
    Some(retry_after.map_or(planned, |asked| planned.max(asked.min(longest))))
}

/// Up to a tenth later, by the event: what failed together does not come back together.
fn spread(pause: Duration, event: EventId) -> Duration {
    let share = u32::from(event.0.as_bytes()[15]);
    pause + pause * share / 2560
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNELS: [DeliveryChannel; 8] = [
        DeliveryChannel::DurableSealed,
        DeliveryChannel::DurableAccount,
        DeliveryChannel::DurableNdnc,
        DeliveryChannel::Mail,
        DeliveryChannel::Callback,
        DeliveryChannel::Trunk,
        DeliveryChannel::DurableCallback,
        DeliveryChannel::DurableTrunk,
    ];

    fn event() -> EventId {
        EventId::random()
    }

    #[test]
    fn every_channel_tries_four_times_within_seven_seconds() {
        for channel in CHANNELS {
            let pauses: Vec<_> = (1..4)
                .map(|attempt| pause_after(channel, attempt, event(), None, DURABLE_LIFE).unwrap().as_secs())
                .collect();
            assert_eq!(pauses, [1, 2, 4]);
            let on = pause_after(channel, QUICK_ATTEMPTS, event(), None, DURABLE_LIFE);
            assert_eq!(on.is_some(), is_durable(channel), "{channel:?}");
        }
    }

    #[test]
    fn durable_channels_go_on_for_three_days_and_no_longer() {
        for channel in CHANNELS.into_iter().filter(|channel| is_durable(*channel)) {
            let (mut age, mut attempt) = (Duration::ZERO, 1);
            while let Some(pause) =
                pause_after(channel, attempt, event(), None, DURABLE_LIFE.saturating_sub(age))
            {
                age += pause;
                attempt += 1;
                assert!(attempt < 100);
            }
            assert!(age > Duration::from_hours(60), "{age:?}");
            assert!(age < Duration::from_hours(73), "{age:?}");
            assert!((15..=25).contains(&attempt), "{attempt}");
        }
    }

    #[test]
    fn retry_after_lengthens_a_pause_within_bounds() {
        let pause = |channel, asked_s| {
            pause_after(channel, 1, event(), Some(Duration::from_secs(asked_s)), DURABLE_LIFE)
                .unwrap()
                .as_secs()
        };
        assert_eq!(pause(DeliveryChannel::Callback, 0), 1);
        assert_eq!(pause(DeliveryChannel::Callback, 10), 10);
        assert_eq!(pause(DeliveryChannel::Callback, 11), 10);
        assert_eq!(pause(DeliveryChannel::DurableTrunk, 3600), 3600);
        assert_eq!(pause(DeliveryChannel::DurableTrunk, 3601), 3600);
    }
}
