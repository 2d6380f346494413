//! The judge finds each kind of wrong, and nothing in evidence that is right.

use super::*;
use crate::evidence::{Books, Event, Offer};

/// One call out that talked 2.4 s, cut off by a kill, and one call in that talked 1 s before it.
fn right() -> Evidence {
    let leg = |call_id: &str, incoming, offer, answered, ended, by: &str| Leg {
        call_id: call_id.to_owned(),
        incoming,
        offer,
        answered_ms: Some(answered),
        ended_ms: Some(ended),
        ended_by: by.to_owned(),
        talk_ms: (ended - answered) as u64,
    };
    let offer =
        |number, call_id: &str| Offer { number, call_id: call_id.to_owned(), rang: true, status: 200 };
    let event = |id: &str, kind: &str, call: &str, cost_micros| Event {
        id: id.to_owned(),
        kind: kind.to_owned(),
        call: call.to_owned(),
        cost_micros,
        taken: true,
        signed: true,
    };
    let record = |call: &str, sip_call_id: &str, outbound, billsec, cost_micros| Record {
        call: call.to_owned(),
        sip_call_id: sip_call_id.to_owned(),
        outbound,
        billsec,
        cost_micros,
    };
    Evidence {
        offers: vec![offer(1, "pbx-1"), offer(2, "sim-2")],
        carrier: vec![
            leg("b-1", true, Some(1), 10_000, 12_400, "peer"),
            leg("sim-2", false, None, 5_000, 6_000, "us"),
        ],
        pbx: vec![leg("pbx-1", false, None, 10_000, 12_500, "peer")],
        events: vec![
            event("e1", "CallInitiated", "one", None),
            event("e2", "Hangup", "one", Some(10_000)),
            event("e2", "Hangup", "one", Some(10_000)),
            event("e3", "Hangup", "two", None),
        ],
        records: vec![record("one", "pbx-1", true, 1, 10_000), record("two", "sim-2", false, 1, 5_000)],
        deaths: vec![Death { killed_ms: 11_000, ready_ms: 12_000, ready_in_ms: 800 }],
        books: Books {
            opening_micros: 100_000,
            closing_micros: 85_000,
            second_micros: (10_000, 5_000),
            ..Books::default()
        },
    }
}

#[track_caller]
fn finds(change: impl FnOnce(&mut Evidence), expected: &[Wrong]) {
    let mut evidence = right();
    change(&mut evidence);
    let verdict = Verdict::of(&evidence);
    let found: Vec<Wrong> = verdict.wrongs.keys().copied().collect();
    assert_eq!(found, expected, "{verdict}");
}

#[test]
fn nothing_is_wrong_with_what_is_right() {
    let verdict = Verdict::of(&right());
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.admitted, verdict.answered, verdict.cut_off), (2, 2, 2));
    assert_eq!((verdict.events, verdict.repeated_events), (3, 1));
    assert_eq!((verdict.worst_ready_ms, verdict.worst_bye_ms), (800, 500));
}

#[test]
fn records_are_missed_doubled_and_invented() {
    finds(
        |evidence| {
            evidence.records.remove(0);
        },
        &[Wrong::LostRecord, Wrong::InventedEvent, Wrong::Balance],
    );
    finds(
        |evidence| {
            let again = Record { call: "three".to_owned(), ..evidence.records[0].clone() };
            evidence.records.push(again);
        },
        &[Wrong::DoubledRecord, Wrong::LostEvent, Wrong::Balance],
    );
    finds(
        |evidence| evidence.offers[1].call_id = "another".to_owned(),
        &[Wrong::LostRecord, Wrong::InventedRecord],
    );
}

#[test]
fn a_call_counts_as_admitted_by_any_trace_outside_and_by_nothing_less() {
    let unrecorded = |evidence: &mut Evidence, rang, status| {
        evidence.offers.push(Offer { number: 9, call_id: "pbx-9".to_owned(), rang, status });
    };
    for (rang, status) in [(true, 0), (false, 486), (false, 404), (false, 500), (false, 200)] {
        finds(|evidence| unrecorded(evidence, rang, status), &[Wrong::LostRecord]);
    }
    for status in [0, 401, 407, 408, 487, 503] {
        finds(|evidence| unrecorded(evidence, false, status), &[]);
    }
    finds(
        |evidence| {
            unrecorded(evidence, false, 0);
            evidence.carrier.push(Leg { incoming: true, offer: Some(9), ..Leg::default() });
        },
        &[Wrong::LostRecord],
    );
}

#[test]
fn events_are_missed_doubled_forged_and_contradicted() {
    finds(|evidence| evidence.events[0].taken = false, &[Wrong::LostEvent]);
    finds(|evidence| evidence.events[2].id = "e9".to_owned(), &[Wrong::DoubledEvent]);
    finds(|evidence| evidence.events[3].signed = false, &[Wrong::BadSignature]);
    finds(|evidence| evidence.events[1].cost_micros = Some(1), &[Wrong::DisagreeingEvent]);
}

#[test]
fn charges_beyond_the_proof_below_it_and_off_the_rate_are_found() {
    let bill = |evidence: &mut Evidence, index: usize, billsec: u64| {
        let second = if index == 0 { 10_000 } else { 5_000 };
        let record = &mut evidence.records[index];
        evidence.books.closing_micros += record.cost_micros;
        record.billsec = billsec;
        record.cost_micros = second * billsec as i64;
        evidence.books.closing_micros -= record.cost_micros;
        for event in evidence.events.iter_mut().filter(|event| event.cost_micros.is_some() && index == 0) {
            event.cost_micros = Some(second * billsec as i64);
        }
    };
    finds(|evidence| bill(evidence, 0, 3), &[]);
    finds(|evidence| bill(evidence, 0, 4), &[Wrong::Overcharged]);
    finds(|evidence| bill(evidence, 0, 0), &[]);
    finds(
        |evidence| {
            evidence.carrier[1].talk_ms = 2_000;
            evidence.carrier[1].answered_ms = Some(4_000);
            bill(evidence, 1, 0);
        },
        &[Wrong::Undercharged],
    );
    finds(|evidence| evidence.carrier[0].answered_ms = None, &[Wrong::Overcharged]);
    finds(|evidence| evidence.records[1].billsec = 2, &[Wrong::Mispriced]);
}

#[test]
fn books_that_do_not_close_are_found() {
    finds(|evidence| evidence.books.closing_micros -= 1, &[Wrong::Balance]);
    finds(|evidence| evidence.books.held_micros = 1, &[Wrong::Balance]);
    finds(|evidence| evidence.books.ledger = Some("sums".to_owned()), &[Wrong::Ledger]);
    finds(|evidence| evidence.books.live_calls = 1, &[Wrong::LeftLive]);
    finds(|evidence| evidence.books.listed_live = 1, &[Wrong::LeftLive]);
}

#[test]
fn slow_starts_and_late_goodbyes_are_found_at_one_millisecond_past_the_limit() {
    finds(|evidence| evidence.deaths[0].ready_in_ms = 3_000, &[]);
    finds(|evidence| evidence.deaths[0].ready_in_ms = 3_001, &[Wrong::SlowReady]);
    finds(|evidence| evidence.pbx[0].ended_ms = Some(17_000), &[]);
    finds(|evidence| evidence.pbx[0].ended_ms = Some(17_001), &[Wrong::LateBye]);
    finds(|evidence| evidence.pbx[0].ended_ms = None, &[Wrong::LateBye]);
    // A second kill within the five seconds starts them anew.
    let second = Death { killed_ms: 16_000, ready_ms: 17_000, ready_in_ms: 900 };
    finds(
        |evidence| {
            evidence.deaths.push(second);
            evidence.pbx[0].ended_ms = Some(21_000);
        },
        &[],
    );
    finds(
        |evidence| {
            evidence.deaths.push(Death { killed_ms: 18_000, ..second });
            evidence.pbx[0].ended_ms = Some(18_001);
        },
        &[Wrong::LateBye],
    );
}

#[test]
fn a_callee_that_is_left_talking_is_found_though_its_caller_never_heard_the_answer() {
    let half = |evidence: &mut Evidence, ended| {
        evidence.pbx[0].answered_ms = None;
        evidence.carrier[0].answered_ms = Some(10_999);
        evidence.carrier[0].ended_ms = Some(ended);
    };
    finds(|evidence| half(evidence, 17_000), &[]);
    finds(|evidence| half(evidence, 40_000), &[Wrong::LateBye]);
}
