//! `tandem demo`: the real server as a child process, a simulated telephone network and PBX, an example
//! application; one call each way; every fact checked from the outside.

mod app;
mod child;
mod facts;
mod seed;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};
use tandem_server::simulator::{CallOutcome, CallSpec, Carrier, CarrierConfig, Step};
use tokio::task::JoinSet;

use self::app::ExampleApp;
use self::child::Server;
use self::facts::{CallFacts, Finding};
use self::seed::{Doors, Seeds};
use super::block_on;
use crate::arguments::{Arguments, Demo};
use crate::http as wire;

/// A number of the simulated network that answers after ringing and plays a melody.
const SPEAKING_NUMBER: &str = "+919876540000";
/// Who calls in from the simulated network.
const OUTSIDE_CALLER: &str = "+919812345678";
/// What the PBX plays into its call; the far end listens for it.
const PBX_TONE_HZ: u16 = 700;
/// Between two looks at a timeline.
const LOOK: Duration = Duration::from_millis(120);

pub(crate) fn run(arguments: &Arguments, demo: &Demo) -> anyhow::Result<()> {
    block_on(0, async {
        let throw_away;
        let data = match (&demo.data, demo.stay) {
            (Some(data), _) => data.clone(),
            (None, true) => PathBuf::from("data"),
            (None, false) => {
                throw_away = tempfile::tempdir()?;
                throw_away.path().to_owned()
            }
        };
        let mut tasks = JoinSet::new();
        let outcome = perform(arguments, demo, &data, &mut tasks).await;
        tasks.shutdown().await;
        outcome
    })
}

async fn perform(
    arguments: &Arguments,
    demo: &Demo,
    data: &Path,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let host: IpAddr =
        demo.host.parse().with_context(|| format!("--host {} is not an address", demo.host))?;
    std::fs::create_dir_all(data)?;
    let data = data.canonicalize()?;
    let ports = if demo.stay { Ports::usual() } else { Ports::free() };
    let mut server = Server::start(&data, host, &ports, demo.database.as_deref()).await?;
    let talk = Talk { quiet: arguments.json };
    talk.say(&format!("Tandem is ready: API {}, SIP {}", server.api, server.sip));

    let loopback = |port| SocketAddr::from((IpAddr::from([127, 0, 0, 1]), port));
    let app =
        ExampleApp::start(loopback(ports.application), tasks).await.context("the example application")?;
    let simulated =
        |port| CarrierConfig { listen: SocketAddr::new(host, port), ..CarrierConfig::new(server.sip) };
    let carrier = Carrier::start(simulated(ports.carrier)).await.context("the carrier simulator")?;
    let pbx = Carrier::start(simulated(ports.pbx)).await.context("the simulated PBX")?;
    let api = server.api.clone();
    let doors = Doors { api: &api, data: &data };
    let seeds = seed::provision(&doors, &app, carrier.addr(), pbx.addr()).await?;
    talk.say(
        "A partner, a customer with balance, two trunks, two numbers, a phone and an application are there.",
    );

    let opening = balance(&doors, &seeds).await?;
    let calls = async {
        let outbound = outbound(&api, &doors, &seeds, &app, &carrier, &pbx, talk).await?;
        let inbound = inbound(&api, &doors, &seeds, &app, &carrier, talk).await?;
        anyhow::Ok(vec![outbound, inbound])
    };
    let calls = tokio::select! {
        calls = calls => calls?,
        died = server.died() => anyhow::bail!("the server ended: {died}"),
    };
    let ledger = doors.operator(Method::GET, "/admin/ledger/verify", None).await?;
    let mut findings: Vec<Finding> = calls.iter().flat_map(|call| call.findings.clone()).collect();
    let spent: i64 = calls.iter().map(|call| call.cost_micros).sum();
    let closing = balance(&doors, &seeds).await?;
    findings.push(Finding::of(
        "the balance is the opening one less what the calls cost",
        closing == opening - spent,
    ));
    findings.push(Finding::of("the ledger verifies", ledger["ok"] == true));
    let ok = findings.iter().all(|finding| finding.holds);

    if arguments.json {
        let wrong: Vec<_> =
            findings.iter().filter(|finding| !finding.holds).map(|finding| &finding.claim).collect();
        crate::output::line(&format!(
            "{}",
            json!({"ok": ok, "calls": calls, "ledger": ledger, "wrong": wrong})
        ));
    } else {
        for finding in &findings {
            println!("  {} {}", if finding.holds { "ok   " } else { "WRONG" }, finding.claim);
        }
    }
    if demo.stay {
        print_settings(&server, &seeds, &app, &carrier, &doors);
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            died = server.died() => anyhow::bail!("the server ended: {died}"),
        }
    }
    carrier.shutdown().await;
    pbx.shutdown().await;
    server.stop().await;
    anyhow::ensure!(ok, "a fact is wrong; see above");
    Ok(())
}

/// Ports of one run: the usual ones when somebody is going to use them, free ones otherwise.
struct Ports {
    api: u16,
    sip: u16,
    carrier: u16,
    pbx: u16,
    application: u16,
}

impl Ports {
    const fn free() -> Self {
        Self { api: 0, sip: 0, carrier: 0, pbx: 0, application: 0 }
    }

    const fn usual() -> Self {
        Self { api: 8080, sip: 5060, carrier: 5070, pbx: 5072, application: 8081 }
    }
}

/// Talk for people, kept away from JSON.
#[derive(Clone, Copy)]
struct Talk {
    quiet: bool,
}

impl Talk {
    fn say(self, text: &str) {
        if !self.quiet {
            println!("{text}");
        }
    }
}

async fn outbound(
    api: &str,
    doors: &Doors<'_>,
    seeds: &Seeds,
    app: &ExampleApp,
    carrier: &Carrier,
    pbx: &Carrier,
    talk: Talk,
) -> anyhow::Result<CallFacts> {
    talk.say(&format!(
        "\nA call out: the PBX dials {SPEAKING_NUMBER} through its trunk, the network answers and plays."
    ));
    let script =
        [Step::Wait(300), Step::PlayTone { hz: PBX_TONE_HZ, ms: 1_200 }, Step::Wait(1_500), Step::Hangup];
    let mut spec = CallSpec::new(seeds.number.clone(), SPEAKING_NUMBER).script(script);
    spec.host = Some(seeds.outbound_domain.clone());
    spec.credentials = Some((seeds.trunk_username.clone(), seeds.trunk_password.clone()));
    let known = known_calls(api).await?;
    let (outcome, call) = tokio::join!(pbx.call(spec), follow(api, &known, talk));
    let (outcome, call) = (outcome?, call?);
    let told = app.wait_for(&call, &["CallInitiated", "Hangup"], Duration::from_secs(10)).await;
    finish_timeline(api, &call, talk).await?;
    print_checked(app, &call, talk);
    let mut facts = CallFacts::of("outbound", call, doors, seeds, app).await?;
    facts.claim("out: the call was answered", outcome.status.code == 200);
    facts.claim(
        "out: the PBX hears the melody of the network",
        outcome.rtp.heard_tone(440) && outcome.rtp.heard_tone(880),
    );
    let callee = carrier.calls().pop();
    let heard = callee.is_some_and(|call| call.rtp.heard_tone(PBX_TONE_HZ));
    facts.claim("out: the network hears the tone of the PBX", heard);
    facts.claim("out: CallInitiated and Hangup arrived", told);
    talked_as_billed(&mut facts, "out", &outcome);
    facts
        .claim("out: the price is the rate's, to the micro-unit", facts.cost_micros == priced(facts.billsec));
    Ok(facts)
}

async fn inbound(
    api: &str,
    doors: &Doors<'_>,
    seeds: &Seeds,
    app: &ExampleApp,
    carrier: &Carrier,
    talk: Talk,
) -> anyhow::Result<CallFacts> {
    talk.say(&format!(
        "\nA call in: {OUTSIDE_CALLER} calls {}; the example application speaks and asks for a digit.",
        seeds.number
    ));
    let script =
        [Step::Wait(3_000), Step::SendDigits("1".to_owned()), Step::ExpectHangup { within_ms: 20_000 }];
    let spec = CallSpec::new(OUTSIDE_CALLER, seeds.number.clone()).script(script);
    let known = known_calls(api).await?;
    let (outcome, call) = tokio::join!(carrier.call(spec), follow(api, &known, talk));
    let (outcome, call) = (outcome?, call?);
    let told = app.wait_for(&call, &["StartApp", "Redirect", "Hangup"], Duration::from_secs(10)).await;
    finish_timeline(api, &call, talk).await?;
    print_checked(app, &call, talk);
    let mut facts = CallFacts::of("inbound", call, doors, seeds, app).await?;
    facts.claim("in: the call was answered", outcome.status.code == 200);
    facts.claim("in: the caller hears speech", outcome.rtp.loud_ms > 1_000);
    facts.claim("in: the platform hangs up when the document ends", outcome.failed_step.is_none());
    facts.claim("in: answer URL, action URL and Hangup were requested", told);
    facts.claim("in: inbound talk is free in this deck", facts.cost_micros == 0);
    talked_as_billed(&mut facts, "in", &outcome);
    Ok(facts)
}

fn talked_as_billed(facts: &mut CallFacts, which: &str, outcome: &CallOutcome) {
    let billsec = facts.billsec as f64;
    facts.claim(
        &format!("{which}: billed {billsec} s for {:.2} s of talk", outcome.talk_seconds),
        // The far end's clock starts and stops a network's breath later: half up, give or take 100 ms.
        (outcome.talk_seconds - billsec).abs() <= 0.6,
    );
}

fn priced(billsec: u64) -> i64 {
    i64::try_from(billsec.div_ceil(60)).unwrap_or(i64::MAX).saturating_mul(seed::MINUTE_MICROS)
}

async fn known_calls(api: &str) -> anyhow::Result<Vec<String>> {
    let calls = wire::accepted(wire::to_url(Method::GET, &format!("{api}/dev/calls"), &[], None).await?)?;
    Ok(ids(&calls))
}

fn ids(calls: &Value) -> Vec<String> {
    let calls = calls["calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    calls.iter().filter_map(|call| call["call"].as_str().map(str::to_owned)).collect()
}

/// Prints the timeline of the one new call as it happens, until its record is written.
async fn follow(api: &str, known: &[String], talk: Talk) -> anyhow::Result<String> {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    let mut printed = 0;
    let mut look = tokio::time::interval(LOOK);
    while tokio::time::Instant::now() < deadline {
        look.tick().await;
        let calls = wire::accepted(wire::to_url(Method::GET, &format!("{api}/dev/calls"), &[], None).await?)?;
        let listed = calls["calls"].as_array().map(Vec::as_slice).unwrap_or_default();
        let new = listed.iter().rev().find(|call| {
            let id = call["call"].as_str().unwrap_or_default();
            !known.iter().any(|old| old == id)
        });
        let Some(call) = new else { continue };
        printed = print_lines(call, printed, talk);
        if !call["record"].is_null() {
            PRINTED.with(|cell| cell.set(printed));
            return Ok(call["call"].as_str().unwrap_or_default().to_owned());
        }
    }
    anyhow::bail!("no call reached its record within a minute")
}

thread_local! {
    /// How many lines of the call being followed are printed; the rest comes with its webhooks.
    static PRINTED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Prints what came after the record: the webhooks.
async fn finish_timeline(api: &str, call: &str, talk: Talk) -> anyhow::Result<()> {
    let described =
        wire::accepted(wire::to_url(Method::GET, &format!("{api}/dev/calls/{call}"), &[], None).await?)?;
    print_lines(&described, PRINTED.with(std::cell::Cell::get), talk);
    Ok(())
}

fn print_lines(call: &Value, from: usize, talk: Talk) -> usize {
    let lines = call["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    for line in lines.iter().skip(from) {
        let at = line["at"].as_str().unwrap_or_default();
        let clock = at.split('T').nth(1).map_or("", |time| time.get(..12).unwrap_or(time));
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        talk.say(&format!("  {clock}  {:<8} {}", text("kind"), text("text")));
    }
    lines.len().max(from)
}

/// What the application made of everything it was sent about a call.
fn print_checked(app: &ExampleApp, call: &str, talk: Talk) {
    for received in app.about(call) {
        let verdict = if received.signature_valid { "signature valid" } else { "SIGNATURE WRONG" };
        let what = if received.is_webhook { "webhook" } else { "request" };
        talk.say(&format!(
            "  application  {what} {}: {verdict}, answered {}",
            received.event, received.status
        ));
    }
}

/// The customer's balance in micro-units; the operator sees it with six decimals.
async fn balance(doors: &Doors<'_>, seeds: &Seeds) -> anyhow::Result<i64> {
    let account = doors.operator(Method::GET, &format!("/admin/accounts/{}", seeds.account_id), None).await?;
    let text = account["balance"].as_str().with_context(|| format!("no balance in {account}"))?;
    text.replace('.', "").parse().with_context(|| format!("the balance {text} has not six decimals"))
}

fn print_settings(server: &Server, seeds: &Seeds, app: &ExampleApp, carrier: &Carrier, doors: &Doors<'_>) {
    println!(
        "
Tandem stays up until Ctrl-C. Both calls, with their audio:  {api}/

  API          {api}/api/v1
  customer     X-Auth-ID: {account}   X-Auth-Token: {token}
  partner      X-Auth-ID: {partner}   X-Auth-Token: {partner_token}

Register a softphone, and it rings when you paste the command below:
  SIP server   {sip} (UDP)          domain / realm  {registrar}
  user         {user}            password        {password}
  outbound proxy (if the phone asks for one)  sip:{sip};transport=udp

  curl -X POST {api}/api/v1/Account/{account}/Call/ \\
    -H 'X-Auth-ID: {account}' -H 'X-Auth-Token: {token}' -H 'Content-Type: application/json' \\
    -d '{{\"from\": \"{number}\", \"to\": \"sip:{user}@{registrar}\", \"answer_url\": \"{hello}\"}}'

A call to the simulated network instead ({speaking} answers and plays; `tandem sim carrier --table` lists more):
  ... -d '{{\"from\": \"{number}\", \"to\": \"{speaking}\", \"answer_url\": \"{hello}\"}}'

A PBX of your own: trunk {domain} at {sip}, user {trunk_user}, password {trunk_password}, caller ID {number}.
The simulated carrier listens on {carrier}. Data is in {data}.",
        api = server.api,
        account = seeds.account_id,
        token = seeds.account_token,
        partner = seeds.partner_id,
        partner_token = seeds.partner_token,
        sip = server.sip,
        registrar = seeds.registrar,
        user = seeds.endpoint,
        password = seeds.endpoint_password,
        number = seeds.number,
        hello = app.url("hello"),
        speaking = SPEAKING_NUMBER,
        domain = seeds.outbound_domain,
        trunk_user = seeds.trunk_username,
        trunk_password = seeds.trunk_password,
        carrier = carrier.addr(),
        data = doors.data.display(),
    );
}
