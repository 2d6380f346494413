//! Delivery end to end: a real store, real servers, the guarded client.

use std::collections::VecDeque;
use std::sync::Mutex;

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode};
use secrecy::SecretString;
use tandem_model::ports::{Notice, Trace, TraceKind};
use tandem_model::{AccountId, CallId, DeliveryChannel, EventKind, HttpMethod, TrunkId};
use tandem_store::outbox::EnqueueEvents;
use tandem_store::{Reader, Store, WriterConfig};
use tokio::net::TcpListener;

use super::*;
use crate::egress::EgressPolicy;
use crate::webhooks::{
    AccountSecrets, TrunkSecrets, callback_event, endpoint_key, verify_body, verify_callback, verify_trunk,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Keys;

impl SigningSecrets for Keys {
    fn account(&self, _: &AccountId) -> Option<AccountSecrets> {
        Some(AccountSecrets { token: SecretString::from("token"), main_token: None })
    }

    fn trunk(&self, trunk: TrunkId) -> Option<TrunkSecrets> {
        (trunk != gone_trunk())
            .then(|| TrunkSecrets { current: SecretString::from("trunk-secret"), previous: None })
    }

    fn ndnc(&self, _: &AccountId) -> Option<SecretString> {
        Some(SecretString::from("agreed-for-complaints"))
    }
}

fn gone_trunk() -> TrunkId {
    TrunkId(uuid::Uuid::from_u128(7))
}

#[derive(Default)]
struct Watcher(Mutex<Vec<Trace>>);

impl Observer for Watcher {
    fn watching(&self) -> bool {
        true
    }

    fn observe(&self, trace: Trace) {
        self.0.lock().unwrap().push(trace);
    }
}

struct Seen {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: String,
}

/// A customer's server: scripted statuses, the last one stays; everything it saw.
struct Sink {
    script: Mutex<VecDeque<u16>>,
    seen: Mutex<Vec<Seen>>,
}

async fn take(
    State(sink): State<Arc<Sink>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, &'static str) {
    sink.seen.lock().unwrap().push(Seen { method, uri: uri.to_string(), headers, body });
    let mut script = sink.script.lock().unwrap();
    let status = if script.len() > 1 { script.pop_front().unwrap() } else { script[0] };
    (StatusCode::from_u16(status).unwrap(), "thanks")
}

/// A server process in small: store, Writer, engine.
struct House {
    _directory: tempfile::TempDir,
    writer: Writer,
    reader: Reader,
    watcher: Arc<Watcher>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl House {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::open_in(directory).await
    }

    async fn open_in(directory: tempfile::TempDir) -> Self {
        let store = Store::open_sqlite(directory.path()).await.unwrap();
        let (writer, feed) = store.start_writer(WriterConfig::for_node("test", clock::wall())).await.unwrap();
        let egress = Egress::new(EgressPolicy::with_loopback()).unwrap();
        let watcher = Arc::new(Watcher::default());
        let engine = DeliveryEngine::new(writer.clone(), egress, Arc::new(Keys), watcher.clone());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(engine.run(feed, stop.clone()));
        Self { _directory: directory, writer, reader: store.reader(), watcher, stop, tasks }
    }

    async fn sink(&mut self, script: &[u16]) -> (Arc<Sink>, String) {
        let sink = Arc::new(Sink { script: Mutex::new(script.to_vec().into()), seen: Mutex::default() });
        let router = Router::new().fallback(take).with_state(sink.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        self.tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        (sink, base)
    }

    /// A port that takes connections and says nothing.
    async fn hung(&mut self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://127.0.0.1:{}/hung", listener.local_addr().unwrap().port());
        self.tasks.spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
            }
        });
        base
    }

    async fn enqueue(&self, events: &[OutboxEvent]) {
        self.writer.submit(EnqueueEvents(events.to_vec())).await.unwrap();
    }

    /// Waits until an event is in a final state.
    async fn settled(&self, event: &OutboxEvent) -> OutboxRow {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let row = self.reader.outbox_event(&event.account, event.event).await.unwrap().unwrap();
                if row.state != "pending" {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the event settles in time")
    }
}

fn trunk_event(url: &str, channel: DeliveryChannel, method: HttpMethod) -> OutboxEvent {
    OutboxEvent {
        event: EventId::random(),
        account: AccountId::new("MA_TEST"),
        call: Some(CallId::random()),
        endpoint_key: endpoint_key(url),
        kind: "Hangup".to_owned(),
        channel,
        url: url.to_owned(),
        method,
        content_type: "application/json".to_owned(),
        body: r#"{"Event":"Hangup","Duration":12}"#.to_owned(),
        secret_kind: "trunk".to_owned(),
        secret_ref: TrunkId(uuid::Uuid::from_u128(1)).to_string(),
        sequence: 1,
        created_at: clock::wall(),
    }
}

#[tokio::test]
async fn a_committed_trunk_event_arrives_signed_and_is_recorded() {
    let mut house = House::open().await;
    let (sink, base) = house.sink(&[200]).await;
    let event = trunk_event(&format!("{base}/calls?x=1#f"), DeliveryChannel::DurableTrunk, HttpMethod::Post);
    house.enqueue(std::slice::from_ref(&event)).await;
    let row = house.settled(&event).await;
    assert_eq!((row.state.as_str(), row.attempts, row.last_status), ("delivered", 1, Some(200)));
    let attempts = house.reader.delivery_attempts(event.event).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].response_excerpt.as_deref(), Some("thanks"));
    let seen = sink.seen.lock().unwrap();
    let seen = &seen[0];
    assert_eq!((seen.method.as_str(), seen.uri.as_str(), &seen.body), ("POST", "/calls?x=1", &event.body));
    let header = |name: &str| seen.headers.get(name).unwrap().to_str().unwrap();
    assert_eq!(header("user-agent"), "Vobiz-Vapor/1.0");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("x-vobiz-event"), "Hangup");
    assert_eq!(header("x-vobiz-request-id"), event.call.unwrap().to_string());
    assert_eq!(header("webhook-id"), event.event.to_string());
    let secret = SecretString::from("trunk-secret");
    assert!(verify_trunk(&secret, &seen.headers, seen.body.as_bytes()));
    assert!(verify_body(&secret, &seen.headers, seen.body.as_bytes(), clock::wall().as_second()));
    let traces = house.watcher.0.lock().unwrap();
    assert_eq!((traces[0].call, traces[0].kind), (event.call.unwrap(), TraceKind::Webhook));
    assert!(traces[0].text.starts_with("Hangup -> 127.0.0.1: 200 in "), "{}", traces[0].text);
}

#[tokio::test]
async fn a_trunk_event_by_get_travels_in_the_query() {
    let mut house = House::open().await;
    let (sink, base) = house.sink(&[204]).await;
    let event = trunk_event(&format!("{base}/calls?x=1"), DeliveryChannel::Trunk, HttpMethod::Get);
    house.enqueue(std::slice::from_ref(&event)).await;
    assert_eq!(house.settled(&event).await.state, "delivered");
    let seen = sink.seen.lock().unwrap();
    assert_eq!(seen[0].method, Method::GET);
    for part in ["/calls?x=1&", "Event=Hangup", "Duration=12"] {
        assert!(seen[0].uri.contains(part), "{}", seen[0].uri);
    }
}

#[tokio::test]
async fn a_callback_is_form_encoded_and_signed_with_the_account_token() {
    let mut house = House::open().await;
    let (sink, base) = house.sink(&[200]).await;
    let url = format!("{base}/hangup?x=1");
    let event = callback_event(Notice {
        account: AccountId::new("MA_TEST"),
        call: CallId::random(),
        event: EventKind::Hangup,
        url: url.clone(),
        method: HttpMethod::Post,
        params: vec![("From".into(), "91 98".to_owned()), ("Event".into(), "Hangup".to_owned())],
    });
    house.enqueue(std::slice::from_ref(&event)).await;
    assert_eq!(house.settled(&event).await.state, "delivered");
    let seen = sink.seen.lock().unwrap();
    assert_eq!(seen[0].body, "From=91+98&Event=Hangup");
    assert_eq!(seen[0].headers["user-agent"], "Vobiz");
    assert!(verify_callback(&SecretString::from("token"), &url, &seen[0].headers));
}

#[tokio::test]
async fn failures_are_retried_with_the_same_id_and_every_attempt_is_on_record() {
    let mut house = House::open().await;
    let (sink, base) = house.sink(&[500, 302, 200]).await;
    let event = trunk_event(&base, DeliveryChannel::Trunk, HttpMethod::Post);
    let started = clock::monotonic();
    house.enqueue(std::slice::from_ref(&event)).await;
    let row = house.settled(&event).await;
    assert_eq!((row.state.as_str(), row.attempts), ("delivered", 3));
    assert!(started.elapsed() >= Duration::from_secs(3), "pauses of 1 and 2 s");
    let statuses: Vec<_> = house
        .reader
        .delivery_attempts(event.event)
        .await
        .unwrap()
        .into_iter()
        .map(|attempt| (attempt.attempt, attempt.status))
        .collect();
    assert_eq!(statuses, [(1, Some(500)), (2, Some(302)), (3, Some(200))]);
    let seen = sink.seen.lock().unwrap();
    assert!(seen.iter().all(|seen| seen.headers["webhook-id"] == event.event.to_string().as_str()));
}

#[tokio::test]
async fn gone_endpoints_and_unusable_urls_become_dead_letters() {
    let mut house = House::open().await;
    let (sink, base) = house.sink(&[410]).await;
    let gone = trunk_event(&base, DeliveryChannel::DurableTrunk, HttpMethod::Post);
    let unusable = trunk_event("ftp://files.example/", DeliveryChannel::DurableTrunk, HttpMethod::Post);
    house.enqueue(&[gone.clone(), unusable.clone()]).await;
    assert_eq!(house.settled(&gone).await.state, "dead");
    assert_eq!(house.settled(&unusable).await.state, "dead");
    let next = trunk_event(&base, DeliveryChannel::DurableTrunk, HttpMethod::Post);
    house.enqueue(std::slice::from_ref(&next)).await;
    assert_eq!(house.settled(&next).await.state, "dead");
    assert_eq!(sink.seen.lock().unwrap().len(), 1, "an endpoint that is gone gets nothing more");
    let attempts = house.reader.delivery_attempts(next.event).await.unwrap();
    assert!(attempts[0].error.as_deref().unwrap().contains("410"));
}

#[tokio::test]
async fn events_left_behind_by_another_process_are_found_and_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let mut house = {
        let store = Store::open_sqlite(directory.path()).await.unwrap();
        let (tool, _feed) = store.start_writer(WriterConfig::unfenced(clock::wall())).await.unwrap();
        // Nobody listens there: written, never sent.
        let stranded = trunk_event("http://127.0.0.1:9/", DeliveryChannel::Trunk, HttpMethod::Post);
        tool.submit(EnqueueEvents(vec![stranded])).await.unwrap();
        tool.shutdown().await;
        drop(store);
        House::open_in(directory).await
    };
    let (_, base) = house.sink(&[200]).await;
    let event = trunk_event(&base, DeliveryChannel::Trunk, HttpMethod::Post);
    house.enqueue(std::slice::from_ref(&event)).await;
    assert_eq!(house.settled(&event).await.state, "delivered");
    tokio::time::timeout(PATIENCE, async {
        while house.reader.outbox_counts().await.unwrap().dead == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the stranded event was leased, tried four times and became a dead letter");
}

#[tokio::test]
async fn a_hung_endpoint_costs_the_others_nothing_and_a_stop_waits_for_it() {
    let mut house = House::open().await;
    let hung = house.hung().await;
    let (_, base) = house.sink(&[200]).await;
    let stuck: Vec<_> =
        (0..40).map(|_| trunk_event(&hung, DeliveryChannel::Callback, HttpMethod::Post)).collect();
    house.enqueue(&stuck).await;
    let started = clock::monotonic();
    let healthy: Vec<_> =
        (0..40).map(|_| trunk_event(&base, DeliveryChannel::Trunk, HttpMethod::Post)).collect();
    house.enqueue(&healthy).await;
    for event in &healthy {
        assert_eq!(house.settled(event).await.state, "delivered");
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    house.stop.cancel();
    house.tasks.join_next().await.unwrap().unwrap();
    let waited = started.elapsed();
    assert!(waited < DRAIN_MAX, "{waited:?}");
    // The ten under way timed out while the stop waited; that is on record.
    let mut recorded = 0;
    for event in &stuck {
        recorded += house.reader.delivery_attempts(event.event).await.unwrap().len();
    }
    assert_eq!(recorded, 10);
}

#[tokio::test]
async fn an_event_whose_secret_is_gone_is_not_sent_unsigned() {
    let mut house = House::open().await;
    let (sink, base) = house.sink(&[200]).await;
    let mut event = trunk_event(&base, DeliveryChannel::Trunk, HttpMethod::Post);
    event.secret_ref = gone_trunk().to_string();
    house.enqueue(std::slice::from_ref(&event)).await;
    assert_eq!(house.settled(&event).await.state, "dead");
    assert!(sink.seen.lock().unwrap().is_empty());
}
