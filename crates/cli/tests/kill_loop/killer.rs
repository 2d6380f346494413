//! The killer: SIGKILL at random moments, every other time at the very moment the carrier sees something happen,
//! where the distance between what was said and what was stored is shortest.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tandem_model::clock;
use tandem_server::simulator::SimEvent;
use tandem_testkit::Platform;
use tokio::sync::mpsc;

use super::evidence::Death;

/// How long the platform lives between two kills.
const LIFE_MS: std::ops::Range<u64> = 400..3_000;
/// How long something is waited for to strike at.
const LURK: Duration = Duration::from_secs(2);

/// Kills and restarts `kills` times; says what happened when.
pub(crate) async fn kill(
    platform: &mut Platform,
    kills: u32,
    seed: u64,
    sights: &mut mpsc::Receiver<SimEvent>,
) -> Vec<Death> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut deaths = Vec::new();
    for kill in 1..=kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(LIFE_MS))).await;
        if kill % 2 == 0 {
            while sights.try_recv().is_ok() {}
            // Nothing to see in this time: then it is a random moment too.
            drop(tokio::time::timeout(LURK, sights.recv()).await);
        }
        let death = tokio::task::block_in_place(|| {
            let killed_ms = clock::wall().as_millisecond();
            platform.kill();
            platform.restart();
            Death {
                killed_ms,
                ready_ms: clock::wall().as_millisecond(),
                ready_in_ms: platform.ready_in.as_millis() as u64,
            }
        });
        if kill % 10 == 0 || kill == kills {
            eprintln!("kill {kill} of {kills}; ready again after {} ms", death.ready_in_ms);
        }
        deaths.push(death);
    }
    deaths
}
