//! The calls: offered at a steady rate, whatever the platform is doing, by a PBX through its trunk and by the
//! carrier to the customer's number. Both live in this process, so a kill cuts their calls, not their memory.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tandem_server::simulator::{CallHandle, CallSpec, Carrier, CarrierError, LineUse, Step};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::evidence::{LOOP_HEADER, Offer};
use super::house::{House, NUMBER};

/// How long a caller waits for an answer when it is not meant to give up early.
const PATIENCE: Duration = Duration::from_secs(12);
/// A call without script ends when a kill ends it, or here.
const LONG_MS: u64 = 20_000;
/// Talk time.
const TALK_MS: std::ops::Range<u64> = 200..6_000;

/// Who takes part.
pub(crate) struct Network {
    pub(crate) carrier: Arc<Carrier>,
    pub(crate) pbx: Arc<Carrier>,
    pub(crate) house: House,
}

/// Offers `rate` calls a second until `stop`, then waits for all of them to end.
pub(crate) async fn offer(network: Network, rate: u32, seed: u64, stop: watch::Receiver<bool>) -> Vec<Offer> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut beat = tokio::time::interval(Duration::from_secs(1) / rate);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    let mut number = 0;
    while !*stop.borrow() {
        beat.tick().await;
        number += 1;
        let (outbound, spec) = network.choose(number, &mut random);
        let from = if outbound { &network.pbx } else { &network.carrier };
        let from = Arc::clone(from);
        calls.spawn(async move {
            match from.place(spec).await {
                Ok(handle) => Some(watch_call(number, handle).await),
                Err(CarrierError::Full | CarrierError::NoPort) => None,
                Err(error) => panic!("call {number}: {error}"),
            }
        });
    }
    calls.join_all().await.into_iter().flatten().collect()
}

async fn watch_call(number: u64, handle: CallHandle) -> Offer {
    let call_id = handle.call_id().to_owned();
    let outcome = handle.outcome().await.expect("the simulator outlives its calls");
    Offer { number, call_id, rang: outcome.rang || outcome.early_media, status: outcome.status.code }
}

impl Network {
    /// The next call. The last four digits of a number say what the simulated network does with it.
    fn choose(&self, number: u64, random: &mut StdRng) -> (bool, CallSpec) {
        let talk = Step::Wait(random.random_range(TALK_MS));
        let until_hung_up = Step::ExpectHangup { within_ms: LONG_MS };
        let kind = random.random_range(0..100);
        if kind < 12 {
            // A caller of the outside world; its last digit chooses the document.
            let from = format!("+9198{:08}", number % 100_000_000);
            let script = if kind < 6 { talk } else { until_hung_up };
            return (false, Self::spec(CallSpec::new(from, NUMBER), number, script, PATIENCE));
        }
        let (digits, script, patience) = match kind {
            // Answers at once and stays; the PBX hangs up.
            12..60 => ("0330", talk, PATIENCE),
            // Hangs up by itself after one, two, three seconds.
            60..66 => ("0301", until_hung_up, PATIENCE),
            66..71 => ("0302", until_hung_up, PATIENCE),
            71..75 => ("0303", until_hung_up, PATIENCE),
            // Stays until somebody ends it: mostly a kill.
            75..82 => ("0330", until_hung_up, PATIENCE),
            82..88 => ("0002", talk, PATIENCE),
            // Never answers: cancelled.
            88..93 => ("0003", talk, Duration::from_millis(random.random_range(300..2_500))),
            93..95 => ("0004", talk, PATIENCE),
            95..97 => ("0006", talk, PATIENCE),
            // Rings for a second first.
            _ => ("0401", talk, PATIENCE),
        };
        let to = format!("+9198765{:01}{digits}", number % 10);
        let mut spec = Self::spec(CallSpec::new(NUMBER, to), number, script, patience);
        spec.host = Some(self.house.trunk_domain.clone());
        spec.credentials = Some(House::pbx_credentials());
        (true, spec)
    }

    fn spec(spec: CallSpec, number: u64, script: Step, ring_limit: Duration) -> CallSpec {
        CallSpec {
            headers: vec![(LOOP_HEADER.to_owned(), number.to_string())],
            line: LineUse::SignallingOnly,
            ring_limit,
            ..spec.script([script])
        }
    }
}
