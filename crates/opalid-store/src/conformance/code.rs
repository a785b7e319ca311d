//! Codes: what uses one up, what cuts what came of it, and what does neither.

use std::sync::Arc;

use opalid_core::code::{CodeBinding, Unbound};
use opalid_core::grant::{Descent, EntitlementNo, Epoch, Grant};
use opalid_core::ids::{ClientId, CodeId, ResourceId, SessionId};
use opalid_core::pkce::{CodeChallenge, CodeVerifier};
use opalid_core::refresh::{NotGranted, Wish};
use opalid_core::token::SecretDigest;
use opalid_core::token_settings::ClientTerms;

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use super::world::{END, World, new_grant};
use crate::steps::code::{IssueCode, RedeemCode, RedeemedCode};
use crate::steps::evidence::GrantFacts;

on_every_engine! {
    a_stranger_to_what_a_code_is_bound_to_neither_uses_it_nor_cuts_what_came_of_it;
    a_refused_resource_uses_no_code_up;
    what_a_first_use_found_is_remembered_until_the_grant_is_cut;
    a_code_and_its_replay_at_once_cut_the_grant_whatever_a_stranger_tries_meanwhile;
}

const CALLBACK: &str = "https://app.example/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Makes a grant and its code; gives how its client redeems it.
async fn issue(world: &World) -> (Grant, impl Fn() -> RedeemCode + use<>) {
    let new = new_grant();
    let grant = Grant {
        id: new.id,
        guard: new.guard,
        epoch: Epoch::FIRST,
        standing: false,
        descent: Descent::new(world.client, Some(world.user), []),
        entitlements: Arc::new([Arc::new(world.read())]),
    };
    let (id, digest) = (CodeId::from_bytes(unique_bytes()), SecretDigest::of(b"a code"));
    let binding = CodeBinding {
        redirect_uri: Some(CALLBACK.into()),
        code_challenge: CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap(),
        nonce: None,
        entitlement: EntitlementNo(0),
    };
    let issue = IssueCode {
        stamp: world.stamp(),
        grant: grant.clone(),
        facts: GrantFacts::default(),
        id,
        digest,
        binding,
        expires_at: END,
        session: SessionId::from_bytes(unique_bytes()),
        answers: None,
    };
    assert!(world.store.run(issue).await.unwrap());
    let (stamp, client, resource) = (world.stamp(), world.client, world.resource);
    let redeem = move || RedeemCode {
        stamp: stamp.clone(),
        id,
        digest,
        client,
        redirect_uri: Some(CALLBACK.into()),
        verifier: Some(CodeVerifier::parse(VERIFIER).unwrap()),
        wish: Wish::default(),
        open: vec![resource].into(),
        chain: None,
        terms: ClientTerms::default(),
        fresh: new_grant(),
    };
    (grant, redeem)
}

/// What everybody tries who has the code and not what it is bound to, and what it says to each.
fn strangers(redeem: &impl Fn() -> RedeemCode) -> Vec<(RedeemCode, Option<Unbound>)> {
    let guess = Some(CodeVerifier::parse(&"a".repeat(43)).unwrap());
    vec![
        (RedeemCode { verifier: guess, ..redeem() }, Some(Unbound::VerifierWrong)),
        (RedeemCode { verifier: None, ..redeem() }, Some(Unbound::VerifierMissing)),
        (RedeemCode { redirect_uri: None, ..redeem() }, Some(Unbound::RedirectUri)),
        (RedeemCode { redirect_uri: Some("https://app.example/".into()), ..redeem() }, Some(Unbound::RedirectUri)),
        (RedeemCode { client: ClientId::from_bytes(unique_bytes()), ..redeem() }, None),
        (RedeemCode { digest: SecretDigest::of(b"another"), ..redeem() }, None),
    ]
}

async fn refuse_strangers(world: &World, redeem: &impl Fn() -> RedeemCode) {
    for (step, unbound) in strangers(redeem) {
        match (world.store.run(step).await.unwrap(), unbound) {
            (RedeemedCode::Unknown, None) => {}
            (RedeemedCode::Unbound(said), Some(expected)) => assert_eq!(said, expected),
            other => panic!("{other:?}"),
        }
    }
}

async fn epoch_of(world: &World, grant: &Grant) -> Epoch {
    world.store.load_evidence(world.workspace, grant.id).await.unwrap().unwrap().grant.grant.epoch
}

async fn a_stranger_to_what_a_code_is_bound_to_neither_uses_it_nor_cuts_what_came_of_it(place: &Place) {
    let world = World::new(place).await;
    let (grant, redeem) = issue(&world).await;
    refuse_strangers(&world, &redeem).await;
    assert!(matches!(world.store.run(redeem()).await.unwrap(), RedeemedCode::Fresh(_)));
    refuse_strangers(&world, &redeem).await;
    assert_eq!(epoch_of(&world, &grant).await, Epoch::FIRST);
    assert!(matches!(world.store.run(redeem()).await.unwrap(), RedeemedCode::Replayed));
    assert_ne!(epoch_of(&world, &grant).await, Epoch::FIRST, "its own client, again: cut");
}

async fn a_refused_resource_uses_no_code_up(place: &Place) {
    let world = World::new(place).await;
    let (_, redeem) = issue(&world).await;
    let elsewhere = ResourceId::from_bytes(unique_bytes());
    let wish = |resources| Wish { resources, ..Wish::default() };
    for wrong in [vec![elsewhere], vec![world.resource, elsewhere]] {
        let refused = world.store.run(RedeemCode { wish: wish(wrong), ..redeem() }).await.unwrap();
        assert!(
            matches!(&refused, RedeemedCode::NotGranted(NotGranted::Resource(wrong, known)) if *wrong == elsewhere && *known == [world.resource]),
            "{refused:?}"
        );
        let narrowed = world.store.run(RedeemCode { open: vec![elsewhere].into(), ..redeem() }).await.unwrap();
        assert!(matches!(narrowed, RedeemedCode::Narrowed));
    }
    let redeemed = world.store.run(RedeemCode { wish: wish(vec![world.resource]), ..redeem() }).await.unwrap();
    assert!(matches!(redeemed, RedeemedCode::Fresh(_)));
}

async fn what_a_first_use_found_is_remembered_until_the_grant_is_cut(place: &Place) {
    let world = World::new(place).await;
    let (grant, redeem) = issue(&world).await;
    let remembered = || world.store.memory().trust().unwrap().grant(grant.id);
    let refused = RedeemCode { verifier: None, ..redeem() };
    assert!(matches!(world.store.redeem(refused).await.unwrap(), RedeemedCode::Unbound(_)));
    assert!(remembered().is_none());
    let reads = world.store.reads();
    assert!(matches!(world.store.redeem(redeem()).await.unwrap(), RedeemedCode::Fresh(_)));
    let known = remembered().unwrap();
    assert_eq!((known.grant.epoch, known.grant.standing), (grant.epoch, false));
    assert!(known.grant.guard.matches(&grant.guard) && known.grant.entitlement(EntitlementNo(0)).is_some());
    drop(known);
    assert_eq!(world.store.reads(), reads);
    assert!(matches!(world.store.redeem(redeem()).await.unwrap(), RedeemedCode::Replayed));
    assert!(remembered().is_none());
    assert_ne!(epoch_of(&world, &grant).await, Epoch::FIRST);
}

async fn a_code_and_its_replay_at_once_cut_the_grant_whatever_a_stranger_tries_meanwhile(place: &Place) {
    let world = World::new(place).await;
    for _ in 0..20 {
        let (grant, redeem) = issue(&world).await;
        let (one, (), other) =
            tokio::join!(world.store.run(redeem()), refuse_strangers(&world, &redeem), world.store.run(redeem()));
        let fresh = [one.unwrap(), other.unwrap()].map(|outcome| matches!(outcome, RedeemedCode::Fresh(_)));
        assert!(fresh == [true, false] || fresh == [false, true], "{fresh:?}");
        assert_ne!(epoch_of(&world, &grant).await, Epoch::FIRST);
    }
}
