use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use tandem_model::ports::Transport;

use super::*;
use crate::names::dns::{Answer, Server, Service, Unanswered};

fn place(name: &str) -> Place {
    Place::of_uri(&format!("sip:{name}")).unwrap()
}

fn at(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 5060))
}

fn found(last: u8, ttl: u64) -> Located {
    let step = Step { priority: 0, weight: 0, transport: Transport::Udp, addresses: vec![at(last)] };
    Located { steps: vec![step], ttl: Duration::from_secs(ttl), certain: true }
}

struct Nobody;

impl Dns for Nobody {
    fn services<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Answer<Service>, Unanswered>> {
        Box::pin(async { Err(Unanswered) })
    }

    fn servers<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Answer<Server>, Unanswered>> {
        Box::pin(async { Err(Unanswered) })
    }

    fn addresses<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Answer<std::net::IpAddr>, Unanswered>> {
        Box::pin(async { Err(Unanswered) })
    }
}

fn names() -> Names {
    Names::new(Arc::new(Nobody), Means::ALL)
}

fn addresses(names: &Names, place: &Place) -> Vec<SocketAddr> {
    names.targets(place).into_iter().map(|target| target.address).collect()
}

#[test]
fn a_literal_is_its_own_answer_and_is_not_kept() {
    let names = names();
    let literal = place("192.0.2.1");
    assert!(names.want(&literal));
    assert_eq!((addresses(&names, &literal), names.count()), (vec![at(1)], 0));
}

#[test]
fn an_expired_answer_is_given_while_it_is_looked_up_and_while_nobody_answers() {
    let (names, sbc) = (names(), place("sbc.example"));
    names.want(&sbc);
    let start = clock::monotonic();
    assert!(addresses(&names, &sbc).is_empty());
    assert_eq!(names.0.begin(start, 1), std::slice::from_ref(&sbc));
    assert!(names.0.begin(start, 1).is_empty(), "one look-up at a time");
    assert!(names.0.finish(&sbc, Some(found(1, 60)), start));
    assert!(names.0.begin(start + Duration::from_secs(59), 1).is_empty());
    let expired = start + Duration::from_mins(1);
    assert_eq!(names.0.begin(expired, 1), std::slice::from_ref(&sbc));
    assert_eq!(addresses(&names, &sbc), [at(1)]);
    // Silence keeps what is known, asked for again after 5 s, then 10 s.
    assert!(!names.0.finish(&sbc, None, expired));
    assert_eq!(addresses(&names, &sbc), [at(1)]);
    assert!(names.0.begin(expired + Duration::from_secs(4), 1).is_empty());
    let again = expired + RETRY;
    assert_eq!(names.0.begin(again, 1).len(), 1);
    assert!(!names.0.finish(&sbc, None, again));
    assert!(names.0.begin(again + RETRY, 1).is_empty());
    assert_eq!(names.0.begin(again + RETRY * 2, 1).len(), 1);
    // A new answer replaces it; that the name is gone, too, and at once.
    assert!(names.0.finish(&sbc, Some(found(2, 60)), again));
    assert_eq!(addresses(&names, &sbc), [at(2)]);
    assert_eq!(names.0.begin(again + Duration::from_mins(1), 1).len(), 1);
    let gone = Located { steps: Vec::new(), ttl: Duration::from_hours(1), certain: true };
    assert!(names.0.finish(&sbc, Some(gone), again));
    assert!(addresses(&names, &sbc).is_empty());
    assert_eq!(names.0.begin(again + MAX_NEGATIVE_TTL, 1).len(), 1, "and is asked for again before long");
}

#[test]
fn an_answer_nobody_renews_ends_after_a_day() {
    let (names, sbc) = (names(), place("sbc.example"));
    names.want(&sbc);
    let start = clock::monotonic();
    names.0.begin(start, 1);
    names.0.finish(&sbc, Some(found(1, 60)), start);
    let later = start + MAX_STALE;
    let just_before = start + MAX_STALE.saturating_sub(Duration::from_secs(1));
    assert!(!names.0.finish(&sbc, None, just_before));
    assert!(names.0.finish(&sbc, None, later));
    assert!(addresses(&names, &sbc).is_empty());
}

#[test]
fn an_uncertain_answer_does_not_replace_a_certain_one_but_is_better_than_none() {
    let (names, sbc) = (names(), place("sbc.example"));
    names.want(&sbc);
    let start = clock::monotonic();
    let uncertain = |last| Some(Located { certain: false, ..found(last, 600) });
    assert!(names.0.finish(&sbc, uncertain(9), start));
    assert_eq!(addresses(&names, &sbc), [at(9)]);
    assert_eq!(names.0.begin(start + RETRY, 1).len(), 1, "asked for again soon");
    assert!(names.0.finish(&sbc, Some(found(1, 60)), start));
    assert!(!names.0.finish(&sbc, uncertain(9), start));
    assert_eq!(addresses(&names, &sbc), [at(1)]);
}

#[test]
fn names_at_rest_wait_longer_and_those_nobody_wants_are_forgotten() {
    let (names, sbc) = (names(), place("sbc.example"));
    names.want(&sbc);
    let start = clock::monotonic();
    names.0.begin(start, 1);
    names.0.finish(&sbc, Some(found(1, 3_000)), start);
    let at_rest = start + IN_USE + Duration::from_secs(1);
    assert!(names.0.begin(at_rest, 1).is_empty());
    assert_eq!(names.count(), 0, "nobody wanted it for {FORGET:?}");
}

#[test]
fn the_table_is_bounded() {
    let names = names();
    for number in 0..MAX_PLACES {
        assert!(names.want(&place(&format!("{number}.example"))));
    }
    assert!(!names.want(&place("one-more.example")));
    assert!(names.want(&place("0.example")), "one that is kept already");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_new_names_waits_no_longer_than_he_said() {
    let names = names();
    names.want(&place("sbc.example"));
    names.settled(Duration::from_secs(1)).await;
    let cancel = CancellationToken::new();
    let keeping = names.clone().keep(|_| (), cancel.clone());
    let waiting = async {
        names.settled(Duration::from_mins(1)).await;
        cancel.cancel();
    };
    tokio::join!(keeping, waiting);
}
