//! Death is total and final, for whoever asks after it was answered.

use std::sync::Arc;

use opalid_core::alive::Reason;
use opalid_core::grant::Ancestor;
use opalid_core::time::{Seconds, UnixTime};

use super::on_every_engine;
use super::place::Place;
use super::world::{END, Token, World};
use crate::steps::client::ClientEvent;
use crate::steps::revoke::{CutGrant, KILLED_KEPT, KillLimits, KillToken, Revoked};
use crate::steps::sweep::{Sweep, SweptTable};
use crate::steps::user::UserEvent;

on_every_engine! {
    a_killed_token_is_dead_and_its_neighbours_live;
    once_a_kill_is_answered_every_check_says_so;
    once_a_cut_is_answered_every_check_says_so;
    a_repeated_revocation_is_dead_again;
    a_repeated_revocation_writes_nothing;
    whoever_repeats_a_revocation_is_answered_when_it_is_so;
    suspend_and_resume_revive_nothing;
    every_event_of_a_user_kills_what_it_should;
    a_restart_forgets_nothing_killed;
    a_grant_of_which_too_many_tokens_were_killed_is_cut_and_what_is_repeated_or_swept_does_not_count;
    a_grant_born_of_an_old_epoch_is_dead_on_arrival;
}

async fn a_killed_token_is_dead_and_its_neighbours_live(place: &Place) {
    let world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let (one, other) = (world.token(grant, number).await, world.token(grant, number).await);
    assert_eq!((world.why_dead(&one).await, world.why_dead(&other).await), (None, None));
    assert_eq!(world.store.run(world.kill(&one)).await.unwrap(), Revoked::Dead);
    assert_eq!((world.why_dead(&one).await, world.why_dead(&other).await), (Some(Reason::Killed), None));
}

async fn once_a_kill_is_answered_every_check_says_so(place: &Place) {
    let world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let tasks = (0..8).map(|task| {
        let world = world.clone();
        tokio::spawn(async move {
            for round in 0..25 {
                let token = world.token(grant, number).await;
                assert_eq!(world.why_dead(&token).await, None);
                assert_eq!(world.store.run(world.kill(&token)).await.unwrap(), Revoked::Dead);
                assert_eq!(world.why_dead(&token).await, Some(Reason::Killed), "task {task}, round {round}");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

async fn once_a_cut_is_answered_every_check_says_so(place: &Place) {
    let world = Arc::new(World::new(place).await);
    for _ in 0..20 {
        let (grant, number) = world.interned().await;
        let token = Arc::new(world.token(grant, number).await);
        let checks = (0..4).map(|_| {
            let (world, token) = (Arc::clone(&world), Arc::clone(&token));
            // Once dead, dead for ever, also while reads begun before the cut come back.
            tokio::spawn(async move {
                let mut dead = false;
                for _ in 0..50 {
                    let now = world.why_dead(&token).await.is_some();
                    assert!(now || !dead, "it came back to life");
                    dead = now;
                    tokio::task::yield_now().await;
                }
            })
        });
        let checks = checks.collect::<Vec<_>>();
        assert_eq!(world.cut(grant).await, Revoked::Dead);
        assert_eq!(world.why_dead(&token).await, Some(Reason::GrantCut));
        for check in checks {
            check.await.unwrap();
        }
    }
}

async fn a_repeated_revocation_is_dead_again(place: &Place) {
    let world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    let twice = tokio::join!(world.store.run(world.kill(&token)), world.store.run(world.kill(&token)));
    assert_eq!((twice.0.unwrap(), twice.1.unwrap()), (Revoked::Dead, Revoked::Dead));
    assert_eq!(world.store.run(world.kill(&token)).await.unwrap(), Revoked::Dead);
    assert_eq!((world.cut(grant).await, world.cut(grant).await), (Revoked::Dead, Revoked::Dead));
}

async fn a_repeated_revocation_writes_nothing(place: &Place) {
    let world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let (token, other) = (world.token(grant, number).await, world.token(grant, number).await);
    let epoch = token.sealed.epoch;
    let cut = || CutGrant { stamp: world.stamp(), grant, of_epoch: Some(epoch), reason: "a test" };
    assert_eq!(world.store.run(world.kill(&token)).await.unwrap(), Revoked::Dead);
    let after_kill = world.written().await;
    assert_eq!(world.store.run(world.kill(&token)).await.unwrap(), Revoked::Dead);
    assert_eq!(world.written().await, after_kill);
    assert_eq!(world.store.run(cut()).await.unwrap(), Revoked::Dead);
    let after_cut = world.written().await;
    assert_eq!(after_cut, (after_kill.0 + 1, after_kill.1 + 1));
    for _ in 0..3 {
        assert_eq!(world.store.run(cut()).await.unwrap(), Revoked::Dead);
        for dead in [&token, &other] {
            assert_eq!(world.store.run(world.kill(dead)).await.unwrap(), Revoked::Dead);
            assert!(world.why_dead(dead).await.is_some());
        }
    }
    let stands = world.standing_of(Ancestor::Grant(grant)).await.unwrap().epoch;
    assert_eq!((world.written().await, stands.0), (after_cut, epoch.0 + 1));
    // What an operator revokes is the grant as it stands.
    assert_eq!(world.cut(grant).await, Revoked::Dead);
    assert_eq!(world.standing_of(Ancestor::Grant(grant)).await.unwrap().epoch.0, epoch.0 + 2);
}

async fn whoever_repeats_a_revocation_is_answered_when_it_is_so(place: &Place) {
    let world = World::new(place).await;
    for round in 0..20 {
        let (grant, number) = world.interned().await;
        let token = Arc::new(world.token(grant, number).await);
        assert_eq!(world.why_dead(&token).await, None);
        let before = world.written().await;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (world, token) = (world.clone(), Arc::clone(&token));
                tokio::spawn(async move {
                    if round % 2 == 0 {
                        let (stamp, of_epoch) = (world.stamp(), Some(token.sealed.epoch));
                        let cut = CutGrant { stamp, grant, of_epoch, reason: "a test" };
                        assert_eq!(world.store.run(cut).await.unwrap(), Revoked::Dead);
                    } else {
                        assert_eq!(world.store.run(world.kill(&token)).await.unwrap(), Revoked::Dead);
                    }
                    assert!(world.why_dead(&token).await.is_some());
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(world.written().await, (before.0 + 1, before.1 + 1), "once, round {round}");
    }
}

async fn suspend_and_resume_revive_nothing(place: &Place) {
    let world = World::new(place).await;
    let client = world.user_token(&[Ancestor::Client(world.client)]).await;
    let user = world.user_token(&[Ancestor::User(world.user)]).await;
    assert_eq!((world.why_dead(&client).await, world.why_dead(&user).await), (None, None));
    assert!(world.touch_client(ClientEvent::Suspended).await && world.touch_user(UserEvent::Suspended).await);
    assert!(world.why_dead(&client).await.is_some() && world.why_dead(&user).await.is_some());
    assert!(!world.store.find_client(world.workspace, "app").await.unwrap().unwrap().enabled);
    assert!(world.touch_client(ClientEvent::Resumed).await && world.touch_user(UserEvent::Resumed).await);
    assert!(world.why_dead(&client).await.is_some() && world.why_dead(&user).await.is_some());
    let client = world.user_token(&[Ancestor::Client(world.client), Ancestor::User(world.user)]).await;
    assert_eq!(world.why_dead(&client).await, None);
}

async fn every_event_of_a_user_kills_what_it_should(place: &Place) {
    let world = World::new(place).await;
    let (user, credentials) = (Ancestor::User(world.user), Ancestor::Credentials(world.user));
    let cases = [
        (UserEvent::Revoked, true, false),
        (UserEvent::SignedOutEverywhere, false, true),
        (UserEvent::Suspended, true, true),
        (UserEvent::Resumed, true, false),
    ];
    for (event, offline_dies, bound_dies) in cases {
        let (offline, bound) = (world.user_token(&[user]).await, world.user_token(&[credentials]).await);
        assert!(world.touch_user(event).await);
        assert_eq!(world.why_dead(&offline).await.is_some(), offline_dies, "{event:?}");
        if event != UserEvent::Resumed {
            assert_eq!(world.why_dead(&bound).await.is_some(), bound_dies, "{event:?}");
        }
    }
}

async fn a_grant_of_which_too_many_tokens_were_killed_is_cut_and_what_is_repeated_or_swept_does_not_count(
    place: &Place,
) {
    let world = World::new(place).await;
    let person = world.user_token(&[Ancestor::User(world.user)]).await.sealed;
    let client = world.interned().await;
    let limits = KillLimits { of_person: 2, of_client: 4 };
    for ((grant, number), most) in [((person.grant, person.entitlement), 2), (client, 4)] {
        let witness = world.token(grant, number).await;
        let kill = async |token: &Token, expires_at| {
            let step = KillToken { limits, expires_at, ..world.kill(token) };
            assert_eq!(world.store.run(step).await.unwrap(), Revoked::Dead);
            assert!(world.why_dead(token).await.is_some());
        };
        for _ in 0..3 {
            // Swept a while later, they count no more.
            for _ in 0..most {
                let token = world.token(grant, number).await;
                kill(&token, UnixTime(1)).await;
                kill(&token, UnixTime(1)).await;
            }
            assert_eq!(world.why_dead(&witness).await, None);
            let now = UnixTime(1).plus(KILLED_KEPT).plus(Seconds(1));
            let sweep = Sweep { table: SweptTable::Killed, after: None, limit: 100, now };
            assert_eq!(world.store.run(sweep).await.unwrap().removed, most);
        }
        for _ in 0..=most {
            assert_eq!(world.why_dead(&witness).await, None);
            kill(&world.token(grant, number).await, END).await;
        }
        assert_eq!(world.why_dead(&witness).await, Some(Reason::GrantCut));
    }
}

async fn a_restart_forgets_nothing_killed(place: &Place) {
    let world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let (killed, alive) = (world.token(grant, number).await, world.token(grant, number).await);
    let cut = world.user_token(&[Ancestor::User(world.user)]).await;
    world.store.run(world.kill(&killed)).await.unwrap();
    world.cut(cut.sealed.grant).await;
    let position = world.store.memory().position();
    let world = world.reopened(place).await;
    assert_eq!(world.store.memory().position(), position);
    assert_eq!(world.why_dead(&killed).await, Some(Reason::Killed));
    assert_eq!(world.why_dead(&cut).await, Some(Reason::GrantCut));
    assert_eq!(world.why_dead(&alive).await, None);
}

async fn a_grant_born_of_an_old_epoch_is_dead_on_arrival(place: &Place) {
    let world = World::new(place).await;
    let epoch = world.store.find_client(world.workspace, "app").await.unwrap().unwrap().epoch;
    assert!(world.touch_client(ClientEvent::Revoked).await);
    let (grant, number) = world.intern(world.standing((1, epoch.0), world.read())).await;
    let token = world.token(grant, number).await;
    assert!(world.why_dead(&token).await.is_some());
}
