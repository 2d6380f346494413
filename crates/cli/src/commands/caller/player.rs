//! One party on its telephone: carries what happens to its [`Actor`], and out what the actor wants done.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use http::Method;
use tandem_script::audio::{self, Tape};
use tandem_script::report::{PartyReport, line};
use tandem_script::script::{Ask, Codec, EndedBy, KeyBy, Party, Role};
use tandem_script::webhooks::Received;
use tandem_script::{Actor, CallEnd, Command, Input, Outcome};
use tandem_server::simulator::{self, CallSpec, Carrier, Law, LiveCall, LiveEvent, LiveNews, LiveOrder};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use super::Talk;
use super::sounds::Sounds;
use crate::http::to_url;

/// What a party is given.
pub(super) struct Cast {
    pub(super) party: Arc<Party>,
    pub(super) carrier: Arc<Carrier>,
    pub(super) sounds: Sounds,
    /// Calls that come for it.
    pub(super) calls: mpsc::Receiver<LiveCall>,
    /// Requests to the script's web server.
    pub(super) requests: Option<broadcast::Receiver<Arc<Received>>>,
    /// Why the script ends now.
    pub(super) abort: watch::Receiver<Option<String>>,
    pub(super) started: Instant,
    pub(super) talk: Talk,
}

/// What is left of a party.
pub(super) struct Curtain {
    pub(super) report: PartyReport,
    /// When its call was over.
    pub(super) ended_at: Option<Instant>,
}

struct Player {
    cast: Cast,
    actor: Actor,
    call: Option<LiveCall>,
    jobs: JoinSet<(u32, Result<(), String>)>,
    tape: Option<(PathBuf, Instant, Tape)>,
    outcomes: Vec<Outcome>,
    call_id: Option<String>,
    timeline: Vec<(u64, String)>,
    /// Time never runs back for an actor, though news of calls may be a little old.
    now: Instant,
    is_aborted: bool,
}

/// What happened.
enum News {
    Call(Option<LiveNews>),
    Called(LiveCall),
    Request(Arc<Received>),
    Job(u32, Result<(), String>),
    Abort(String),
    Time,
}

/// Plays a party to its end.
pub(super) async fn play(cast: Cast) -> Curtain {
    let actor = Actor::new(Arc::clone(&cast.party), cast.started);
    let mut player = Player {
        now: cast.started,
        cast,
        actor,
        call: None,
        jobs: JoinSet::new(),
        tape: None,
        outcomes: Vec::new(),
        call_id: None,
        timeline: Vec::new(),
        is_aborted: false,
    };
    player.handle(None, Input::Timeout).await;
    while !player.actor.is_over() {
        let news = player.next().await;
        player.on(news).await;
    }
    player.finish()
}

impl Player {
    async fn next(&mut self) -> News {
        let wake = self.actor.deadline().map(tokio::time::Instant::from_std);
        let call = async {
            match &mut self.call {
                Some(call) => call.next().await,
                None => std::future::pending().await,
            }
        };
        let request = async {
            loop {
                match &mut self.cast.requests {
                    Some(requests) => match requests.recv().await {
                        Ok(request) => return request,
                        Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(broadcast::error::RecvError::Closed) => self.cast.requests = None,
                    },
                    None => std::future::pending().await,
                }
            }
        };
        let abort = async {
            if self.is_aborted {
                return std::future::pending().await;
            }
            let why = self.cast.abort.wait_for(Option::is_some).await.map(|why| why.clone());
            match why {
                Ok(why) => why.unwrap_or_default(),
                Err(_) => std::future::pending().await,
            }
        };
        let time = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            news = call => News::Call(news),
            Some(Ok((id, result))) = self.jobs.join_next(), if !self.jobs.is_empty() => News::Job(id, result),
            Some(called) = self.cast.calls.recv(), if !self.cast.calls.is_closed() => News::Called(called),
            request = request => News::Request(request),
            why = abort => News::Abort(why),
            () = time => News::Time,
        }
    }

    async fn on(&mut self, news: News) {
        match news {
            News::Call(Some(LiveNews::Event(at, event))) => match event {
                LiveEvent::Ringing => self.handle(Some(at), Input::Ringing).await,
                LiveEvent::EarlyMedia => self.handle(Some(at), Input::EarlyMedia).await,
                LiveEvent::Answered => self.handle(Some(at), Input::Answered).await,
                LiveEvent::Heard(samples) => {
                    if let Some((_, since, tape)) = &mut self.tape {
                        tape.add(at.saturating_duration_since(*since), &samples);
                    }
                    self.handle(Some(at), Input::Heard(&samples)).await;
                }
                LiveEvent::Key(key) => self.handle(Some(at), Input::Key(key)).await,
                LiveEvent::Done(id) => self.handle(Some(at), Input::Done(id)).await,
                LiveEvent::Failed(id, why) => self.handle(Some(at), Input::Failed(id, why.to_owned())).await,
            },
            News::Call(Some(LiveNews::Ended(outcome))) => {
                self.call = None;
                let end = CallEnd {
                    status: outcome.status.code,
                    phrase: outcome.status.phrase.clone(),
                    reason: outcome.status.reason.clone(),
                    by: match outcome.ended_by {
                        simulator::EndedBy::Us => EndedBy::Us,
                        simulator::EndedBy::Peer => EndedBy::Platform,
                        simulator::EndedBy::Failure => EndedBy::Failure,
                    },
                };
                self.timeline = outcome.timeline;
                self.handle(Some(outcome.ended_at), Input::Ended(end)).await;
            }
            News::Call(None) => {
                self.call = None;
                self.fail_call("the simulator stopped").await;
            }
            News::Called(call) => {
                self.call_id = Some(call.call.call_id.clone());
                self.call = Some(call);
                self.cast.calls.close();
                self.handle(None, Input::Called).await;
            }
            News::Request(request) => self.handle(None, Input::Webhook(request)).await,
            News::Job(id, Ok(())) => self.handle(None, Input::Done(id)).await,
            News::Job(id, Err(why)) => self.handle(None, Input::Failed(id, why)).await,
            News::Abort(why) => {
                self.is_aborted = true;
                self.handle(None, Input::Abort(why)).await;
            }
            News::Time => self.handle(None, Input::Timeout).await,
        }
    }

    async fn fail_call(&mut self, why: &str) {
        let phrase = why.to_owned();
        let end = CallEnd { status: 0, phrase, reason: None, by: EndedBy::Failure };
        self.handle(None, Input::Ended(end)).await;
    }

    /// Tells the actor and does what it wants.
    async fn handle(&mut self, at: Option<Instant>, input: Input<'_>) {
        self.now = self.now.max(at.unwrap_or_else(|| tokio::time::Instant::now().into_std()));
        self.actor.handle(self.now, input);
        loop {
            while let Some(outcome) = self.actor.outcome() {
                self.cast.talk.line(&line(&self.cast.party.name, &outcome));
                self.outcomes.push(outcome);
            }
            let Some(command) = self.actor.poll() else { return };
            if let Err(why) = self.obey(command).await {
                let phrase = why;
                let end = CallEnd { status: 0, phrase, reason: None, by: EndedBy::Failure };
                self.actor.handle(self.now, Input::Ended(end));
            }
        }
    }

    /// An error is the end of the call.
    async fn obey(&mut self, command: Command) -> Result<(), String> {
        let order = match command {
            Command::Dial => return self.dial().await,
            Command::Ring => LiveOrder::Ring,
            Command::Answer => LiveOrder::Answer(self.cast.party.codec.map(law)),
            Command::Refuse(status) => LiveOrder::Refuse(status),
            Command::Sound(id, _) | Command::Press(id, _, KeyBy::Inband) => {
                let samples = self.cast.sounds.get(&id).cloned().unwrap_or_default();
                LiveOrder::Play(id, samples)
            }
            Command::Press(id, keys, KeyBy::Event) => LiveOrder::Dial(id, keys),
            Command::Press(id, keys, KeyBy::Info) => LiveOrder::Info(id, keys),
            Command::Record(path) => {
                self.save_tape();
                self.tape = Some((path, self.now, Tape::default()));
                return Ok(());
            }
            Command::Request(id, ask) => {
                self.jobs.spawn(async move { (id, send(&ask).await) });
                return Ok(());
            }
            Command::HangUp => LiveOrder::HangUp,
        };
        match &self.call {
            Some(call) => call.order(order).await.map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    async fn dial(&mut self) -> Result<(), String> {
        let Role::Dials(dialling) = &self.cast.party.role else { return Ok(()) };
        let spec = CallSpec {
            host: dialling.host.clone(),
            credentials: dialling
                .credentials
                .as_ref()
                .map(|known| (known.user.clone(), known.password.clone())),
            headers: dialling.headers.clone(),
            ring_limit: dialling.ring_limit,
            law: self.cast.party.codec.map(law),
            ..CallSpec::new(dialling.from.clone(), dialling.to.clone())
        };
        let call = self.cast.carrier.place_live(spec).await.map_err(|error| error.to_string())?;
        self.call_id = Some(call.call.call_id.clone());
        self.call = Some(call);
        Ok(())
    }

    fn save_tape(&mut self) {
        let Some((path, _, tape)) = self.tape.take() else { return };
        if let Err(error) = std::fs::write(&path, audio::wav(tape.audio())) {
            self.cast.talk.line(&format!(
                "{}: cannot write {}: {error}",
                self.cast.party.name,
                path.display()
            ));
        }
    }

    fn finish(mut self) -> Curtain {
        self.save_tape();
        let report = PartyReport {
            name: self.cast.party.name.clone(),
            call_id: self.call_id,
            timeline: self.timeline,
            outcomes: self.outcomes,
        };
        Curtain { report, ended_at: self.actor.ended_at() }
    }
}

/// Where calls to a telephone's own address go: whoever is called by that number.
pub(super) fn answers(party: &Party, call: &LiveCall) -> bool {
    let Role::Answers(answering) = &party.role else { return false };
    let digits = |text: &str| text.trim_start_matches('+').to_owned();
    let wanted = answering.number.as_deref();
    wanted.is_none_or(|number| number == call.call.to || digits(number) == digits(&call.call.to))
}

/// The registration of a party that has one.
pub(super) fn registration(party: &Party, platform: SocketAddr) -> Option<simulator::Registration> {
    /// Should the script die, the platform forgets it so soon.
    const EXPIRES_S: u32 = 120;
    let Role::Answers(answering) = &party.role else { return None };
    let register = answering.register.as_ref()?;
    let host = register.host.clone().unwrap_or_else(|| platform.to_string());
    let known = &register.credentials;
    let mut registration = simulator::Registration::new(known.user.clone(), known.password.clone(), host);
    registration.expires_s = EXPIRES_S;
    Some(registration)
}

fn law(codec: Codec) -> Law {
    match codec {
        Codec::Pcmu => Law::Ulaw,
        Codec::Pcma => Law::Alaw,
    }
}

async fn send(ask: &Ask) -> Result<(), String> {
    let method = Method::from_bytes(ask.method.as_bytes()).map_err(|error| error.to_string())?;
    let body = match &ask.body {
        Some(body) => Some(serde_json::from_str(body).map_err(|error| format!("`json`: {error}"))?),
        None => None,
    };
    let basic = ask
        .credentials
        .as_ref()
        .map(|known| format!("Basic {}", tandem_server::basic_credentials(&known.user, &known.password)));
    let given = ask.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers: Vec<(&str, &str)> =
        given.chain(basic.as_deref().map(|basic| ("authorization", basic))).collect();
    let (status, value) =
        to_url(method, &ask.url, &headers, body.as_ref()).await.map_err(|error| format!("{error:#}"))?;
    let is_right = ask.status.map_or((200..300).contains(&status), |wanted| wanted == status);
    if is_right { Ok(()) } else { Err(format!("HTTP {status}: {value}")) }
}
