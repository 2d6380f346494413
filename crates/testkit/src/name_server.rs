//! A name server with a zone of the test's own, which can change and fall silent.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, NAPTR, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Longest question.
const MAX_BYTES: usize = 4_096;

/// Answers over UDP on loopback until the test process ends.
#[derive(Clone)]
pub struct NameServer {
    /// Where it listens.
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

#[derive(Default)]
struct Zone {
    records: HashMap<String, Vec<(u32, RData)>>,
    asked: Vec<(String, RecordType)>,
    /// Names that get no answer.
    muted: Vec<String>,
}

impl NameServer {
    /// Starts it with an empty zone: every name does not exist.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = socket.local_addr().expect("an address");
        let server = Self { address, zone: Arc::default() };
        let zone = Arc::clone(&server.zone);
        thread::spawn(move || {
            let mut buffer = [0; MAX_BYTES];
            while let Ok((length, source)) = socket.recv_from(&mut buffer) {
                let answer = buffer.get(..length).and_then(|question| answer(&lock(&zone), question));
                if let Some((asked, answer)) = answer {
                    let mut zone = lock(&zone);
                    let is_muted = zone.muted.contains(&asked.0);
                    zone.asked.push(asked);
                    if !is_muted {
                        drop(socket.send_to(&answer, source));
                    }
                }
            }
        });
        server
    }

    /// Adds an address.
    pub fn address(&self, name: &str, ttl: u32, ip: IpAddr) -> &Self {
        self.add(
            name,
            ttl,
            match ip {
                IpAddr::V4(ip) => RData::A(A(ip)),
                IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
            },
        )
    }

    /// Adds a server of a service, such as `_sip._udp.example`.
    pub fn server(&self, name: &str, ttl: u32, priority: u16, weight: u16, port: u16, target: &str) -> &Self {
        self.add(name, ttl, RData::SRV(SRV::new(priority, weight, port, whole(target))))
    }

    /// Adds a SIP service of a domain, such as `SIP+D2U`.
    pub fn service(&self, name: &str, ttl: u32, order: u16, service: &str, replacement: &str) -> &Self {
        let bytes = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
        let record = NAPTR::new(order, 50, bytes("s"), bytes(service), bytes(""), whole(replacement));
        self.add(name, ttl, RData::NAPTR(record))
    }

    /// Takes everything of a name away.
    pub fn remove(&self, name: &str) -> &Self {
        lock(&self.zone).records.remove(name);
        self
    }

    /// Questions for this name are heard and not answered from now on.
    pub fn mute(&self, name: &str) {
        lock(&self.zone).muted.push(name.to_owned());
    }

    /// How often a name was asked for, of whatever type.
    pub fn asked(&self, name: &str) -> usize {
        lock(&self.zone).asked.iter().filter(|(asked, _)| asked == name).count()
    }

    fn add(&self, name: &str, ttl: u32, data: RData) -> &Self {
        lock(&self.zone).records.entry(name.to_owned()).or_default().push((ttl, data));
        self
    }
}

fn answer(zone: &Zone, question: &[u8]) -> Option<((String, RecordType), Vec<u8>)> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?;
    let name = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    match zone.records.get(&name) {
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(records) => {
            let fitting = records.iter().filter(|(_, data)| data.record_type() == query.query_type());
            let records =
                fitting.map(|(ttl, data)| Record::from_rdata(query.name().clone(), *ttl, data.clone()));
            answer.add_answers(records);
        }
    }
    Some(((name, query.query_type()), answer.to_vec().ok()?))
}

fn whole(name: &str) -> Name {
    Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).expect("a name")
}

fn lock(zone: &Mutex<Zone>) -> MutexGuard<'_, Zone> {
    zone.lock().unwrap_or_else(PoisonError::into_inner)
}
