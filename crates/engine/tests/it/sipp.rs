//! A peer nobody here wrote: sipp calls through the engine to sipp, with its own scenarios.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

use tandem_model::HangupCause;
use tandem_model::ports::Transport;
use tokio::process::{Child, Command};

use crate::support::{World, engine_with, route_over};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Calls of one run.
const CALLS: usize = 20;
/// The longest a run may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A port that was free a moment ago; sipp takes no socket of ours.
fn free_port(ip: IpAddr) -> u16 {
    UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap().port()
}

fn sipp(folder: &std::path::Path, ip: IpAddr, arguments: &[&str]) -> Child {
    let ip = if ip.is_ipv4() { ip.to_string() } else { format!("[{ip}]") };
    Command::new("sipp")
        .args(arguments)
        .args(["-i", &ip, "-nostdin", "-trace_err", "-timeout", "25s", "-timeout_error"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("sipp is installed")
}

fn errors(folder: &std::path::Path) -> String {
    std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .collect()
}

async fn calls_through(with_digest: bool, ip: IpAddr, transport: Transport) {
    let folder = tempfile::tempdir().unwrap();
    let (caller, callee) = (free_port(ip), free_port(ip));
    let world = World::new();
    if with_digest {
        world.digest_trunk(&ip.to_string());
        world.user("pbx", "secret");
        std::fs::write(folder.path().join("uac.xml"), DIGEST_CALLER).unwrap();
    } else {
        // Over TCP the caller's port is not the one it listens on.
        world.acl_trunk_at(ip);
    }
    world.bridge_to(vec![route_over(transport, SocketAddr::new(ip, callee))]);
    let engine = engine_with(&world, |config| {
        config.sip_bind = SocketAddr::new(ip, 0);
        config.tcp_bind = Some(config.sip_bind);
        config.advertised_ip = ip;
    })
    .await;
    let target: SocketAddr = engine.sip_addr();

    let count = CALLS.to_string();
    let mode = if transport == Transport::Tcp { "t1" } else { "u1" };
    let mut uas =
        sipp(folder.path(), ip, &["-sn", "uas", "-t", mode, "-p", &callee.to_string(), "-m", &count]);
    let scenario = if with_digest { ["-sf", "uac.xml"] } else { ["-sn", "uac"] };
    let (port, target) = (caller.to_string(), target.to_string());
    let arguments = [
        "-t",
        mode,
        "-p",
        &port,
        "-m",
        &count,
        "-r",
        "20",
        "-d",
        "200",
        "-au",
        "pbx",
        "-ap",
        "secret",
        "-s",
        "+918012345678",
    ];
    let mut uac = sipp(folder.path(), ip, &[&scenario[..], &arguments, &[&target]].concat());

    let status = tokio::time::timeout(LIMIT, uac.wait()).await.expect("sipp ends").unwrap();
    assert!(status.success(), "the caller's sipp: {status}\n{}", errors(folder.path()));
    let status = tokio::time::timeout(LIMIT, uas.wait()).await.expect("sipp ends").unwrap();
    assert!(status.success(), "the callee's sipp: {status}\n{}", errors(folder.path()));

    let ends = world.ends(CALLS).await;
    assert_eq!(ends.len(), CALLS);
    assert!(ends.iter().all(|end| end.cause == HangupCause::NormalHangup && end.answered_at.is_some()));
    engine.shutdown().await;
    assert_eq!(engine.live_count(), 0);
}

#[tokio::test]
async fn sipp_calls_sipp_through_an_acl_trunk() {
    calls_through(false, V4, Transport::Udp).await;
}

#[tokio::test]
async fn sipp_calls_sipp_with_digest() {
    calls_through(true, V4, Transport::Udp).await;
}

#[tokio::test]
async fn sipp_calls_sipp_over_ipv6() {
    calls_through(false, IpAddr::V6(Ipv6Addr::LOCALHOST), Transport::Udp).await;
}

#[tokio::test]
async fn sipp_calls_sipp_over_tcp() {
    calls_through(false, V4, Transport::Tcp).await;
}

#[tokio::test]
async fn sipp_calls_sipp_over_tcp_with_digest() {
    calls_through(true, V4, Transport::Tcp).await;
}

const DIGEST_CALLER: &str = r#"<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="caller with digest">
  <send retrans="500"><![CDATA[
    INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:pbx@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:[service]@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: 1 INVITE
    Contact: <sip:pbx@[local_ip]:[local_port]>
    Max-Forwards: 70
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=user1 1 1 IN IP4 [local_ip]
    s=-
    c=IN IP4 [media_ip]
    t=0 0
    m=audio [media_port] RTP/AVP 0
    a=rtpmap:0 PCMU/8000
  ]]></send>
  <recv response="401" auth="true"/>
  <send><![CDATA[
    ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
    [last_Via:]
    From: <sip:pbx@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
    Call-ID: [call_id]
    CSeq: 1 ACK
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
  <send retrans="500"><![CDATA[
    INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:pbx@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:[service]@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: 2 INVITE
    Contact: <sip:pbx@[local_ip]:[local_port]>
    [authentication]
    Max-Forwards: 70
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=user1 1 1 IN IP4 [local_ip]
    s=-
    c=IN IP4 [media_ip]
    t=0 0
    m=audio [media_port] RTP/AVP 0
    a=rtpmap:0 PCMU/8000
  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="183" optional="true"/>
  <recv response="200" rrs="true"/>
  <send><![CDATA[
    ACK [next_url] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:pbx@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
    Call-ID: [call_id]
    CSeq: 2 ACK
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
  <pause/>
  <send retrans="500"><![CDATA[
    BYE [next_url] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:pbx@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
    Call-ID: [call_id]
    CSeq: 3 BYE
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
  <recv response="200"/>
</scenario>
"#;
