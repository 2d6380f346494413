//! Phones behind proxies: registrations with Path, too brief ones, and the one that takes all away.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use tandem_testkit::Sipp;

use super::{NOWHERE, Network, Scenario, Sdp, TAG, Wire};
use crate::stage::peer::free_port;
use crate::stage::wire::Calling;

/// The phone's user.
pub(super) const USER: &str = "networkphone";
const PASSWORD: &str = "phone-secret-12";
/// Where it registers.
pub(super) const REGISTRAR: &str = "registrar.tandem.localhost";
const PHONE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 8));
const SOON: Duration = Duration::from_secs(20);

/// Each with the number of calls it makes: the caller's and the phone's leg have a record each.
pub(super) fn scenarios(network: &Network) -> Vec<(usize, Scenario<'_>)> {
    vec![(2, Box::pin(a_registration_keeps_its_path_is_long_enough_and_is_taken_back_by_a_star(network)))]
}

/// A REGISTER with the answer to its challenge, and what must come back.
fn registration(lines: &str, expected: &str) -> String {
    let register = |cseq: u8, authentication: &str| {
        format!(
            "<send retrans=\"500\"><![CDATA[\nREGISTER sip:{REGISTRAR} SIP/2.0\n\
             Via: SIP/2.0/UDP [local_ip]:[local_port];branch=z9hG4bK-[pid]-{cseq};rport\n\
             From: <sip:{USER}@{REGISTRAR}>;tag=[pid]\nTo: <sip:{USER}@{REGISTRAR}>\nCall-ID: [call_id]\n\
             CSeq: {cseq} REGISTER\nMax-Forwards: 70\n{authentication}{lines}Content-Length: 0\n\n]]></send>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\"?>\n<scenario name=\"phone\">\n{}<recv response=\"401\" auth=\"true\"/>\n{}{expected}</scenario>\n",
        register(1, ""),
        register(2, &format!("[authentication username={USER} password={PASSWORD}]\n")),
    )
}

async fn registers(network: &Network, phone: SocketAddr, lines: &str, expected: &str) {
    let arguments = ["-m", "1", "-recv_timeout", "10000"];
    let sipp = Sipp::start(&registration(lines, expected), phone, Some(network.world.sip()), &arguments);
    let outcome = sipp.finished(SOON).await;
    assert!(outcome.success, "{expected}: {}", outcome.words);
}

fn checked(status: u16, header: &str, pattern: &str) -> String {
    format!(
        "<recv response=\"{status}\"><action><ereg regexp=\"{pattern}\" search_in=\"hdr\" header=\"{header}\" \
         check_it=\"true\" assign_to=\"x\"/></action></recv>\n<Reference variables=\"x\"/>\n"
    )
}

async fn a_registration_keeps_its_path_is_long_enough_and_is_taken_back_by_a_star(network: &Network) {
    let body = json!({"username": USER, "password": PASSWORD, "alias": "phone"});
    network.world.api(&network.customer, "POST", "/Endpoint/", Some(&body)).await.ok();
    let number = network.world.number(&network.customer).await;
    network.world.application(&network.customer, &number, "ring-the-phone", json!({})).await;
    let phone = SocketAddr::new(PHONE, free_port(PHONE));
    let contact = format!("Contact: <sip:{USER}@{phone}>\n");
    // RFC 3261 §10.2.8.
    registers(network, phone, &format!("{contact}Expires: 10\n"), &checked(423, "Min-Expires:", "60")).await;
    // RFC 3327: the proxy before the phone.
    let path = format!("<sip:{phone};lr;flow=7>");
    let lines = format!("{contact}Supported: path\nPath: {path}\nExpires: 300\n");
    registers(network, phone, &lines, &checked(200, "Path:", "flow=7")).await;

    let (carrier, edge) = (network.callee(json!({})).await, Wire::at(phone).await);
    let platform = network.world.sip();
    let mut caller =
        Calling::new(&carrier.wire, platform, "+919812345678", &format!("+{number}"), &platform.to_string());
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    let invite = edge.asked("INVITE").await;
    assert_eq!(invite.headers("Route"), [path.as_str()]);
    assert_eq!(invite.uri(), format!("sip:{USER}@{phone}"));
    edge.reply(&invite, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
    edge.asked("ACK").await;
    caller.answered("").await;
    caller.hang_up().await;
    let bye = edge.asked("BYE").await;
    edge.reply(&bye, 200, "", "", "").await;
    drop(edge);

    registers(network, phone, "Contact: *\nExpires: 0\n", "<recv response=\"200\"/>\n").await;
    let endpoints = network.world.api(&network.customer, "GET", "/Endpoint/", None).await.ok();
    let own = endpoints["objects"].as_array().and_then(|all| all.first()).expect("the endpoint");
    assert_eq!(own["sip_registered"], "false", "{own}");
}
