//! A peer without any SIP of its own: sends bytes, and finds answers by their Call-ID and CSeq.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tandem_model::clock;
use tokio::net::UdpSocket;

/// What identifies an answer: Call-ID, and CSeq's number and method.
pub(crate) type Key = (String, String, String);

/// Sockets of one address: the first sends, all hear.
pub(crate) struct Peer {
    sockets: Vec<UdpSocket>,
    platform: SocketAddr,
    pings: u32,
}

impl Peer {
    pub(crate) async fn open(ip: IpAddr, ports: &[u16], platform: SocketAddr) -> Self {
        let mut sockets = Vec::new();
        for port in ports {
            let at = SocketAddr::new(ip, *port);
            sockets.push(UdpSocket::bind(at).await.unwrap_or_else(|error| panic!("{at}: {error}")));
        }
        Self { sockets, platform, pings: 0 }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.sockets[0].local_addr().expect("bound")
    }

    pub(crate) async fn send(&self, bytes: &[u8]) {
        self.sockets[0].send_to(bytes, self.platform).await.expect("the loopback takes it");
    }

    /// The final status that answers `key`, within `patience`; what else arrives is left behind.
    pub(crate) async fn final_status(&self, key: &Key, patience: Duration) -> Option<u16> {
        let deadline = clock::monotonic() + patience;
        let mut buffer = vec![0; 65_536];
        while clock::monotonic() < deadline {
            for socket in &self.sockets {
                while let Ok((length, _)) = socket.try_recv_from(&mut buffer) {
                    let bytes = &buffer[..length];
                    let status = status_of(bytes).filter(|status| *status >= 200);
                    if status.is_some() && key_of(bytes).as_ref() == Some(key) {
                        return status;
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        None
    }

    /// Asks OPTIONS and waits for the 200: the platform has looked at everything sent before.
    pub(crate) async fn ping(&mut self) {
        self.pings += 1;
        let own = self.address();
        let call = format!("ping-{}-{}", self.pings, own.port());
        let text = format!(
            "OPTIONS sip:{} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{call};rport\r\nFrom: <sip:p@{own}>;tag=1\r\n\
             To: <sip:{}>\r\nCall-ID: {call}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            self.platform, self.platform
        );
        let key = (call, "1".to_owned(), "OPTIONS".to_owned());
        for _ in 0..20 {
            self.send(text.as_bytes()).await;
            if self.final_status(&key, Duration::from_secs(1)).await == Some(200) {
                return;
            }
        }
        panic!("the platform does not answer OPTIONS any more");
    }

    /// Everything that has arrived, answers to anything.
    pub(crate) fn heard(&self) -> Vec<u16> {
        let mut buffer = vec![0; 65_536];
        let mut heard = Vec::new();
        for socket in &self.sockets {
            while let Ok((length, _)) = socket.try_recv_from(&mut buffer) {
                heard.extend(status_of(&buffer[..length]));
            }
        }
        heard
    }
}

fn status_of(bytes: &[u8]) -> Option<u16> {
    std::str::from_utf8(bytes.strip_prefix(b"SIP/2.0 ")?.get(..3)?).ok()?.parse().ok()
}

/// The key of a message, however it is folded and abbreviated; the first of repeated headers.
pub(crate) fn key_of(bytes: &[u8]) -> Option<Key> {
    let head = String::from_utf8_lossy(bytes);
    let head = head.trim_start().split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
    let mut seen = HashSet::new();
    let (mut call, mut sequence) = (None, None);
    for line in head.split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim().to_ascii_lowercase();
        if !seen.insert(name.clone()) {
            continue;
        }
        match name.as_str() {
            "call-id" | "i" => call = Some(value.trim().to_owned()),
            "cseq" => {
                sequence = value.trim().split_once([' ', '\t']).map(|(number, method)| {
                    let number = number.trim_start_matches('0');
                    (number.to_owned(), method.trim().to_owned())
                })
            }
            _ => {}
        }
    }
    let (number, method) = sequence?;
    Some((call?, number, method))
}
