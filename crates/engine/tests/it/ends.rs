//! How calls end: money, limits, the API, silence, a store that is away, a process that dies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tandem_engine::EngineHandle;
use tandem_model::ports::{Decision, Extension, Plan, Reservation};
use tandem_model::{HangupCause, HangupSource, LegRole, OrphanCall};
use tandem_sip::Outcome;

use crate::support::world::admitted;
use crate::support::{PATIENCE, Peer, Voice, World, engine, engine_with, route_to};
use crate::trunk::talking;

#[tokio::test]
async fn a_call_whose_money_runs_out_ends_at_the_covered_second() {
    let call = talking(|world| {
        let routes = world.routes();
        world.on_admit(move |facts| {
            let plan = Plan::Bridge { routes: routes.clone(), ring_timeout_s: 30 };
            let reservation = Reservation { covered_s: Some(1) };
            Decision::Admit(Box::new(tandem_model::ports::Admitted { reservation, ..admitted(&facts, plan) }))
        });
        world.on_extend(|_| Extension::Exhausted);
    })
    .await;
    call.a.bye().await;
    call.b.bye().await;
    let end = call.world.ends(1).await.remove(0);
    assert_eq!((end.cause, end.source), (HangupCause::OutOfCredits, HangupSource::Vobiz));
    assert_eq!(end.billsec, 1, "not a second beyond what was covered");
    assert_eq!(call.world.seen(|seen| seen.extends.len()), 1);
}

#[tokio::test]
async fn an_extended_reservation_lets_the_call_go_on() {
    let call = talking(|world| {
        let routes = world.routes();
        world.on_admit(move |facts| {
            let plan = Plan::Bridge { routes: routes.clone(), ring_timeout_s: 30 };
            let reservation = Reservation { covered_s: Some(1) };
            Decision::Admit(Box::new(tandem_model::ports::Admitted { reservation, ..admitted(&facts, plan) }))
        });
    })
    .await;
    call.world.eventually("more money is asked", |seen| (!seen.extends.is_empty()).then_some(())).await;
    // Past the first second, both still talk.
    let heard = call.a_voice.heard().loud;
    call.a_voice.hears("half a second more", |now| now.loud > heard + 25).await;
    assert!(call.engine.hangup(call.world.seen(|seen| seen.admits[0].call), HangupSource::ApiRequest));
    call.a.bye().await;
    let end = call.world.ends(1).await.remove(0);
    assert_eq!((end.cause, end.source), (HangupCause::NormalHangup, HangupSource::ApiRequest));
}

#[tokio::test]
async fn the_longest_talk_time_ends_a_call_with_6000() {
    let call = talking(|world| {
        let routes = world.routes();
        world.on_admit(move |facts| {
            let plan = Plan::Bridge { routes: routes.clone(), ring_timeout_s: 30 };
            Decision::Admit(Box::new(tandem_model::ports::Admitted {
                max_duration_s: 1,
                ..admitted(&facts, plan)
            }))
        });
    })
    .await;
    call.a.bye().await;
    let end = call.world.ends(1).await.remove(0);
    assert_eq!((end.cause, end.billsec), (HangupCause::ScheduledHangup, 1));
}

#[tokio::test]
async fn a_peer_that_falls_silent_ends_the_call_with_6020() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine_with(&world, |config| config.timing.media_timeout = Duration::from_millis(600)).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &a_voice.sdp());
    let (b_leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    a.answered().await;
    a.bye().await;
    let end = world.ends(1).await.remove(0);
    assert_eq!((end.cause, end.source), (HangupCause::MediaTimeout, HangupSource::Vobiz));
}

#[tokio::test]
async fn an_api_hangup_before_the_answer_cancels_with_1000() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    let (leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.ringing(now, leg));
    let call = world.seen(|seen| seen.admits[0].call);
    assert!(engine.hangup(call, HangupSource::ApiRequest));
    b.cancelled().await;
    a.rejected().await;
    let end = world.ends(1).await.remove(0);
    assert_eq!((end.cause, end.source), (HangupCause::Canceled, HangupSource::ApiRequest));
    assert_eq!(engine.drain(PATIENCE).await, 0);
    assert!(!engine.hangup(call, HangupSource::ApiRequest), "it is gone");
}

#[tokio::test]
async fn an_end_that_cannot_be_stored_is_kept_until_it_can() {
    let call = talking(|world| world.fail_ends(3)).await;
    let leg = call.a_leg;
    let _ = call.a.command(|endpoint, now| endpoint.bye(now, leg, None));
    call.b.bye().await;
    assert_eq!(call.engine.live_count(), 1, "the session lives on until its end is stored");
    call.world.ends(1).await;
    call.engine.shutdown().await;
    assert_eq!(call.world.seen(|seen| seen.ends.len()), 1, "stored exactly once");
}

#[tokio::test]
async fn a_callee_that_answers_while_cancel_is_in_flight_is_flagged_and_free() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    let leg = a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &a_voice.sdp());
    // B is silent: our CANCEL waits for its first word, and that is the 200.
    let (b_leg, _) = b.invited().await;
    world.eventually("B is dialled", |seen| (!seen.dialling.is_empty()).then_some(())).await;
    let _ = a.command(|endpoint, now| endpoint.cancel(now, leg, None));
    assert_eq!(a.rejected().await, 487);
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    b.bye().await;
    let end = world.ends(1).await.remove(0);
    assert!(end.answered_while_cancelling);
    assert_eq!((end.billsec, end.answered_at), (0, None));
}

/// The next life of a process: the same address, another generation.
async fn restarted(world: &Arc<World>, dead: &EngineHandle) -> EngineHandle {
    engine_with(world, |config| {
        config.sip_bind = dead.sip_addr();
        config.generation = 1;
    })
    .await
}

#[tokio::test]
async fn both_sides_of_a_call_get_bye_from_the_next_process() {
    let call = talking(|_| {}).await;
    let dialogs = call.world.seen(|seen| seen.answered[0].dialogs.clone());
    let dead = call.world.seen(|seen| seen.admits[0].call);
    call.engine.abandon().await;
    let next = restarted(&call.world, &call.engine).await;
    let ended =
        next.end_orphans(vec![OrphanCall { call: dead, dialogs, answered: true }], HashMap::new()).await;
    assert_eq!(ended, 2);
    call.a.bye().await;
    call.b.bye().await;
    let byes = call.b.received().into_iter().filter(|message| message.starts_with("BYE ")).count();
    assert_eq!(byes, 1);
}

#[tokio::test]
async fn an_unanswered_orphan_is_cancelled_at_b_and_refused_at_a() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let first = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(first.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    let (b_leg, _) = b.invited().await;
    assert_eq!(b.command(|endpoint, now| endpoint.ringing(now, b_leg)), Outcome::Sent);
    let (call, dialogs) = world.eventually("B is dialled", |seen| seen.dialling.first().cloned()).await;
    assert_eq!(dialogs[0].role, LegRole::A, "the waiting caller is in the note, first");
    first.abandon().await;
    let next = restarted(&world, &first).await;
    assert_eq!(
        next.end_orphans(vec![OrphanCall { call, dialogs, answered: false }], HashMap::new()).await,
        2
    );
    b.cancelled().await;
    assert_eq!(a.rejected().await, 500);
}

#[tokio::test]
async fn a_callee_is_acknowledged_when_its_dialog_is_stored_and_not_before() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let stored = world.hold_answers();
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &a_voice.sdp());
    let (b_leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    world.eventually("the answer is on its way to the store", |seen| seen.answered.first().cloned()).await;
    let acks = |peer: &Peer| peer.received().iter().filter(|message| message.starts_with("ACK ")).count();
    assert_eq!(acks(&b), 0);
    assert!(!a.received().iter().any(|message| message.starts_with("SIP/2.0 200")));
    stored.add_permits(1);
    b.acked().await;
    a.answered().await;
    engine.shutdown().await;
}

#[tokio::test]
async fn a_callee_that_answered_while_the_process_died_before_storing_it_gets_ack_and_bye_from_the_next() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let _never = world.hold_answers();
    let first = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    a.invite(first.sip_addr(), "+918012345678", "trunk.test", &a_voice.sdp());
    let (b_leg, _) = b.invited().await;
    let (call, dialogs) = world.eventually("B is dialled", |seen| seen.dialling.first().cloned()).await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    world.eventually("the answer is on its way to the store", |seen| seen.answered.first().cloned()).await;
    first.abandon().await;
    let next = restarted(&world, &first).await;
    assert_eq!(
        next.end_orphans(vec![OrphanCall { call, dialogs, answered: false }], HashMap::new()).await,
        2
    );
    b.bye().await;
    assert!(b.received().iter().any(|message| message.starts_with("ACK ")));
    assert_eq!(a.rejected().await, 500);
}

#[tokio::test]
async fn a_caller_whose_200_was_written_down_and_never_sent_gets_500_from_the_next_process() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let _never = world.hold_answers();
    let first = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    a.invite(first.sip_addr(), "+918012345678", "trunk.test", &a_voice.sdp());
    let (b_leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    let answered =
        world.eventually("the answer reaches the store", |seen| seen.answered.first().cloned()).await;
    first.abandon().await;
    let next = restarted(&world, &first).await;
    let orphan = OrphanCall { call: answered.call, dialogs: answered.dialogs, answered: true };
    assert_eq!(next.end_orphans(vec![orphan], HashMap::new()).await, 2);
    assert_eq!(a.rejected().await, 500);
    b.bye().await;
}

#[tokio::test]
async fn talking_calls_are_reported_to_the_reaper() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine_with(&world, |config| config.timing.tick = Duration::from_millis(100)).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &a_voice.sdp());
    let (b_leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    a.answered().await;
    let (ticked, _) = world.eventually("a tick", |seen| seen.ticks.first().copied()).await;
    assert_eq!(ticked, world.seen(|seen| seen.admits[0].call));
}

#[tokio::test]
async fn a_recorded_call_leaves_a_file_with_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.wav");
    let spec = tandem_model::ports::RecordingSpec {
        recording: tandem_model::RecordingId(tandem_model::Ids::random()),
        path: path.clone(),
    };
    let id = spec.recording;
    let call = talking(move |world| {
        let routes = world.routes();
        world.on_admit(move |facts| {
            let plan = Plan::Bridge { routes: routes.clone(), ring_timeout_s: 30 };
            let recording = Some(spec.clone());
            Decision::Admit(Box::new(tandem_model::ports::Admitted { recording, ..admitted(&facts, plan) }))
        });
    })
    .await;
    let leg = call.a_leg;
    let _ = call.a.command(|endpoint, now| endpoint.bye(now, leg, None));
    let end = call.world.ends(1).await.remove(0);
    assert_eq!(end.recording, Some(id));
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(&bytes[..4], b"RIFF");
    let frames: Vec<_> = bytes[44..].chunks_exact(4).collect();
    let loud = |side: usize| {
        frames
            .iter()
            .any(|frame| i16::from_le_bytes([frame[side * 2], frame[side * 2 + 1]]).unsigned_abs() > 1_000)
    };
    assert!(loud(0) && loud(1), "caller left, callee right");
}
