//! Gateways: asked by OPTIONS whether they live, and registered at with the password they ask for.

use std::time::Duration;

use tandem_engine::{GatewayAccount, Probing, RegistrationState};
use tandem_model::ports::{Gateway, GatewayHealth, Transport};
use tandem_model::{CarrierId, Ids};
use tandem_sip::message::{FieldName, HeaderField, Method};
use tandem_sip::{Event, RequestFacts, TransactionId};

use crate::support::{PATIENCE, Peer, World, engine, engine_with};

async fn asked(peer: &Peer) -> (TransactionId, Box<RequestFacts>) {
    peer.expect("a request", |event| match event {
        Event::Request { transaction, facts } => Some((*transaction, facts.clone())),
        _ => None,
    })
    .await
}

fn answer(peer: &Peer, transaction: TransactionId, status: u16, headers: &[HeaderField]) {
    let _ = peer.command(|endpoint, now| endpoint.respond(now, transaction, status, None, headers, None));
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_options_is_marked_down_after_so_many_and_up_at_the_first_answer() {
    let world = World::new();
    let peer = Peer::start().await;
    let gateway = Gateway { address: peer.addr(), transport: Transport::Udp };
    world.watch_gateway(gateway.clone());
    let engine = engine_with(&world, |config| {
        config.probing = Some(Probing {
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(200),
            failures: 2,
        });
    })
    .await;
    // Any answer is a sign of life; 503 and silence are none.
    for answered in [Some(405), Some(503), None, Some(200)] {
        let (transaction, facts) = asked(&peer).await;
        assert_eq!(facts.method, Method::Options);
        if let Some(status) = answered {
            answer(&peer, transaction, status, &[]);
        }
    }
    let expected = vec![(gateway.clone(), GatewayHealth::Down), (gateway, GatewayHealth::Up)];
    world.eventually("down, and up again", |seen| (seen.marks == expected).then_some(())).await;
    engine.abandon().await;
}

#[tokio::test]
async fn we_register_where_a_gateway_wants_it_with_its_challenge_answered_and_again_in_time() {
    let world = World::new();
    let (engine, peer) = (engine(&world).await, Peer::start().await);
    let account = GatewayAccount {
        carrier: CarrierId(Ids::random()),
        address: peer.addr(),
        transport: Transport::Udp,
        host: "127.0.0.1".to_owned(),
        username: "tandem".to_owned(),
        password: "secret".to_owned().into(),
        realm: None,
    };
    let carrier = account.carrier;
    engine.hold_registrations(vec![account.clone()]).await;
    let (transaction, first) = asked(&peer).await;
    assert_eq!((first.method, first.to.uri.as_str()), (Method::Register, "sip:tandem@127.0.0.1"));
    assert_eq!(first.expires, Some(3_600));
    let challenge = r#"Digest realm="gw", nonce="abc", qop="auth", algorithm=MD5"#;
    answer(&peer, transaction, 401, &[HeaderField::new(FieldName::WwwAuthenticate, challenge).unwrap()]);
    let (transaction, second) = asked(&peer).await;
    assert_eq!((&second.call_id, second.cseq), (&first.call_id, first.cseq + 1));
    assert!(second.authorization[0].contains("username=\"tandem\""), "{:?}", second.authorization);
    let contact = format!("{};expires=7", second.contacts[0]);
    answer(&peer, transaction, 200, &[HeaderField::new(FieldName::Contact, contact).unwrap()]);
    // Granted 7 s: a refresh is due after the shortest time there is.
    let began = tokio::time::Instant::now();
    let (transaction, third) = asked(&peer).await;
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(third.call_id, first.call_id);
    assert_eq!(engine.registrations().get(&carrier), Some(&RegistrationState::Registered));
    // The same account again changes nothing; a refusal is said; an account that is gone is not held.
    engine.hold_registrations(vec![account]).await;
    answer(&peer, transaction, 403, &[]);
    let refused = async {
        while engine.registrations().get(&carrier) != Some(&RegistrationState::Refused(403)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        engine.hold_registrations(Vec::new()).await;
        while !engine.registrations().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("both come to pass");
    engine.shutdown().await;
}
