//! The guard against real sockets: what must not be reached counts its connections.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CONTENT_ENCODING, LOCATION};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::client::REDIRECTS_MAX;
use super::*;

const MINUTE: Duration = Duration::from_mins(1);

/// Names with scripted answers: each look-up takes the next, the last one stays.
#[derive(Default)]
struct Scripted {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn with(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        let answers = names
            .iter()
            .map(|(name, script)| ((*name).to_owned(), script.iter().map(parse).collect()))
            .collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let mut answers = self.answers.lock().unwrap();
            let script = answers.get_mut(name.trim_end_matches('.')).ok_or("no such name")?;
            Ok(if script.len() > 1 { script.remove(0) } else { script[0].clone() })
        })
    }
}

/// Never answers.
struct Mute;

impl Resolve for Mute {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>> {
        Box::pin(std::future::pending())
    }
}

/// A listener that counts connections and answers `reached`.
struct Trap {
    port: u16,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Trap {
    async fn set(address: &str) -> Self {
        let listener = TcpListener::bind(address.parse::<SocketAddr>().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut answers = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                answers.spawn(async move {
                    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                    let mut head = [0; 4096];
                    let _ = stream.read(&mut head).await;
                    let _ = stream
                        .write_all(
                            b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nreached",
                        )
                        .await;
                });
            }
        });
        Self { port, connections, _tasks: tasks }
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Serves `router` on `host` and returns the port.
async fn serve(host: &str, router: Router, tasks: &mut JoinSet<()>) -> u16 {
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

fn limits() -> EgressLimits {
    EgressLimits::new(MINUTE, 16 * 1024, Overflow::Fail, Redirects::Follow)
}

async fn request(
    egress: &Egress,
    method: Method,
    url: &str,
    limits: EgressLimits,
) -> Result<EgressResponse, EgressError> {
    let target = EgressTarget::parse(url)?;
    let body = if method == Method::POST { Bytes::from_static(b"a=1") } else { Bytes::new() };
    egress.send(EgressRequest { method, target, headers: HeaderMap::new(), body, limits }).await
}

async fn fetch(egress: &Egress, url: &str) -> Result<EgressResponse, EgressError> {
    request(egress, Method::GET, url, limits()).await
}

/// Ways to write an address that is not public. `:@` stands for the trap's port.
const PRIVATE_URLS: &[&str] = &[
    // IPv4 loopback: dotted, short, decimal, octal, hexadecimal, mixed
    "http://127.0.0.1:@/",
    "http://127.0.0.1.:@/",
    "http://127.1:@/",
    "http://127.1.:@/",
    "http://127.0.1:@/",
    "http://2130706433:@/",
    "http://2130706433.:@/",
    "http://0x7f000001:@/",
    "http://0X7F000001:@/",
    "http://017700000001:@/",
    "http://0177.0.0.1:@/",
    "http://0177.0.0.01:@/",
    "http://00177.0.0.1:@/",
    "http://0x7f.0.0.1:@/",
    "http://0x7f.0x0.0x0.0x1:@/",
    "http://0x7f.1:@/",
    "http://127.0x1:@/",
    "http://127.00.00.01:@/",
    "http://0177.1:@/",
    "http://127.256:@/",
    "http://127.65535:@/",
    "http://127.0.255:@/",
    "http://127.127.127.127:@/",
    "http://127.0.0.2:@/",
    "http://127.255.255.254:@/",
    "http://0x7F.0.0.1:@/x",
    "http://0x7f.0x000001:@/",
    "http://2130706434:@/",
    "http://0x7f.0.0x0001:@/",
    "http://0177.0x0.0.1:@/",
    // encoded and full-width spellings
    "http://%31%32%37.0.0.1:@/",
    "http://127%2e0%2e0%2e1:@/",
    "http://127。0。0。1:@/",
    "http://127．0．0．1:@/",
    "http://127｡0｡0｡1:@/",
    "http://①②⑦.⓪.⓪.①:@/",
    "http://１２７.０.０.１:@/",
    "http://𝟏𝟐𝟕.𝟎.𝟎.𝟏:@/",
    "http://loc%61lhost:@/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:@/",
    "http://ｌｏｃａｌｈｏｓｔ:@/",
    "http://local\u{ad}host:@/",
    "http://127.0.0.1\u{200b}:@/",
    // the any-address and this network
    "http://0.0.0.0:@/",
    "http://0:@/",
    "http://0.0:@/",
    "http://0x0:@/",
    "http://00.0.0.0:@/",
    "http://0.0.0.0.:@/",
    "http://0.1.2.3:@/",
    // localhost by name
    "http://localhost:@/",
    "http://LOCALHOST:@/",
    "http://LocalHost.:@/",
    "http://foo.localhost:@/",
    "http://a.b.localhost.:@/",
    "http://127.0.0.1.localhost:@/",
    // other private IPv4
    "http://10.0.0.1:@/",
    "http://10.1:@/",
    "http://167772161:@/",
    "http://012.0.0.1:@/",
    "http://0xa.0.0.1:@/",
    "http://172.16.0.1:@/",
    "http://172.31.255.255:@/",
    "http://0xac100001:@/",
    "http://192.168.0.1:@/",
    "http://192.168.1:@/",
    "http://3232235521:@/",
    "http://0300.0250.0.1:@/",
    "http://169.254.169.254:@/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.16689662:@/",
    "http://100.64.0.1:@/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://192.0.2.1:@/",
    "http://198.18.0.1:@/",
    "http://198.51.100.1:@/",
    "http://203.0.113.1:@/",
    "http://224.0.0.1:@/",
    "http://239.255.255.250:@/",
    "http://240.0.0.1:@/",
    "http://255.255.255.255:@/",
    "http://4294967295:@/",
    "http://192.88.99.1:@/",
    // IPv6: loopback, any, mapped, compatible, translated, tunnels, local
    "http://[::1]:@/",
    "http://[0:0:0:0:0:0:0:1]:@/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]:@/",
    "http://[::0001]:@/",
    "http://[0::1]:@/",
    "http://[::]:@/",
    "http://[0:0:0:0:0:0:0:0]:@/",
    "http://[::ffff:127.0.0.1]:@/",
    "http://[::ffff:7f00:1]:@/",
    "http://[::FFFF:7F00:0001]:@/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:@/",
    "http://[::ffff:0.0.0.0]:@/",
    "http://[::ffff:10.0.0.1]:@/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::ffff:192.168.0.1]:@/",
    "http://[::127.0.0.1]:@/",
    "http://[::7f00:1]:@/",
    "http://[::ffff:0:127.0.0.1]:@/",
    "http://[64:ff9b::127.0.0.1]:@/",
    "http://[64:ff9b::7f00:1]:@/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::7f00:1]:@/",
    "http://[2002:7f00:1::]:@/",
    "http://[2002:7f00:1::1]:@/",
    "http://[2002:a00:1::]:@/",
    "http://[2001::1]:@/",
    "http://[2001:0:7f00:1::80ff:fffe]:@/",
    "http://[fe80::1]:@/",
    "http://[fec0::1]:@/",
    "http://[fc00::1]:@/",
    "http://[fd00:ec2::254]/",
    "http://[fdff::1]:@/",
    "http://[ff02::1]:@/",
    "http://[2001:db8::1]:@/",
    "http://[3fff::1]:@/",
    "http://[100::1]:@/",
    "http://[5f00::1]:@/",
    // user info, ports, paths and slashes that confuse parsers
    "http://good.example@127.0.0.1:@/",
    "http://good.example:80@127.0.0.1:@/",
    "http://good.example%40@127.0.0.1:@/",
    "http://user:pass@localhost:@/",
    "http://1.1.1.1@127.0.0.1:@/",
    "http://1.1.1.1%20@127.0.0.1:@/",
    "http://127.0.0.1:@\\@good.example/",
    "http://127.0.0.1:@/@good.example",
    "http://127.0.0.1:@?@good.example/",
    "http://127.0.0.1:@#@good.example/",
    "http:127.0.0.1:@/",
    "http:/127.0.0.1:@/",
    "http:///127.0.0.1:@/",
    "http:\\\\127.0.0.1:@/",
    "http:////127.0.0.1:@/",
    "HTTP://127.0.0.1:@/",
    " http://127.0.0.1:@/ ",
    "http://127.0.0.1\t:@/",
    "ht\ntp://127.0.0.1:@/",
    "http://\t127.0.0.1:@/",
    "https://127.0.0.1:@/",
    "https://[::1]:@/",
    "https://localhost:@/",
    "http://good.example:pw@[::1]:@/",
    // names that resolve to what is not public
    "http://loopback.test:@/",
    "http://loopback6.test:@/",
    "http://mapped.test:@/",
    "http://private.test:@/",
    "http://metadata.test/",
    "http://any.test:@/",
    "http://nat64.test:@/",
    "http://all-private.test:@/",
    "http://LOOPBACK.test.:@/",
    "http://good.example@loopback.test:@/",
    // not HTTP at all
    "file:///etc/passwd",
    "gopher://127.0.0.1:@/_x",
    "ftp://127.0.0.1:@/",
    "dict://127.0.0.1:@/",
    "ws://127.0.0.1:@/",
    "//127.0.0.1:@/",
    "127.0.0.1:@",
    "javascript:alert(1)",
    "http://",
    "http://[::1",
    "http://[::1%25lo]:@/",
];

fn private_names() -> Arc<Scripted> {
    Scripted::with(&[
        ("loopback.test", &[&["127.0.0.1"]]),
        ("loopback6.test", &[&["::1"]]),
        ("mapped.test", &[&["::ffff:127.0.0.1"]]),
        ("private.test", &[&["10.0.0.1", "192.168.0.1"]]),
        ("metadata.test", &[&["169.254.169.254"]]),
        ("any.test", &[&["0.0.0.0", "::"]]),
        ("nat64.test", &[&["64:ff9b::127.0.0.1"]]),
        ("all-private.test", &[&["127.0.0.1", "::1", "fe80::1", "10.0.0.1", "fd00::1"]]),
    ])
}

#[tokio::test]
async fn no_spelling_of_a_private_address_is_connected_to() {
    let trap = Trap::set("[::]:0").await;
    let egress = Egress::with_resolver(EgressPolicy::public_only(), private_names()).unwrap();
    assert!(PRIVATE_URLS.len() >= 120, "{}", PRIVATE_URLS.len());
    for template in PRIVATE_URLS {
        let url = template.replace(":@", &format!(":{}", trap.port));
        let outcome = fetch(&egress, &url).await;
        let refused = matches!(
            outcome,
            Err(EgressError::Refused { .. } | EgressError::Url(_) | EgressError::Dns { .. })
        );
        assert!(refused, "{url}: {outcome:?}");
    }
    assert_eq!(trap.count(), 0);
}

#[tokio::test]
async fn most_spellings_are_refused_for_their_address_and_not_for_their_syntax() {
    let trap = Trap::set("[::]:0").await;
    let egress = Egress::with_resolver(EgressPolicy::public_only(), private_names()).unwrap();
    let mut judged = 0;
    for template in PRIVATE_URLS {
        let url = template.replace(":@", &format!(":{}", trap.port));
        judged += usize::from(matches!(fetch(&egress, &url).await, Err(EgressError::Refused { .. })));
    }
    assert!(judged >= 120, "only {judged} reached the guard");
}

#[tokio::test]
async fn the_same_listener_is_reached_when_loopback_is_allowed() {
    let trap = Trap::set("[::]:0").await;
    let egress = Egress::with_resolver(EgressPolicy::with_loopback(), private_names()).unwrap();
    let mut reached = 0;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "localhost",
        "sub.localhost.",
        "[::1]",
        "loopback.test",
        "mapped.test",
    ] {
        let response = fetch(&egress, &format!("http://{host}:{}/", trap.port)).await.unwrap();
        assert_eq!(&response.body[..], b"reached");
        reached += 1;
        assert_eq!(trap.count(), reached, "{host}");
    }
    let any = fetch(&egress, &format!("http://0.0.0.0:{}/", trap.port)).await;
    assert!(matches!(any, Err(EgressError::Refused { .. })));
    assert_eq!(trap.count(), reached);
}

/// 127.0.0.2 plays the public server, 127.0.0.1 the private one.
fn only_second_loopback() -> EgressPolicy {
    EgressPolicy { allow: vec!["127.0.0.2/32".parse().unwrap()] }
}

#[tokio::test]
async fn a_name_that_is_rebound_is_judged_at_every_connect() {
    let private = Trap::set("127.0.0.1:0").await;
    let public = Trap::set(&format!("127.0.0.2:{}", private.port)).await;
    let names = Scripted::with(&[("rebind.test", &[&["127.0.0.2"], &["127.0.0.1"]])]);
    let egress = Egress::with_resolver(only_second_loopback(), names.clone()).unwrap();
    let url = format!("http://rebind.test:{}/", private.port);
    assert_eq!(fetch(&egress, &url).await.unwrap().status, StatusCode::OK);
    assert!(matches!(fetch(&egress, &url).await, Err(EgressError::Refused { .. })));
    assert_eq!((public.count(), private.count()), (1, 0));
    assert_eq!(
        names.asked.load(Ordering::SeqCst),
        2,
        "one look-up per connect: judged is what is connected to"
    );
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_permitted_addresses_are_tried() {
    let private = Trap::set("127.0.0.1:0").await;
    let public = Trap::set(&format!("127.0.0.2:{}", private.port)).await;
    let names = Scripted::with(&[("mixed.test", &[&["127.0.0.1", "::1", "127.0.0.2", "10.0.0.1"]])]);
    let egress = Egress::with_resolver(only_second_loopback(), names).unwrap();
    let url = format!("http://mixed.test:{}/", private.port);
    assert_eq!(fetch(&egress, &url).await.unwrap().status, StatusCode::OK);
    assert_eq!((public.count(), private.count()), (1, 0));
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_not_followed() {
    let private = Trap::set("127.0.0.1:0").await;
    let mut tasks = JoinSet::new();
    let target = Arc::new(Mutex::new(String::new()));
    let location = target.clone();
    let router = Router::new().route(
        "/go/{status}",
        any(move |Path(status): Path<u16>| {
            let to = location.lock().unwrap().clone();
            async move { (StatusCode::from_u16(status).unwrap(), [(LOCATION, to)]) }
        }),
    );
    let port = serve("127.0.0.2", router, &mut tasks).await;
    let names = Scripted::with(&[("private.test", &[&["127.0.0.1"]])]);
    let egress = Egress::with_resolver(only_second_loopback(), names).unwrap();
    for host in
        ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:7f00:1]", "private.test", "a@127.1"]
    {
        for status in [301, 302, 303, 307, 308] {
            *target.lock().unwrap() = format!("http://{host}:{}/secret", private.port);
            let outcome = fetch(&egress, &format!("http://127.0.0.2:{port}/go/{status}")).await;
            assert!(matches!(outcome, Err(EgressError::Refused { .. })), "{host} {status}: {outcome:?}");
        }
    }
    assert_eq!(private.count(), 0);
}

/// Redirect chain `/hop/N` → … → `/hop/0`, which reports method and body; `/status/S` redirects
/// once with that status.
fn redirecting() -> Router {
    let report =
        |method: Method, body: Bytes| async move { format!("{method} {}", String::from_utf8_lossy(&body)) };
    Router::new()
        .route(
            "/hop/{left}",
            any(|Path(left): Path<usize>, method: Method| async move {
                match left {
                    0 => method.to_string().into_response(),
                    n => (StatusCode::FOUND, [(LOCATION, format!("/hop/{}", n - 1))]).into_response(),
                }
            }),
        )
        .route(
            "/status/{status}",
            any(|Path(status): Path<u16>| async move {
                (StatusCode::from_u16(status).unwrap(), [(LOCATION, "/end")])
            }),
        )
        .route("/end", any(report))
        .route("/nowhere", get(|| async { StatusCode::FOUND }))
}

#[tokio::test]
async fn redirects_are_followed_three_times_and_not_for_webhooks() {
    let mut tasks = JoinSet::new();
    let port = serve("127.0.0.1", redirecting(), &mut tasks).await;
    let egress = Egress::with_resolver(EgressPolicy::with_loopback(), Scripted::with(&[])).unwrap();
    let base = format!("http://127.0.0.1:{port}");
    let last = fetch(&egress, &format!("{base}/hop/{REDIRECTS_MAX}")).await.unwrap();
    assert_eq!((last.url.path(), last.redirects), ("/hop/0", REDIRECTS_MAX));
    let past = fetch(&egress, &format!("{base}/hop/{}", REDIRECTS_MAX + 1)).await;
    assert!(matches!(past, Err(EgressError::Redirect(_))), "{past:?}");
    assert!(matches!(fetch(&egress, &format!("{base}/nowhere")).await, Err(EgressError::Redirect(_))));
    let webhook = EgressLimits { redirects: Redirects::Return, ..limits() };
    let answer = request(&egress, Method::POST, &format!("{base}/hop/1"), webhook).await.unwrap();
    assert_eq!((answer.status, answer.redirects), (StatusCode::FOUND, 0));
}

#[tokio::test]
async fn a_post_becomes_a_get_except_on_307_and_308() {
    let mut tasks = JoinSet::new();
    let port = serve("127.0.0.1", redirecting(), &mut tasks).await;
    let egress = Egress::with_resolver(EgressPolicy::with_loopback(), Scripted::with(&[])).unwrap();
    for (status, seen) in [(301, "GET "), (302, "GET "), (303, "GET "), (307, "POST a=1"), (308, "POST a=1")]
    {
        let url = format!("http://127.0.0.1:{port}/status/{status}");
        let answer = request(&egress, Method::POST, &url, limits()).await.unwrap();
        assert_eq!(&answer.body[..], seen.as_bytes(), "{status}");
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_are_cut_at_the_cap_also_when_chunked_or_compressed() {
    const CAP: usize = 1000;
    let plain = |length: usize| vec![b'x'; length];
    let router = Router::new()
        .route("/sized/{n}", get(move |Path(n): Path<usize>| async move { plain(n) }))
        .route(
            "/chunked/{n}",
            get(move |Path(n): Path<usize>| async move {
                let chunks: Vec<Result<Bytes, std::io::Error>> =
                    plain(n).chunks(100).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
                Body::from_stream(futures_util::stream::iter(chunks))
            }),
        )
        .route(
            "/gzip/{n}",
            get(move |Path(n): Path<usize>| async move { ([(CONTENT_ENCODING, "gzip")], gzip(&plain(n))) }),
        );
    let mut tasks = JoinSet::new();
    let port = serve("127.0.0.1", router, &mut tasks).await;
    let egress = Egress::with_resolver(EgressPolicy::with_loopback(), Scripted::with(&[])).unwrap();
    for kind in ["sized", "chunked", "gzip"] {
        let at = |n: usize| format!("http://127.0.0.1:{port}/{kind}/{n}");
        let fail = EgressLimits { body_bytes_max: CAP, ..limits() };
        let exact = request(&egress, Method::GET, &at(CAP), fail).await.unwrap();
        assert_eq!(exact.body.len(), CAP, "{kind}");
        for past in [CAP + 1, 5_000_000] {
            let outcome = request(&egress, Method::GET, &at(past), fail).await;
            assert!(matches!(outcome, Err(EgressError::TooLarge { limit: CAP })), "{kind} {past}");
        }
        let truncate = EgressLimits { overflow: Overflow::Truncate, ..fail };
        let cut = request(&egress, Method::GET, &at(CAP + 1), truncate).await.unwrap();
        assert_eq!((cut.status, cut.body.len()), (StatusCode::OK, CAP), "{kind}");
    }
}

#[tokio::test]
async fn the_total_time_covers_a_body_that_drips() {
    let router = Router::new().route(
        "/drip",
        get(|| async {
            let drops = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b".")), ()))
            });
            Response::new(Body::from_stream(drops))
        }),
    );
    let mut tasks = JoinSet::new();
    let port = serve("127.0.0.1", router, &mut tasks).await;
    let egress = Egress::with_resolver(EgressPolicy::with_loopback(), Scripted::with(&[])).unwrap();
    let hurried = EgressLimits { total: Duration::from_millis(300), ..limits() };
    let started = tandem_model::clock::monotonic();
    let outcome = request(&egress, Method::GET, &format!("http://127.0.0.1:{port}/drip"), hurried).await;
    assert_eq!(outcome.unwrap_err(), EgressError::Timeout);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn failures_carry_their_class() {
    let egress = Egress::with_resolver(EgressPolicy::with_loopback(), Scripted::with(&[])).unwrap();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let refused = fetch(&egress, &format!("http://127.0.0.1:{closed}/")).await;
    assert!(matches!(refused, Err(EgressError::Connect { .. })), "{refused:?}");
    let unknown = fetch(&egress, "http://unknown.test/").await;
    assert!(matches!(unknown, Err(EgressError::Dns { .. })), "{unknown:?}");

    let plain = Trap::set("127.0.0.1:0").await;
    let tls = fetch(&egress, &format!("https://127.0.0.1:{}/", plain.port)).await;
    assert!(matches!(tls, Err(EgressError::Tls(_))), "{tls:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resetting = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    let broken = fetch(&egress, &format!("http://127.0.0.1:{resetting}/")).await;
    assert!(matches!(broken, Err(EgressError::Protocol(_))), "{broken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_does_not_answer_costs_one_second() {
    let egress = Egress::with_resolver(EgressPolicy::public_only(), Arc::new(Mute)).unwrap();
    let started = tokio::time::Instant::now();
    let outcome = fetch(&egress, "http://slow.test/").await;
    assert!(matches!(outcome, Err(EgressError::Dns { .. })), "{outcome:?}");
    assert_eq!(started.elapsed().as_millis(), 1000);
}

#[tokio::test]
async fn credentials_in_the_url_travel_as_basic_authorization() {
    let router = Router::new().route(
        "/",
        get(|headers: HeaderMap| async move {
            headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        }),
    );
    let mut tasks = JoinSet::new();
    let port = serve("127.0.0.1", router, &mut tasks).await;
    let egress = Egress::with_resolver(EgressPolicy::with_loopback(), Scripted::with(&[])).unwrap();
    let answer = fetch(&egress, &format!("http://user:pa%40ss@127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(&answer.body[..], b"Basic dXNlcjpwYUBzcw==");
    let without = fetch(&egress, &format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert!(without.body.is_empty());
}

#[tokio::test]
async fn the_systems_resolver_is_not_asked_for_localhost() {
    let trap = Trap::set("[::]:0").await;
    let egress = Egress::new(EgressPolicy::with_loopback()).unwrap();
    let answer = fetch(&egress, &format!("http://localhost:{}/", trap.port)).await.unwrap();
    assert_eq!(&answer.body[..], b"reached");
}
