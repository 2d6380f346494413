//! One script: its web server, its telephone networks, its parties, and what is judged when all is over.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tandem_script::report::{PartyReport, Report, line};
use tandem_script::script::{Party, Script};
use tandem_server::simulator::{Carrier, CarrierConfig, LiveCall, LiveOrder};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::player::{self, Cast, Curtain};
use super::web::{Door, Web};
use super::{NO_SERVER, Played, Source, Talk, sounds};

/// Calls that came and that nobody has looked at.
const RECEPTION: usize = 256;
/// Requests that are expected after the calls come so soon, unless they say otherwise.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// What went wrong before a script could be played.
enum Trouble {
    /// The script is wrong.
    Script(String),
    /// The world is.
    World(String),
}

/// A telephone network and the parties on it.
struct Network {
    carrier: Arc<Carrier>,
    waiting: Vec<(Arc<Party>, Option<mpsc::Sender<LiveCall>>)>,
    reception: mpsc::Receiver<LiveCall>,
}

/// Plays one script.
pub(super) async fn play(source: &Source, talk: &Talk) -> Played {
    let started = Instant::now();
    let script = match source.read(NO_SERVER) {
        Ok(script) => script,
        Err(problem) => return played(source, None, Err(Trouble::Script(problem.to_string())), started),
    };
    talk.line(&format!("{} ({})", source.name(Some(&script)), source.file.display()));
    let mut tasks = JoinSet::new();
    let outcome = perform(source, &script, talk, &mut tasks).await;
    // The next script may want the same address: its listener must be gone, not only told to go.
    tasks.shutdown().await;
    let one = played(source, Some(&script), outcome, started);
    match &one.report.problem {
        Some(problem) => talk.line(&format!("✘ {}: {problem}", one.report.name)),
        None => {
            let mark = if one.report.ok { "✔" } else { "✘" };
            let took = one.report.took_ms as f64 / 1_000.0;
            talk.line(&format!("{mark} {} in {took:.1} s", one.report.name));
        }
    }
    one
}

fn played(
    source: &Source,
    script: Option<&Script>,
    outcome: Result<Report, Trouble>,
    started: Instant,
) -> Played {
    let (mut report, is_wrong) = match outcome {
        Ok(report) => (report, false),
        Err(Trouble::Script(problem)) => {
            (source.report(script, Some(format!("{}:{problem}", source.file.display()))), true)
        }
        Err(Trouble::World(problem)) => (source.report(script, Some(problem)), false),
    };
    report.took_ms = started.elapsed().as_millis() as u64;
    Played { report, is_wrong }
}

async fn perform(
    source: &Source,
    first: &Script,
    talk: &Talk,
    tasks: &mut JoinSet<()>,
) -> Result<Report, Trouble> {
    let door = match &first.webhooks {
        Some(webhooks) => {
            Some(Door::open(webhooks.listen, webhooks.url.as_deref()).await.map_err(Trouble::World)?)
        }
        None => None,
    };
    let url = door.as_ref().map_or(NO_SERVER, |door| &door.url);
    let mut script = source.read(url).map_err(|problem| Trouble::Script(problem.to_string()))?;
    let platform = resolve(&script.platform).await.map_err(Trouble::World)?;
    let parties: Vec<Arc<Party>> = script.parties.drain(..).map(Arc::new).collect();
    let mut prepared = Vec::new();
    for party in &parties {
        prepared.push(sounds::prepare(party, source.folder()).await.map_err(Trouble::Script)?);
    }
    let mut networks = networks(&parties, platform).await.map_err(Trouble::World)?;
    // What was set up does not count.
    let started = Instant::now();
    let web = match (door, script.webhooks.take()) {
        (Some(door), Some(webhooks)) => Some(
            door.serve(webhooks, source.folder(), started, talk.clone(), tasks).map_err(Trouble::Script)?,
        ),
        _ => None,
    };
    let (abort, aborted) = watch::channel(None);
    let mut playing = JoinSet::new();
    for (index, (party, sounds)) in parties.iter().zip(prepared).enumerate() {
        let Some(network) = networks.get_mut(&party.listen) else { continue };
        let (ring, calls) = mpsc::channel(1);
        network.waiting.push((Arc::clone(party), Some(ring)));
        let cast = Cast {
            party: Arc::clone(party),
            carrier: Arc::clone(&network.carrier),
            sounds,
            calls,
            requests: web.as_ref().map(Web::subscribe),
            abort: aborted.clone(),
            started: started.into_std(),
            talk: talk.clone(),
        };
        playing.spawn(async move { (index, player::play(cast).await) });
    }
    let carriers: Vec<Arc<Carrier>> = networks.values().map(|network| Arc::clone(&network.carrier)).collect();
    for network in networks.into_values() {
        tasks.spawn(receive(network, talk.clone()));
    }
    let curtains = wait(playing, &abort, script.timeout).await;
    let (webhooks, received) = match &web {
        Some(web) => judge_requests(web, &curtains, started, talk).await,
        None => Default::default(),
    };
    for carrier in carriers {
        carrier.shutdown().await;
    }
    let parties: Vec<PartyReport> = curtains.into_iter().map(|curtain| curtain.report).collect();
    let mut all = parties.iter().flat_map(|party| &party.outcomes).chain(&webhooks);
    let ok = !all.any(tandem_script::Outcome::is_miss);
    let empty = source.report(Some(first), None);
    Ok(Report { ok, parties, webhooks, received, ..empty })
}

/// Until all parties are done, or the time is over, or somebody presses Ctrl-C.
async fn wait(
    mut playing: JoinSet<(usize, Curtain)>,
    abort: &watch::Sender<Option<String>>,
    timeout: Duration,
) -> Vec<Curtain> {
    let mut curtains = Vec::new();
    let over = tokio::time::sleep(timeout);
    tokio::pin!(over);
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut is_over = false;
    loop {
        tokio::select! {
            one = playing.join_next() => match one {
                Some(Ok(one)) => curtains.push(one),
                // A party that panicked has no report; that it is missing fails the script.
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => break,
            },
            () = &mut over, if !is_over => {
                is_over = true;
                let words = format!("the script's timeout of {} s was over", timeout.as_secs_f64());
                abort.send_replace(Some(words));
            }
            _ = &mut interrupted, if !is_over => {
                is_over = true;
                abort.send_replace(Some("interrupted".to_owned()));
            }
        }
    }
    curtains.sort_by_key(|(index, _)| *index);
    curtains.into_iter().map(|(_, curtain)| curtain).collect()
}

/// Waits for the last requests and judges all.
async fn judge_requests(
    web: &Web,
    curtains: &[Curtain],
    started: Instant,
    talk: &Talk,
) -> (Vec<tandem_script::Outcome>, Vec<tandem_script::webhooks::Received>) {
    let mut news = web.subscribe();
    let webhooks = web.webhooks();
    let longest = webhooks.expect.iter().filter_map(|one| one.within).max().unwrap_or_default();
    let patience = Instant::now() + LAST_REQUESTS.max(longest);
    while !webhooks.is_settled(&web.received()) {
        if tokio::time::timeout_at(patience, news.recv()).await.is_err() {
            break;
        }
    }
    let end = curtains.iter().filter_map(|curtain| curtain.ended_at).max();
    let ms = |at: std::time::Instant| at.saturating_duration_since(started.into_std()).as_millis() as u64;
    let now_ms = ms(Instant::now().into_std());
    let received = web.received();
    let outcomes = webhooks.judge(&received, end.map_or(now_ms, ms), now_ms);
    for outcome in &outcomes {
        talk.line(&line("webhooks", outcome));
    }
    (outcomes, received)
}

/// One network for each address, with its registrations.
async fn networks(
    parties: &[Arc<Party>],
    platform: SocketAddr,
) -> Result<HashMap<SocketAddr, Network>, String> {
    let mut networks = HashMap::new();
    for party in parties {
        let network = match networks.entry(party.listen) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(network(party.listen, platform).await?),
        };
        if let Some(registration) = player::registration(party, platform) {
            let registered = network.carrier.register(registration).await;
            registered.map_err(|error| format!("{} cannot register: {error}", party.name))?;
        }
    }
    Ok(networks)
}

async fn network(listen: SocketAddr, platform: SocketAddr) -> Result<Network, String> {
    let (sender, reception) = mpsc::channel(RECEPTION);
    let config = CarrierConfig {
        listen,
        user_agent: "Tandem scripted caller".to_owned(),
        reception: Some(sender),
        ..CarrierConfig::new(platform)
    };
    let carrier =
        Carrier::start(config).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    Ok(Network { carrier: Arc::new(carrier), waiting: Vec::new(), reception })
}

/// Gives each call that comes to the first party that waits for it.
async fn receive(mut network: Network, talk: Talk) {
    while let Some(call) = network.reception.recv().await {
        let waiting =
            network.waiting.iter_mut().find(|(party, ring)| ring.is_some() && player::answers(party, &call));
        match waiting.and_then(|(_, ring)| ring.take()) {
            Some(ring) => {
                // A party that has left no longer answers; the call ends as its handle is dropped.
                if let Err(unwanted) = ring.send(call).await {
                    refuse(&unwanted.0).await;
                }
            }
            None => {
                talk.line(&format!("a call to {} came that no party waits for: 404", call.call.to));
                refuse(&call).await;
            }
        }
    }
}

async fn refuse(call: &LiveCall) {
    if let Err(error) = call.order(LiveOrder::Refuse(404)).await {
        tracing::debug!(%error, "an unwanted call could not be refused");
    }
}

async fn resolve(name: &str) -> Result<SocketAddr, String> {
    let mut found =
        tokio::net::lookup_host(name).await.map_err(|error| format!("platform {name}: {error}"))?;
    found.next().ok_or_else(|| format!("platform {name} has no address"))
}
