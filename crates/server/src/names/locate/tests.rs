use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use futures_util::future::BoxFuture;

use super::*;
use crate::names::order::listed;

/// A zone in memory that counts what it is asked.
#[derive(Default)]
struct Zone {
    services: HashMap<&'static str, Vec<Service>>,
    servers: HashMap<&'static str, Vec<Server>>,
    addresses: HashMap<&'static str, Vec<&'static str>>,
    /// Questions that get no answer.
    silent: Vec<&'static str>,
    asked: Mutex<Vec<String>>,
}

const TTL: Duration = Duration::from_mins(5);

impl Zone {
    fn answer<T: Clone>(&self, question: String, found: Option<&Vec<T>>) -> Result<Answer<T>, Unanswered> {
        let silent = self.silent.contains(&question.as_str());
        self.asked.lock().unwrap().push(question);
        if silent {
            return Err(Unanswered);
        }
        Ok(found.map_or(Answer::nothing(TTL / 2), |found| Answer { records: found.clone(), ttl: TTL }))
    }
}

impl Dns for Zone {
    fn services<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Answer<Service>, Unanswered>> {
        Box::pin(async move { self.answer(format!("NAPTR {domain}"), self.services.get(domain)) })
    }

    fn servers<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Server>, Unanswered>> {
        Box::pin(async move { self.answer(format!("SRV {name}"), self.servers.get(name)) })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Answer<IpAddr>, Unanswered>> {
        Box::pin(async move {
            let found: Option<Vec<IpAddr>> =
                self.addresses.get(host).map(|list| list.iter().map(|ip| ip.parse().unwrap()).collect());
            self.answer(format!("A {host}"), found.as_ref())
        })
    }
}

fn service(order: u16, preference: u16, service: &str, replacement: &str) -> Service {
    Service { order, preference, service: service.to_owned(), replacement: replacement.to_owned() }
}

fn server(priority: u16, weight: u16, port: u16, target: &str) -> Server {
    Server { priority, weight, port, target: target.to_owned() }
}

fn zone() -> Zone {
    Zone {
        services: HashMap::from([(
            "example",
            vec![
                service(50, 50, "SIPS+D2T", "_sips._tcp.example"),
                service(90, 50, "SIP+D2T", "_sip._tcp.example"),
                service(100, 50, "SIP+D2U", "_sip._udp.example"),
                service(10, 1, "SIP+D2S", "_sip._sctp.example"),
            ],
        )]),
        servers: HashMap::from([
            ("_sips._tcp.example", vec![server(0, 1, 5061, "tls.example")]),
            ("_sip._tcp.example", vec![server(0, 1, 5070, "one.example"), server(1, 1, 5071, "two.example")]),
            ("_sip._udp.example", vec![server(2, 1, 5080, "two.example"), server(1, 1, 5081, "one.example")]),
            ("_sip._tcp.bare", vec![server(0, 0, 5090, "one.example")]),
            ("_sip._udp.closed", vec![server(0, 0, 0, "")]),
        ]),
        addresses: HashMap::from([
            ("example", vec!["192.0.2.9"]),
            ("closed", vec!["192.0.2.9"]),
            ("one.example", vec!["192.0.2.1", "2001:db8::1"]),
            ("two.example", vec!["192.0.2.2"]),
            ("tls.example", vec!["192.0.2.3"]),
            ("plain", vec!["192.0.2.4", "192.0.2.5"]),
        ]),
        ..Zone::default()
    }
}

async fn at(zone: &Zone, means: Means, uri: &str) -> (Vec<String>, Located) {
    let located = locate(zone, means, &Place::of_uri(uri).unwrap()).await;
    let shown =
        listed(&located.steps).into_iter().map(|target| format!("{:?} {}", target.transport, target.address));
    (shown.collect(), located)
}

#[tokio::test]
async fn the_domains_preferred_service_that_we_can_use_decides() {
    let zone = zone();
    assert_eq!(at(&zone, Means::ALL, "sip:a@example").await.0, ["Tls 192.0.2.3:5061"]);
    let without_tls = Means { tls: false, ..Means::ALL };
    assert_eq!(
        at(&zone, without_tls, "sip:a@example").await.0,
        ["Tcp 192.0.2.1:5070", "Tcp [2001:db8::1]:5070", "Tcp 192.0.2.2:5071"]
    );
    let only_v4_udp = Means { v4: true, v6: false, tcp: false, tls: false };
    assert_eq!(
        at(&zone, only_v4_udp, "sip:a@example").await.0,
        ["Udp 192.0.2.1:5081", "Udp 192.0.2.2:5080"],
        "by priority, whatever the order of the records"
    );
}

#[tokio::test]
async fn a_named_transport_skips_naptr_and_a_port_skips_srv_as_well() {
    let zone = zone();
    assert_eq!(
        at(&zone, Means::ALL, "sip:example;transport=udp").await.0,
        ["Udp 192.0.2.1:5081", "Udp [2001:db8::1]:5081", "Udp 192.0.2.2:5080"]
    );
    assert_eq!(zone.asked.lock().unwrap().drain(..).next().unwrap(), "SRV _sip._udp.example");
    assert_eq!(at(&zone, Means::ALL, "sip:example:5075").await.0, ["Udp 192.0.2.9:5075"]);
    assert_eq!(at(&zone, Means::ALL, "sip:example:5075;transport=tls").await.0, ["Tls 192.0.2.9:5075"]);
    assert_eq!(*zone.asked.lock().unwrap(), ["A example", "A example"]);
}

#[tokio::test]
async fn without_naptr_srv_is_looked_for_and_without_srv_the_host_itself() {
    let zone = zone();
    assert_eq!(at(&zone, Means::ALL, "sip:bare").await.0, ["Tcp 192.0.2.1:5090", "Tcp [2001:db8::1]:5090"]);
    let (found, located) = at(&zone, Means::ALL, "sip:plain").await;
    assert_eq!(found, ["Udp 192.0.2.4:5060", "Udp 192.0.2.5:5060"]);
    assert!(located.certain);
    assert_eq!(located.ttl, TTL / 2, "what is not there counts too");
    assert_eq!(at(&zone, Means::ALL, "sip:plain;transport=tls").await.0[0], "Tls 192.0.2.4:5061");
}

#[tokio::test]
async fn a_service_that_is_decidedly_closed_is_not_gone_round() {
    let (found, located) = at(&zone(), Means::ALL, "sip:closed;transport=udp").await;
    assert_eq!((found.len(), located.certain), (0, true));
    let (found, located) = at(&zone(), Means::ALL, "sip:nowhere").await;
    assert_eq!((found.len(), located.certain), (0, true));
}

#[tokio::test]
async fn what_nobody_answers_is_passed_over_but_is_not_certain() {
    let mut zone = zone();
    zone.silent = vec!["NAPTR example", "SRV _sip._udp.example"];
    let (found, located) = at(&zone, Means::ALL, "sip:example").await;
    assert_eq!(found[0], "Tcp 192.0.2.1:5070");
    assert!(!located.certain);
    zone.silent = vec!["A plain"];
    let (found, located) = at(&zone, Means::ALL, "sip:plain:5060").await;
    assert_eq!((found.len(), located.certain), (0, false));
}
