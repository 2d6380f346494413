//! Registrations over their life, in virtual time.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;
const AOR: &str = "alice@registrar.example.com";

fn udp(remote: &str) -> Flow {
    Flow {
        transport: FlowTransport::Udp,
        local: "198.51.100.7:5060".parse().unwrap(),
        remote: remote.parse::<SocketAddr>().unwrap(),
        connection: None,
        nat: Nat::Translated,
    }
}

fn tcp(connection: u64, nat: Nat) -> Flow {
    Flow { transport: FlowTransport::Tcp, connection: Some(connection), nat, ..udp("192.0.2.1:40000") }
}

fn contact(uri: &str) -> ContactFacts {
    ContactFacts { uri: uri.into(), expires: None, q_millis: None, instance: None, reg_id: None }
}

fn register(call_id: &str, cseq: u32, expires: u32, contacts: Vec<ContactFacts>) -> RegisterFacts {
    RegisterFacts {
        aor: AOR.into(),
        contacts: Contacts::Listed(contacts),
        expires: Some(expires),
        call_id: call_id.into(),
        cseq,
        flow: udp("192.0.2.1:40000"),
        path: Vec::new(),
        user_agent: Some("phone/1.0".into()),
    }
}

fn query() -> RegisterFacts {
    RegisterFacts { contacts: Contacts::Absent, expires: None, ..register("q", 1, 0, Vec::new()) }
}

fn wildcard(call_id: &str, cseq: u32, expires: Option<u32>) -> RegisterFacts {
    RegisterFacts { contacts: Contacts::Wildcard, expires, ..register(call_id, cseq, 0, Vec::new()) }
}

fn accept(
    registrar: &mut Registrar,
    now: u64,
    facts: RegisterFacts,
) -> (Vec<BindingChange>, Vec<RegisteredContact>) {
    match registrar.handle(now, facts) {
        RegisterOutcome::Accepted { changes, contacts } => (changes, contacts),
        RegisterOutcome::Refused(refusal) => panic!("refused: {refusal}"),
    }
}

fn refuse(registrar: &mut Registrar, now: u64, facts: RegisterFacts) -> RegisterRefusal {
    match registrar.handle(now, facts) {
        RegisterOutcome::Refused(refusal) => refusal,
        accepted @ RegisterOutcome::Accepted { .. } => panic!("{accepted:?}"),
    }
}

fn uris(registrar: &Registrar, now: u64) -> Vec<String> {
    registrar.bindings(AOR, now).iter().map(|binding| binding.contact_uri.clone()).collect()
}

fn removed(uri: &str) -> BindingChange {
    BindingChange::Remove { aor: AOR.into(), contact_uri: uri.into() }
}

#[test]
fn registration_is_stored_with_its_flow_and_answered() {
    let mut registrar = Registrar::new();
    let facts = RegisterFacts {
        path: vec!["<sip:edge.example.com;lr>".into()],
        ..register("c1", 1, 600, vec![contact("sip:alice@10.0.0.5:5060")])
    };
    let (changes, contacts) = accept(&mut registrar, NOW, facts);
    let [BindingChange::Upsert(binding)] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(binding.expires_at, NOW + 600);
    assert_eq!(binding.flow, udp("192.0.2.1:40000"));
    assert_eq!(binding.path, ["<sip:edge.example.com;lr>"]);
    assert_eq!(registrar.bindings(AOR, NOW), [binding]);
    assert_eq!((contacts[0].uri.as_str(), contacts[0].expires), ("sip:alice@10.0.0.5:5060", 600));
}

#[test]
fn query_answers_with_remaining_time_and_changes_nothing() {
    let mut registrar = Registrar::new();
    accept(&mut registrar, NOW, register("c1", 1, 600, vec![contact("sip:a@h")]));
    let (changes, contacts) = accept(&mut registrar, NOW + 100, query());
    assert_eq!(changes, []);
    assert_eq!(contacts[0].expires, 500);
}

#[test]
fn intervals_are_taken_from_sixty_to_an_hour() {
    let mut registrar = Registrar::new();
    let too_brief = RegisterRefusal::IntervalTooBrief { min_expires: 60 };
    assert_eq!(refuse(&mut registrar, NOW, register("c", 1, 59, vec![contact("sip:a@h")])), too_brief);
    assert_eq!(too_brief.status(), 423);
    assert!(registrar.is_empty());
    for (cseq, (wish, granted)) in
        [(60, 60), (3_600, 3_600), (3_601, 3_600), (u32::MAX, 3_600)].into_iter().enumerate()
    {
        let (_, contacts) =
            accept(&mut registrar, NOW, register("c", cseq as u32 + 1, wish, vec![contact("sip:a@h")]));
        assert_eq!(contacts[0].expires, granted);
    }
}

#[test]
fn contact_parameter_wins_over_header_and_absence_means_an_hour() {
    let mut registrar = Registrar::new();
    let own = ContactFacts { expires: Some(120), ..contact("sip:own@h") };
    accept(&mut registrar, NOW, register("c1", 1, 600, vec![own, contact("sip:header@h")]));
    let none = RegisterFacts { expires: None, ..register("c2", 1, 0, vec![contact("sip:none@h")]) };
    let (_, contacts) = accept(&mut registrar, NOW, none);
    let granted: Vec<(&str, u32)> =
        contacts.iter().map(|contact| (contact.uri.as_str(), contact.expires)).collect();
    assert_eq!(granted, [("sip:none@h", 3_600), ("sip:header@h", 600), ("sip:own@h", 120)]);
}

#[test]
fn one_brief_contact_refuses_the_whole_request() {
    let mut registrar = Registrar::new();
    let brief = ContactFacts { expires: Some(10), ..contact("sip:b@h") };
    refuse(&mut registrar, NOW, register("c", 1, 600, vec![contact("sip:a@h"), brief]));
    assert!(registrar.is_empty());
}

#[test]
fn zero_unregisters_one_contact_and_wildcard_all() {
    let mut registrar = Registrar::new();
    let all = ["sip:a@h", "sip:b@h", "sip:c@h"].map(contact).to_vec();
    accept(&mut registrar, NOW, register("c", 1, 600, all));
    let (changes, contacts) = accept(&mut registrar, NOW, register("c", 2, 0, vec![contact("sip:b@h")]));
    assert_eq!(changes, [removed("sip:b@h")]);
    assert_eq!(contacts.len(), 2);
    let (changes, contacts) = accept(&mut registrar, NOW, wildcard("other", 1, Some(0)));
    assert_eq!((changes.len(), contacts.len()), (2, 0));
    assert!(registrar.is_empty());
    assert_eq!(registrar.deadline(), None);
}

#[test]
fn wildcard_needs_expires_zero_and_respects_cseq() {
    let mut registrar = Registrar::new();
    accept(&mut registrar, NOW, register("c", 5, 600, vec![contact("sip:a@h")]));
    for expires in [None, Some(1), Some(3_600)] {
        assert_eq!(
            refuse(&mut registrar, NOW, wildcard("c", 6, expires)),
            RegisterRefusal::WildcardWithoutZero
        );
    }
    assert_eq!(refuse(&mut registrar, NOW, wildcard("c", 4, Some(0))), RegisterRefusal::OutOfOrder);
    assert_eq!(registrar.len(), 1);
    accept(&mut registrar, NOW, wildcard("c", 6, Some(0)));
    assert!(registrar.is_empty());
}

#[test]
fn overtaken_request_of_the_same_call_id_is_refused() {
    let mut registrar = Registrar::new();
    accept(&mut registrar, NOW, register("c", 5, 600, vec![contact("sip:a@h")]));
    let late = refuse(&mut registrar, NOW, register("c", 4, 0, vec![contact("sip:a@h")]));
    assert_eq!((late, late.status()), (RegisterRefusal::OutOfOrder, 400));
    // Another Call-ID has its own order: a restarted phone begins at 1.
    accept(&mut registrar, NOW, register("d", 1, 600, vec![contact("sip:a@h")]));
    assert_eq!(registrar.len(), 1);
}

#[test]
fn same_request_delivered_twice_changes_nothing_and_is_answered() {
    let mut registrar = Registrar::new();
    let request = || register("c", 5, 600, vec![contact("sip:a@h")]);
    accept(&mut registrar, NOW, request());
    let (changes, contacts) = accept(&mut registrar, NOW + 5, request());
    assert_eq!((changes.len(), contacts.len(), contacts[0].expires), (0, 1, 595));
}

#[test]
fn expired_binding_no_longer_orders_requests() {
    let mut registrar = Registrar::new();
    accept(&mut registrar, NOW, register("c", 5, 60, vec![contact("sip:a@h")]));
    let (changes, _) = accept(&mut registrar, NOW + 60, register("c", 1, 600, vec![contact("sip:a@h")]));
    assert!(matches!(changes.as_slice(), [BindingChange::Upsert(_)]));
    assert_eq!(registrar.len(), 1);
}

#[test]
fn eleventh_binding_replaces_the_least_recently_refreshed() {
    let mut registrar = Registrar::new();
    for number in 0..MAX_BINDINGS_PER_AOR as u32 {
        let uri = format!("sip:a@h{number}");
        accept(&mut registrar, NOW + u64::from(number), register(&uri, 1, 600, vec![contact(&uri)]));
    }
    // The first is refreshed, so the second is now the oldest.
    accept(&mut registrar, NOW + 20, register("sip:a@h0", 2, 600, vec![contact("sip:a@h0")]));
    assert_eq!(registrar.len(), MAX_BINDINGS_PER_AOR);
    let (changes, contacts) =
        accept(&mut registrar, NOW + 21, register("n", 1, 600, vec![contact("sip:new@h")]));
    assert!(matches!(&changes[0], BindingChange::Upsert(binding) if binding.contact_uri == "sip:new@h"));
    assert_eq!(changes[1], removed("sip:a@h1"));
    assert_eq!(contacts.len(), MAX_BINDINGS_PER_AOR);
}

#[test]
fn ten_contacts_in_one_request_pass_and_eleven_do_not() {
    let contacts =
        |count: usize| (0..count).map(|number| contact(&format!("sip:{number}@h"))).collect::<Vec<_>>();
    let mut registrar = Registrar::new();
    let eleven = register("c", 1, 600, contacts(MAX_BINDINGS_PER_AOR + 1));
    assert_eq!(refuse(&mut registrar, NOW, eleven), RegisterRefusal::TooManyContacts);
    accept(&mut registrar, NOW, register("c", 1, 600, contacts(MAX_BINDINGS_PER_AOR)));
    assert_eq!(registrar.len(), MAX_BINDINGS_PER_AOR);
}

#[test]
fn full_node_refuses_new_bindings_and_refreshes_old_ones() {
    let mut registrar = Registrar::with_capacity(2);
    accept(&mut registrar, NOW, register("c", 1, 600, vec![contact("sip:a@h"), contact("sip:b@h")]));
    let refusal = refuse(&mut registrar, NOW, register("d", 1, 600, vec![contact("sip:c@h")]));
    assert_eq!((refusal, refusal.status()), (RegisterRefusal::NodeFull, 503));
    accept(&mut registrar, NOW, register("c", 2, 600, vec![contact("sip:a@h")]));
    accept(&mut registrar, NOW, register("c", 3, 0, vec![contact("sip:a@h")]));
    accept(&mut registrar, NOW, register("d", 2, 600, vec![contact("sip:c@h")]));
    assert_eq!(registrar.len(), 2);
}

#[test]
fn restarted_device_replaces_the_binding_of_its_former_port() {
    let mut registrar = Registrar::new();
    let device =
        |uri: &str, reg_id| ContactFacts { instance: Some("<urn:uuid:1>".into()), reg_id, ..contact(uri) };
    accept(&mut registrar, NOW, register("c1", 1, 600, vec![device("sip:a@10.0.0.5:5060", None)]));
    let (changes, _) =
        accept(&mut registrar, NOW, register("c2", 1, 600, vec![device("sip:a@10.0.0.5:6070", None)]));
    assert_eq!(changes[0], removed("sip:a@10.0.0.5:5060"));
    assert_eq!(uris(&registrar, NOW), ["sip:a@10.0.0.5:6070"]);
    // Flows with another reg-id stand beside it (RFC 5626).
    accept(&mut registrar, NOW, register("c3", 1, 600, vec![device("sip:a@10.0.0.5:7000", Some(1))]));
    accept(&mut registrar, NOW, register("c3", 2, 600, vec![device("sip:a@10.0.0.5:7001", Some(2))]));
    assert_eq!(registrar.len(), 3);
}

#[test]
fn contact_is_the_same_whatever_the_case_of_its_host() {
    let mut registrar = Registrar::new();
    accept(&mut registrar, NOW, register("c", 1, 600, vec![contact("sip:Alice@Host.Example:5060")]));
    let (changes, _) =
        accept(&mut registrar, NOW, register("c", 2, 600, vec![contact("SIP:Alice@host.example:5060")]));
    assert_eq!(changes[0], removed("sip:Alice@Host.Example:5060"));
    assert_eq!(registrar.len(), 1);
    for other in ["sip:alice@host.example:5060", "sips:Alice@host.example:5060"] {
        accept(&mut registrar, NOW, register(other, 1, 600, vec![contact(other)]));
    }
    assert_eq!(registrar.len(), 3);
}

#[test]
fn contact_without_uri_is_refused() {
    let mut registrar = Registrar::new();
    assert_eq!(
        refuse(&mut registrar, NOW, register("c", 1, 600, vec![contact(" ")])),
        RegisterRefusal::EmptyContact
    );
}

#[test]
fn look_up_is_most_recent_first_and_knows_no_expired_binding() {
    let mut registrar = Registrar::new();
    accept(&mut registrar, NOW, register("a", 1, 60, vec![contact("sip:a@h")]));
    accept(&mut registrar, NOW, register("b", 1, 600, vec![contact("sip:b@h")]));
    assert_eq!(uris(&registrar, NOW), ["sip:b@h", "sip:a@h"]);
    accept(&mut registrar, NOW + 1, register("a", 2, 60, vec![contact("sip:a@h")]));
    assert_eq!(uris(&registrar, NOW + 60), ["sip:a@h", "sip:b@h"]);
    assert_eq!(uris(&registrar, NOW + 61), ["sip:b@h"]);
    assert!(registrar.bindings("nobody@h", NOW).is_empty());
}

#[test]
fn expiry_comes_at_its_deadline() {
    let mut registrar = Registrar::new();
    let direct = Flow { nat: Nat::Direct, ..udp("192.0.2.1:5060") };
    let facts = RegisterFacts { flow: direct, ..register("a", 1, 60, vec![contact("sip:a@h")]) };
    accept(&mut registrar, NOW, facts);
    assert_eq!(registrar.deadline(), Some(NOW + 60));
    assert_eq!(registrar.expire(NOW + 59), []);
    assert_eq!(registrar.expire(NOW + 60), [removed("sip:a@h")]);
    assert_eq!((registrar.deadline(), registrar.is_empty()), (None, true));
}

#[test]
fn password_change_drops_every_binding_of_the_user() {
    let mut registrar = Registrar::new();
    accept(&mut registrar, NOW, register("a", 1, 600, vec![contact("sip:a@h"), contact("sip:b@h")]));
    let other = RegisterFacts { aor: "bob@h".into(), ..register("b", 1, 600, vec![contact("sip:a@h")]) };
    accept(&mut registrar, NOW, other);
    assert_eq!(registrar.remove_all(AOR).len(), 2);
    assert_eq!(registrar.bindings("bob@h", NOW).len(), 1);
}

#[test]
fn restart_reloads_bindings_and_forgets_what_expired_meanwhile() {
    let mut before = Registrar::new();
    let mut store = Vec::new();
    for (call_id, expires) in [("a", 60), ("b", 600)] {
        let uri = format!("sip:{call_id}@h");
        let (changes, _) = accept(&mut before, NOW, register(call_id, 7, expires, vec![contact(&uri)]));
        store.extend(changes.into_iter().filter_map(|change| match change {
            BindingChange::Upsert(binding) => Some(binding),
            BindingChange::Remove { .. } => None,
        }));
    }
    let mut after = Registrar::new();
    assert_eq!(after.load(NOW + 100, store), [removed("sip:a@h")]);
    assert_eq!(after.bindings(AOR, NOW + 100), before.bindings(AOR, NOW + 100));
    // The order of requests holds across the restart.
    let late = register("b", 6, 600, vec![contact("sip:b@h")]);
    assert_eq!(refuse(&mut after, NOW + 100, late), RegisterRefusal::OutOfOrder);
}

#[test]
fn reloaded_connections_are_gone_and_limits_hold() {
    let binding = |uri: &str, refreshed_at: u64| Binding {
        aor: AOR.into(),
        contact_uri: uri.into(),
        expires_at: NOW + 600,
        refreshed_at,
        call_id: uri.into(),
        cseq: 1,
        flow: tcp(9, Nat::Translated),
        path: Vec::new(),
        user_agent: None,
        instance: None,
        reg_id: None,
        q_millis: 1_000,
    };
    let stored: Vec<Binding> = (0..=MAX_BINDINGS_PER_AOR as u64)
        .map(|number| binding(&format!("sip:{number}@h"), NOW + 50 - number))
        .collect();
    let mut registrar = Registrar::new();
    assert_eq!(registrar.load(NOW + 100, stored), [removed("sip:10@h")]);
    assert_eq!(registrar.bindings(AOR, NOW + 100)[0].contact_uri, "sip:0@h");
    // Connection 9 of this process is another one than that of the last.
    assert_eq!(registrar.connection_closed(9), []);
    assert_eq!(registrar.keepalives(NOW + 200), []);

    let mut small = Registrar::with_capacity(1);
    let two = vec![binding("sip:x@H", NOW), binding("sip:y@h", NOW + 1)];
    assert_eq!(small.load(NOW, two), [removed("sip:y@h")]);
    let twins = vec![binding("sip:x@H", NOW), binding("sip:x@h", NOW + 1)];
    assert_eq!(Registrar::new().load(NOW, twins), [removed("sip:x@H")]);
}

#[test]
fn closed_connection_drops_only_what_nothing_else_reaches() {
    let mut registrar = Registrar::new();
    let over = |call_id: &str, uri: &str, flow, reg_id| {
        let contact = ContactFacts { instance: Some(uri.into()), reg_id, ..contact(uri) };
        RegisterFacts { flow, ..register(call_id, 1, 600, vec![contact]) }
    };
    accept(&mut registrar, NOW, over("a", "sip:natted@h", tcp(1, Nat::Translated), None));
    accept(&mut registrar, NOW, over("b", "sip:public@h", tcp(1, Nat::Direct), None));
    accept(&mut registrar, NOW, over("c", "sip:outbound@h", tcp(1, Nat::Direct), Some(1)));
    accept(&mut registrar, NOW, over("d", "sip:other@h", tcp(2, Nat::Translated), None));
    assert_eq!(registrar.connection_closed(1), [removed("sip:natted@h"), removed("sip:outbound@h")]);
    assert_eq!(uris(&registrar, NOW), ["sip:other@h", "sip:public@h"]);
}

#[test]
fn natted_flow_gets_options_every_twenty_five_seconds() {
    let mut registrar = Registrar::new();
    accept(&mut registrar, NOW, register("a", 1, 600, vec![contact("sip:a@10.0.0.5")]));
    assert_eq!(registrar.deadline(), Some(NOW + KEEPALIVE_INTERVAL_SECONDS));
    assert_eq!(registrar.keepalives(NOW + 24), []);
    let expected = KeepAlive::Options { flow: udp("192.0.2.1:40000"), contact_uri: "sip:a@10.0.0.5".into() };
    assert_eq!(registrar.keepalives(NOW + 25), std::slice::from_ref(&expected));
    assert_eq!(registrar.keepalives(NOW + 26), []);
    assert_eq!(registrar.keepalives(NOW + 50), [expected]);
    // A REGISTER is traffic too: the next is due an interval after it.
    accept(&mut registrar, NOW + 60, register("a", 2, 600, vec![contact("sip:a@10.0.0.5")]));
    assert_eq!(registrar.deadline(), Some(NOW + 85));
}

#[test]
fn flow_is_kept_alive_once_however_many_bindings_use_it() {
    let mut registrar = Registrar::new();
    for aor in ["a@h", "b@h", "c@h"] {
        let facts = register(aor, 1, 600, vec![contact(&format!("sip:{aor}"))]);
        accept(&mut registrar, NOW, RegisterFacts { aor: aor.into(), ..facts });
    }
    assert_eq!(registrar.keepalives(NOW + 25).len(), 1);
    registrar.remove_all("a@h");
    registrar.remove_all("c@h");
    assert!(matches!(
        registrar.keepalives(NOW + 50).as_slice(),
        [KeepAlive::Options { contact_uri, .. }] if contact_uri == "sip:b@h"
    ));
    registrar.remove_all("b@h");
    assert_eq!(registrar.keepalives(NOW + 75), []);
    assert_eq!(registrar.deadline(), None);
}

#[test]
fn each_transport_has_its_keepalive_and_public_udp_none() {
    let cases = [
        (FlowTransport::Tcp, Nat::Direct, Some("crlf")),
        (FlowTransport::Tls, Nat::Direct, Some("crlf")),
        (FlowTransport::Ws, Nat::Direct, Some("ping")),
        (FlowTransport::Wss, Nat::Translated, Some("ping")),
        (FlowTransport::Udp, Nat::Translated, Some("options")),
        (FlowTransport::Udp, Nat::Direct, None),
    ];
    for (transport, nat, expected) in cases {
        let mut registrar = Registrar::new();
        let connection = transport.is_connection().then_some(1);
        let flow = Flow { transport, connection, nat, ..udp("192.0.2.1:40000") };
        accept(
            &mut registrar,
            NOW,
            RegisterFacts { flow, ..register("a", 1, 600, vec![contact("sip:a@h")]) },
        );
        let sent = registrar.keepalives(NOW + 25);
        let kind = sent.first().map(|keepalive| match keepalive {
            KeepAlive::DoubleCrlf { .. } => "crlf",
            KeepAlive::WebSocketPing { .. } => "ping",
            KeepAlive::Options { .. } => "options",
        });
        assert_eq!(kind, expected, "{transport:?} {nat:?}");
    }
}

#[test]
fn keepalives_come_in_batches_and_are_spread_after_a_restart() {
    let mut registrar = Registrar::new();
    let total = KEEPALIVE_BATCH + 1;
    let mut stored = Vec::new();
    for number in 0..total {
        let flow = udp(&format!("192.0.2.1:{}", 10_000 + number));
        let facts = RegisterFacts {
            aor: format!("u{number}@h"),
            flow,
            ..register("c", 1, 600, vec![contact(&format!("sip:u{number}@10.0.0.1"))])
        };
        let (changes, _) = accept(&mut registrar, NOW, facts);
        let [BindingChange::Upsert(binding)] = changes.as_slice() else { panic!("{changes:?}") };
        stored.push(binding.clone());
    }
    assert_eq!(registrar.keepalives(NOW + 25).len(), KEEPALIVE_BATCH);
    assert_eq!(registrar.deadline(), Some(NOW + 25));
    assert_eq!(registrar.keepalives(NOW + 25).len(), 1);

    let mut after = Registrar::new();
    after.load(NOW, stored);
    let per_second: Vec<usize> =
        (0..KEEPALIVE_INTERVAL_SECONDS).map(|second| after.keepalives(NOW + second).len()).collect();
    assert_eq!(per_second.iter().sum::<usize>(), total);
    assert!(per_second.iter().all(|count| *count <= total / 25 + 1), "{per_second:?}");
}

#[derive(Debug, Clone)]
enum Event {
    Register { user: u8, device: u8, call: u8, cseq: u32, expires: u32, port: u16 },
    Wildcard { user: u8 },
    Closed(u64),
    Pass(u64),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_u8..3, 0_u8..14, 0_u8..3, 1_u32..20, prop_oneof![Just(0_u32), 50_u32..5_000], 0_u16..4).prop_map(
            |(user, device, call, cseq, expires, port)| Event::Register { user, device, call, cseq, expires, port }
        ),
        1 => (0_u8..3).prop_map(|user| Event::Wildcard { user }),
        1 => (0_u64..4).prop_map(Event::Closed),
        3 => (1_u64..400).prop_map(Event::Pass),
    ]
}

proptest! {
    /// A store that applies the changes always holds what the registrar holds; a registrar loaded
    /// from it finds the same; limits and deadlines hold.
    #[test]
    fn stored_changes_rebuild_the_registrar(events in proptest::collection::vec(any_event(), 1..120)) {
        let mut registrar = Registrar::with_capacity(20);
        let mut store = std::collections::BTreeMap::new();
        let mut now = NOW;
        for event in events {
            let changes = match event {
                Event::Register { user, device, call, cseq, expires, port } => {
                    let instance = (device % 2 == 0).then(|| format!("device{}", device % 4));
                    let flow = if port == 0 { udp("192.0.2.1:40000") } else { tcp(u64::from(port), Nat::Translated) };
                    let facts = RegisterFacts {
                        aor: format!("u{user}@h"),
                        flow,
                        ..register(&call.to_string(), cseq, expires, vec![ContactFacts { instance, ..contact(&format!("sip:d{device}@h")) }])
                    };
                    match registrar.handle(now, facts) {
                        RegisterOutcome::Accepted { changes, .. } => changes,
                        RegisterOutcome::Refused(_) => Vec::new(),
                    }
                }
                Event::Wildcard { user } => {
                    let facts = RegisterFacts { aor: format!("u{user}@h"), ..wildcard("w", 1, Some(0)) };
                    accept(&mut registrar, now, facts).0
                }
                Event::Closed(connection) => registrar.connection_closed(connection),
                Event::Pass(seconds) => {
                    now += seconds;
                    registrar.keepalives(now);
                    let changes = registrar.expire(now);
                    prop_assert!(registrar.deadline().is_none_or(|deadline| deadline > now));
                    changes
                }
            };
            for change in changes {
                match change {
                    BindingChange::Upsert(binding) => {
                        store.insert((binding.aor.clone(), binding.contact_uri.clone()), binding);
                    }
                    BindingChange::Remove { aor, contact_uri } => {
                        prop_assert!(store.remove(&(aor, contact_uri)).is_some());
                    }
                }
            }
            prop_assert_eq!(store.len(), registrar.len());
            prop_assert!(registrar.len() <= 20);
            let mut reloaded = Registrar::with_capacity(20);
            reloaded.load(now, store.values().cloned());
            for user in 0..3 {
                let aor = format!("u{user}@h");
                let key = |bindings: Vec<&Binding>| {
                    let mut uris: Vec<String> = bindings.iter().map(|binding| binding.contact_uri.clone()).collect();
                    uris.sort();
                    uris
                };
                prop_assert!(registrar.bindings(&aor, now).len() <= MAX_BINDINGS_PER_AOR);
                prop_assert_eq!(key(registrar.bindings(&aor, now)), key(reloaded.bindings(&aor, now)));
            }
        }
    }
}
