//! A real softphone (Debian's baresip), set up with nothing but what `tandem demo --stay` prints: it registers,
//! rings, is heard and hears, calls out, and rings after a crash of the server; on this machine and behind a
//! router that rewrites every port.
//!
//! As root each test has networks of its own, so the demo's well-known ports are free. Without root the first
//! test needs them free, and the ones behind the router say what they lack.
//! `make slow` adds the test that waits for NAT bindings to expire (over a minute).

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tandem_model::clock;
use tandem_server::simulator::{Carrier, CarrierConfig};
use tandem_testkit::{
    Answer, Credentials, Hearing, Namespace, NatOptions, PhonePlace, PhoneSettings, Sink, Softphone, UdpNat,
    over_socket, rest,
};

/// What the phone plays into its microphone: no tone of the simulated network.
const PHONE_HZ: u16 = 523;
/// The network's melody begins with these.
const MELODY_HZ: [u16; 2] = [440, 880];
/// A number of the simulated network that answers and plays.
const SPEAKING_NUMBER: &str = "+919876540000";
/// Speech on a telephone is louder.
const SPEECH_DBFS: f64 = -35.0;
/// Longest until something that takes a network's breath has happened.
const SOON: Duration = Duration::from_secs(5);
/// Longest call of these tests.
const CALL: Duration = Duration::from_secs(30);

#[test]
fn a_softphone_on_this_machine_registers_rings_calls_and_survives_a_crash() {
    let network = Namespace::new("host").ok();
    let stand = Stand { network: network.as_ref(), nat: None };
    in_network(stand.network, || block_on(a_working_day(&stand)));
}

#[test]
fn a_softphone_behind_a_router_registers_rings_calls_and_survives_a_crash() {
    let Some(nat) = router() else { return };
    let stand = Stand { network: Some(nat.internet()), nat: Some(&nat) };
    in_network(stand.network, || block_on(a_working_day(&stand)));
}

#[test]
fn a_softphone_on_tcp_is_rung_over_the_connection_it_registered_on() {
    on_a_connection("tcp", 5060);
}

#[test]
fn a_softphone_on_tls_is_rung_over_the_connection_it_registered_on() {
    on_a_connection("tls", 5061);
}

fn on_a_connection(transport: &str, port: u16) {
    let network = Namespace::new(transport).ok();
    let stand = Stand { network: network.as_ref(), nat: None };
    in_network(stand.network, || block_on(a_connected_hour(&stand, transport, port)));
}

async fn a_connected_hour(stand: &Stand<'_>, transport: &str, port: u16) {
    let mut world = World::start(stand);
    world.printed.phone.transport = transport.to_owned();
    world.printed.phone.proxy = format!("sip:{}:{port};transport={transport}", stand.host());
    let phone = world.phone(Duration::from_hours(1)).await;
    phone.registered(SOON).await;
    assert_eq!(world.registered().await, "true");
    world.ring_as_printed().await;
    phone.wait("CALL_CLOSED", 1, CALL).await;
    let heard = last_heard(&phone, 1);
    report(&format!("rung over {transport}: the phone hears"), &heard);
    assert!(heard.louder_than(SPEECH_DBFS) >= 1.0, "the phone hears speech");
    let via = format!("Via: SIP/2.0/{} ", transport.to_ascii_uppercase());
    let log = phone.log();
    let invite = log.split("INVITE sip:").nth(1).unwrap_or_default();
    assert!(invite.contains(&via), "the INVITE came over {transport}");
}

#[test]
#[ignore = "takes over a minute: make slow"]
fn keep_alives_hold_the_way_to_a_phone_that_says_nothing_for_longer_than_its_router_remembers() {
    let Some(nat) = router() else { return };
    let stand = Stand { network: Some(nat.internet()), nat: Some(&nat) };
    in_network(stand.network, || block_on(a_quiet_minute(&stand)));
}

#[expect(clippy::disallowed_methods, reason = "CI must not pass what it could not test")]
fn router() -> Option<UdpNat> {
    match UdpNat::start(NatOptions::default()) {
        Ok(nat) => Some(nat),
        Err(missing) => {
            assert!(std::env::var_os("CI").is_none(), "not tested: {missing}");
            eprintln!("not tested: {missing}");
            None
        }
    }
}

async fn a_working_day(stand: &Stand<'_>) {
    let mut world = World::start(stand);

    // It registers with what the demo prints.
    assert_eq!(world.registered().await, "false");
    let mut phone = world.phone(Duration::from_mins(1)).await;
    phone.registered(SOON).await;
    assert_eq!(world.registered().await, "true");

    // It rings, answers by itself, hears speech; the platform hears it and ends the call.
    let call = world.ring_as_printed().await;
    phone.wait("CALL_ESTABLISHED", 1, SOON).await;
    phone.wait("CALL_CLOSED", 1, CALL).await;
    let heard = last_heard(&phone, 1);
    report("rung: the phone hears", &heard);
    assert!(heard.louder_than(SPEECH_DBFS) >= 1.0, "the phone hears speech");
    assert!(heard.tone_for(PHONE_HZ) < 0.3, "and not its own tone");
    let recording = world.recording(&call).await;
    for (side, channel) in recording.iter().enumerate() {
        report(&format!("rung: recording, channel {side}"), channel);
    }
    assert_eq!(recording.len(), 2);
    let tonal: Vec<_> = recording.iter().filter(|channel| channel.tone_for(PHONE_HZ) >= 1.0).collect();
    assert_eq!(tonal.len(), 1, "one side of the recording is the phone's tone");
    let spoken = recording.iter().filter(|channel| channel.tone_for(PHONE_HZ) < 0.3);
    assert_eq!(
        spoken.filter(|channel| channel.louder_than(SPEECH_DBFS) >= 1.0).count(),
        1,
        "the other speaks"
    );

    // It calls out through its application.
    let carrier = world.own_carrier().await;
    phone.dial(&format!("sip:{SPEAKING_NUMBER}@{}", world.printed.phone.domain)).await;
    phone.wait("CALL_ESTABLISHED", 2, CALL).await;
    if let Some(nat) = stand.nat {
        assert_translated(nat);
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    phone.hang_up().await;
    phone.wait("CALL_CLOSED", 2, SOON).await;
    let heard = last_heard(&phone, 2);
    report("calling out: the phone hears", &heard);
    let melody: Vec<_> = MELODY_HZ.iter().map(|hz| heard.tone_for(*hz)).collect();
    eprintln!("calling out: seconds of {MELODY_HZ:?} Hz: {melody:.2?}");
    assert!(melody.iter().all(|seconds| *seconds > 0.1), "the phone hears the network's melody: {melody:?}");
    let callee = until(SOON, || carrier.calls().pop().filter(|call| call.rtp.heard_tone(PHONE_HZ))).await;
    eprintln!("calling out: the network hears {:.1} dBFS, {:?}", callee.rtp.heard_rms_dbfs, callee.rtp.tones);
    drop(phone);

    // A crash, and the phone rings again without having to register.
    let phone = world.phone(Duration::from_hours(1)).await;
    phone.registered(SOON).await;
    let registers = phone.register_requests();
    world.crash_and_restart().await;
    let page =
        Sink::start(|_| Answer::xml("<Response><Speak>The way to you was remembered, though the server ended without a word. Goodbye.</Speak></Response>"))
            .await;
    world.ring(&page.url("answer")).await;
    phone.wait("CALL_CLOSED", 1, CALL).await;
    assert_eq!(phone.register_requests(), registers, "it did not register again");
    let heard = last_heard(&phone, 1);
    report("after the crash: the phone hears", &heard);
    assert!(heard.louder_than(SPEECH_DBFS) >= 1.0, "the phone hears speech after the crash");
}

async fn a_quiet_minute(stand: &Stand<'_>) {
    let world = World::start(stand);
    let nat = stand.nat.expect("this stand has a router");
    let phone = world.phone(Duration::from_hours(1)).await;
    phone.registered(SOON).await;
    let registers = phone.register_requests();
    let to_platform =
        || nat.bindings().into_iter().filter(|kept| kept.peer == world.printed.sip).collect::<Vec<_>>();
    let before = to_platform();
    assert!(!before.is_empty(), "the router keeps a binding");
    // More than twice what the router remembers; the platform's keep-alive is all that passes.
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(phone.register_requests(), registers);
    assert_eq!(to_platform(), before, "the same binding still stands");
    world.ring_as_printed().await;
    phone.wait("CALL_CLOSED", 1, CALL).await;
    let heard = last_heard(&phone, 1);
    report("after 70 s of silence: the phone hears", &heard);
    assert!(heard.louder_than(SPEECH_DBFS) >= 1.0, "the phone hears speech");
}

/// Signalling and media both went through the router, from ports of its own.
fn assert_translated(nat: &UdpNat) {
    let bindings = nat.bindings();
    let inside: Vec<_> = bindings.iter().filter(|kept| kept.inside.ip() == nat.inside_ip()).collect();
    eprintln!("bindings: {inside:?}");
    assert!(
        inside
            .iter()
            .all(|kept| kept.outside.ip() == nat.outside_ip() && kept.outside.port() != kept.inside.port())
    );
    assert!(inside.iter().any(|kept| kept.peer.port() == 5060), "signalling");
    assert!(inside.iter().any(|kept| kept.peer.port() != 5060), "media");
}

fn last_heard(phone: &Softphone, calls: usize) -> Hearing {
    let mut heard = phone.heard();
    assert_eq!(heard.len(), calls, "the phone keeps one recording of each call");
    heard.pop().expect("there is one")
}

fn report(what: &str, heard: &Hearing) {
    eprintln!(
        "{what} {:.1} dBFS over {:.1} s, {:.1} s above {SPEECH_DBFS}, {:.1} s of its own tone",
        heard.dbfs(),
        heard.seconds(),
        heard.louder_than(SPEECH_DBFS),
        heard.tone_for(PHONE_HZ)
    );
}

/// Where a test takes place.
struct Stand<'a> {
    network: Option<&'a Namespace>,
    nat: Option<&'a UdpNat>,
}

impl Stand<'_> {
    fn host(&self) -> IpAddr {
        self.nat.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), UdpNat::public_ip)
    }

    fn phone_place(&self) -> PhonePlace<'_> {
        match self.nat {
            Some(nat) => PhonePlace { network: Some(nat.home()), address: nat.inside_ip() },
            None => PhonePlace { network: self.network, address: self.host() },
        }
    }
}

fn in_network(network: Option<&Namespace>, test: impl FnOnce() + Send) {
    match network {
        Some(network) => network.run(test),
        None => test(),
    }
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// Polls `what` until it is there.
async fn until<T>(patience: Duration, mut what: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::monotonic() + patience;
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(clock::monotonic() < deadline, "it did not come in {patience:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A demo that stays, and what it prints.
struct World<'a> {
    stand: &'a Stand<'a>,
    data: PathBuf,
    demo: Child,
    /// The server of a later life.
    server: Option<Child>,
    printed: Printed,
    _output: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

/// What a person reads off the screen.
struct Printed {
    api: String,
    sip: SocketAddr,
    customer: Credentials,
    phone: PhoneSettings,
    /// The body of the curl command.
    call: Value,
}

impl<'a> World<'a> {
    fn start(stand: &'a Stand<'a>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let mut demo = tandem()
            .args(["demo", "--stay", "--host", &stand.host().to_string(), "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut output = BufReader::new(demo.stdout.take().expect("a pipe"));
        let mut text = String::new();
        while !text.contains("\nThe simulated carrier listens") {
            if output.read_line(&mut text).expect("text") == 0 {
                drop(demo.kill());
                panic!("the demo ended: {text}");
            }
        }
        let printed = Printed::read(&text);
        Self { stand, data, demo, server: None, printed, _output: output, _folder: folder }
    }

    async fn phone(&self, register_every: Duration) -> Softphone {
        let settings = PhoneSettings { register_every, ..self.printed.phone.clone() };
        Softphone::start(&settings, self.stand.phone_place(), PHONE_HZ).await
    }

    /// `sip_registered` of the phone's endpoint.
    async fn registered(&self) -> String {
        let endpoints = self.customer("GET", "/Endpoint/", None).await;
        let listed = endpoints["objects"].as_array().expect("objects");
        let own = listed.iter().find(|endpoint| endpoint["username"] == self.printed.phone.user.as_str());
        own.and_then(|endpoint| endpoint["sip_registered"].as_str()).expect("the endpoint").to_owned()
    }

    /// The printed command.
    async fn ring_as_printed(&self) -> String {
        self.call(&self.printed.call).await
    }

    /// The same with a page of our own.
    async fn ring(&self, page: &str) -> String {
        let mut body = self.printed.call.clone();
        body["answer_url"] = json!(page);
        self.call(&body).await
    }

    async fn call(&self, body: &Value) -> String {
        let made = self.customer("POST", "/Call/", Some(body)).await;
        let id = ["call_uuid", "request_uuid"].iter().find_map(|name| made[name].as_str());
        id.unwrap_or_else(|| panic!("no call in {made}")).to_owned()
    }

    async fn customer(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let Printed { api, customer, .. } = &self.printed;
        rest(method, &format!("{api}/api/v1/Account/{}{path}", customer.id), Some(customer), body).await.ok()
    }

    /// Both channels of a call's recording.
    async fn recording(&self, call: &str) -> Vec<Hearing> {
        let path = self.data.join("recordings").join(format!("{call}.wav"));
        until(SOON, || Hearing::read(&path).ok()).await
    }

    /// A carrier that this test can ask what it heard, in place of the demo's.
    async fn own_carrier(&self) -> Carrier {
        let listen = SocketAddr::new(self.stand.host(), 0);
        let config = CarrierConfig { listen, ..CarrierConfig::new(self.printed.sip) };
        let carrier = Carrier::start(config).await.expect("the simulated carrier");
        let address = carrier.addr();
        let body = json!({"name": "simulator", "host": address.ip().to_string(), "port": address.port(),
            "sources": [address.to_string()]});
        let socket = self.data.join("admin.sock");
        over_socket(&socket, "PUT", "/admin/carriers/simulator", Some(&body)).await.ok();
        carrier
    }

    /// kill -9 to the server, and a new one on the same data and ports.
    async fn crash_and_restart(&mut self) {
        let server = child_of(self.demo.id()).expect("the demo's server");
        assert!(send(server, rustix::process::Signal::KILL), "the server is there to be killed");
        let ended = until(SOON * 2, || self.demo.try_wait().ok().flatten()).await;
        assert!(!ended.success(), "the demo notices that its server is gone");
        let mut server = tandem()
            .args(["serve", "--dev", "--ready-json", "--drain", "1", "--api"])
            .arg(self.printed.api.trim_start_matches("http://"))
            .args(["--sip", &self.printed.sip.to_string(), "--data"])
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(self.data.join("serve-again.log")).expect("the folder is writable"))
            .spawn()
            .expect("the binary starts");
        let mut ready = String::new();
        let stdout = server.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut ready).expect("a line");
        self.server = Some(server);
        assert!(serde_json::from_str::<Value>(&ready).is_ok(), "the server is ready again: {ready:?}");
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        // Asked, so that it stops its server.
        if matches!(self.demo.try_wait(), Ok(None)) {
            send(self.demo.id(), rustix::process::Signal::INT);
            drop(self.demo.wait());
        }
        if let Some(server) = &mut self.server {
            drop(server.kill());
            drop(server.wait());
        }
        if std::thread::panicking() {
            for name in ["serve.log", "serve-again.log"] {
                let mut log = String::new();
                if let Ok(mut file) = std::fs::File::open(self.data.join(name)) {
                    drop(file.read_to_string(&mut log));
                }
                let tail: Vec<_> = log.lines().rev().take(40).collect();
                eprintln!("{name}:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        }
    }
}

impl Printed {
    fn read(text: &str) -> Self {
        let after = |label: &str| -> String {
            let found =
                text.split_once(label).unwrap_or_else(|| panic!("the demo does not print {label:?}: {text}"));
            found.1.split_whitespace().next().unwrap_or_default().to_owned()
        };
        let body =
            text.split_once("-d '").and_then(|(_, rest)| rest.split_once('\'')).expect("a curl command").0;
        Self {
            api: after("  API ").trim_end_matches("/api/v1").to_owned(),
            sip: after("  SIP server ").parse().expect("an address"),
            customer: Credentials { id: after("X-Auth-ID: "), token: after("X-Auth-Token: ") },
            phone: PhoneSettings {
                user: after("  user "),
                password: after("  password "),
                domain: after("domain / realm "),
                proxy: after("(if the phone asks for one) "),
                register_every: Duration::from_mins(1),
                transport: "udp".to_owned(),
            },
            call: serde_json::from_str(body).expect("JSON"),
        }
    }
}

fn tandem() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tandem"))
}

/// The one child of a process.
fn child_of(parent: u32) -> Option<u32> {
    let tasks = std::fs::read_dir(Path::new("/proc").join(parent.to_string()).join("task")).ok()?;
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .find_map(|children| children.split_whitespace().next()?.parse().ok())
}

fn send(process: u32, signal: rustix::process::Signal) -> bool {
    let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    process.is_some_and(|process| rustix::process::kill_process(process, signal).is_ok())
}
