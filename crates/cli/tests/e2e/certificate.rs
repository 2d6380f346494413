//! The certificate of SIP over TLS, renewed under a running node: by command, by signal, and by itself when its files change.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tandem_testkit::Answer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::stage::peer::free_port;
use crate::stage::{CarrierPeer, PATIENCE, World, WorldOptions, carrier_side, until};

const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
/// On 127.0.0.1 the ports of these tests are claimed by listening.
const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4));
const CALLED: &str = "919812345678";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_shown_while_a_call_over_tls_stays_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> &'static str { folder.path().join(name).display().to_string().leak() };
    let place = SocketAddr::new(NODE, free_port(NODE));
    let first = write_pair(folder.path());
    let options = WorldOptions {
        environment: vec![
            ("TANDEM_SIP__TLS_LISTEN", place.to_string().leak()),
            ("TANDEM_SIP__TLS_CERTIFICATE", path("certificate")),
            ("TANDEM_SIP__TLS_KEY", path("key")),
        ],
        ..WorldOptions::default()
    };
    let world = World::open(options, |_| Answer::status(204)).await;
    let echo = CarrierPeer::start(&carrier_side::echo(0)).await;
    world.carrier("echo", echo.address, &[], 1).await;
    let customer = world.customer("pbx", 10.0, (100, 100)).await;
    let number = world.number(&customer).await;
    let trunk = world.trunk(&customer, "pbx").await;
    world.acl(&customer, &trunk, &PBX.to_string()).await;

    let mut line = Line::open(place).await;
    assert_eq!(line.certificate(), first);
    line.invite(&number, &trunk.domain).await;

    let second = write_pair(folder.path());
    world.platform.admin(&["renew-certificate"]);
    assert_eq!(Line::open(place).await.certificate(), second);

    // A key that is not the certificate's: said, and nothing else changes.
    let key = std::fs::read(folder.path().join("key")).expect("the key");
    write_pair(folder.path());
    std::fs::write(folder.path().join("key"), &key).expect("the old key");
    let refusal = world.platform.try_admin(&["renew-certificate"]).expect_err("half of a pair");
    assert!(refusal.contains("does not fit") && refusal.contains("stays"), "{refusal}");
    assert_eq!(Line::open(place).await.certificate(), second);
    let status = world.platform.admin(&["status"]);
    assert!(
        status["certificate"]["problem"].as_str().is_some_and(|words| words.contains("does not fit")),
        "{status}"
    );

    // Files that change are found; a signal says so at once and ends nothing.
    let third = write_pair(folder.path());
    let shown = async || (Line::open(place).await.certificate() == third).then_some(());
    until("the third certificate", shown).await;
    until("no more problem", || async {
        world.platform.admin(&["status"])["certificate"]["problem"].is_null().then_some(())
    })
    .await;
    let fourth = write_pair(folder.path());
    let killed = Command::new("kill").args(["-HUP", &world.platform.pid().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    until("the fourth certificate", async || (Line::open(place).await.certificate() == fourth).then_some(()))
        .await;

    line.bye().await;
    let record = &world.records_once(&customer, 1).await[0];
    assert_eq!(
        (&record["hangup_cause_code"], &record["hangup_source"]),
        (&4000.into(), &"Caller".into()),
        "{record}"
    );
    world.verify_ledger();
}

/// Writes a new certificate and its key; returns the certificate.
fn write_pair(folder: &Path) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["sip.test".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("key"), made.signing_key.serialize_pem()).expect("the key is written");
    std::fs::write(folder.join("certificate"), made.cert.pem()).expect("the certificate is written");
    made.cert.der().to_vec()
}

/// A PBX on a TLS connection of its own.
struct Line {
    stream: TlsStream<TcpStream>,
    local: SocketAddr,
    heard: String,
    dialog: String,
}

impl Line {
    async fn open(to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(PBX, 0)).expect("an address");
        let stream = socket.connect(to).await.expect("it listens");
        let local = stream.local_addr().expect("an address");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        let name = ServerName::try_from("sip.test").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
        Self { stream, local, heard: String::new(), dialog: String::new() }
    }

    fn certificate(&self) -> Vec<u8> {
        let (_, session) = self.stream.get_ref();
        session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|shown| shown.to_vec())
            .unwrap_or_default()
    }

    /// Calls and answers with an ACK.
    async fn invite(&mut self, from: &str, domain: &str) {
        let local = self.local;
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
            ip = local.ip()
        );
        let head = format!(
            "Via: SIP/2.0/TLS {local};branch=z9hG4bKone\r\nFrom: <sip:+{from}@{domain}>;tag=a\r\nCall-ID: tls-{port}\r\n\
             Max-Forwards: 70\r\nContact: <sip:pbx@{local};transport=tls>\r\n",
            port = local.port()
        );
        let to = format!("<sip:{CALLED}@{domain}>");
        self.send(&format!(
            "INVITE sip:{CALLED}@{domain} SIP/2.0\r\n{head}To: {to}\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let answer = self.hear("SIP/2.0 200", "1 INVITE").await;
        let field = |name: &str| {
            let line = answer
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_else(|| panic!("no {name}: {answer}"));
            line.split_once(": ").map(|(_, value)| value.trim().to_owned()).expect("a value")
        };
        let contact = field("Contact").trim_start_matches('<').split('>').next().expect("a URI").to_owned();
        self.dialog = format!(
            "{contact} SIP/2.0\r\n{}To: {}\r\n",
            head.replace("z9hG4bKone", "z9hG4bK{}"),
            field("To")
        );
        let ack = format!("ACK {}CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n", self.dialog.replace("{}", "ack"));
        self.send(&ack).await;
    }

    async fn bye(&mut self) {
        let bye = format!("BYE {}CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n", self.dialog.replace("{}", "bye"));
        self.send(&bye).await;
        self.hear("SIP/2.0 200", "2 BYE").await;
    }

    async fn send(&mut self, message: &str) {
        self.stream.write_all(message.as_bytes()).await.expect("it is open");
        self.stream.flush().await.expect("it is open");
    }

    /// Reads until a message with this status has come.
    async fn hear(&mut self, status: &str, cseq: &str) -> String {
        let reading = async {
            loop {
                let found = self.heard.split_inclusive("\r\n\r\n").find(|part| {
                    part.contains(status)
                        && part.contains(&format!("CSeq: {cseq}"))
                        && part.ends_with("\r\n\r\n")
                });
                if let Some(found) = found {
                    return found.to_owned();
                }
                let mut buffer = [0; 4_096];
                let length = self.stream.read(&mut buffer).await.expect("it is open");
                assert!(length > 0, "closed after {}", self.heard);
                self.heard += &String::from_utf8_lossy(&buffer[..length]);
            }
        };
        timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("no {status} to {cseq}"))
    }
}

/// Takes every certificate: the tests compare them.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
