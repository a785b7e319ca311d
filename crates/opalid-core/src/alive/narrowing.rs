//! Effective scope and what a JWT carries, against each rule written a second time.
//!
//! Holds: the oracles below use nothing of the rule but its types.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

// ---- effective scope ----

const NAMES: [&str; 5] = ["admin", "list", "purge", "read", "write"];

fn parsed(names: &[&str]) -> Scopes {
    Scopes::parse(&names.join(" ")).unwrap()
}

fn any_scopes() -> impl Strategy<Value = Scopes> {
    subsequence(NAMES.to_vec(), 0..=NAMES.len()).prop_map(|names| parsed(&names))
}

/// Rather wide, so that entitlements are whole often enough.
fn wide_scopes() -> impl Strategy<Value = Scopes> {
    prop_oneof![2 => Just(parsed(&NAMES)), 1 => any_scopes()]
}

fn any_openid() -> impl Strategy<Value = Scopes> {
    select(vec!["", "openid", "openid profile", "openid email profile"]).prop_map(|text| Scopes::parse(text).unwrap())
}

fn names(scopes: &Scopes) -> BTreeSet<String> {
    scopes.iter().map(str::to_owned).collect()
}

/// What is allowed at a resource today.
#[derive(Debug, Clone)]
struct Rights {
    offered: Scopes,
    asked: Scopes,
    permitted: Option<Scopes>,
}

impl Rights {
    fn allow(&self) -> Allowed<'_> {
        Allowed { offered: &self.offered, asked: &self.asked, permitted: self.permitted.as_ref() }
    }

    /// What is left there of these scopes; `None` if the resource is as good as gone.
    fn leave(&self, given: &Scopes) -> Option<BTreeSet<String>> {
        let permitted = self.permitted.as_ref().map(names);
        if permitted.as_ref().is_some_and(BTreeSet::is_empty) {
            return None;
        }
        let (offered, asked) = (names(&self.offered), names(&self.asked));
        let stays = |name: &String| {
            offered.contains(name)
                && asked.contains(name)
                && permitted.as_ref().is_none_or(|permitted| permitted.contains(name))
        };
        Some(names(given).into_iter().filter(stays).collect())
    }

    fn with(&self, more: &Self) -> Self {
        let permitted = match (&self.permitted, &more.permitted) {
            (Some(one), Some(other)) => Some(one.union(other)),
            _ => None,
        };
        Self { offered: self.offered.union(&more.offered), asked: self.asked.union(&more.asked), permitted }
    }
}

fn any_rights() -> impl Strategy<Value = Rights> {
    (wide_scopes(), wide_scopes(), option::weighted(0.3, wide_scopes()))
        .prop_map(|(offered, asked, permitted)| Rights { offered, asked, permitted })
}

type Today = BTreeMap<ResourceId, Rights>;

/// An entitlement that is something, and what is allowed today at most of its resources.
fn any_entitlement() -> impl Strategy<Value = (Entitlement, Today)> {
    let resource = (1..9_u8).prop_map(|id| ResourceId::from_bytes([id; 16]));
    let resources = btree_map(resource, (any_scopes(), option::weighted(0.9, any_rights())), 0..5);
    (any_openid(), resources)
        .prop_filter("something", |(openid, resources)| !openid.is_empty() || !resources.is_empty())
        .prop_map(|(openid, resources)| {
            let given = resources.iter().map(|(id, (scopes, _))| (*id, scopes.clone())).collect();
            let today = resources.into_iter().filter_map(|(id, (_, rights))| Some((id, rights?))).collect();
            (Entitlement::new(openid, given), today)
        })
}

fn narrowed(given: &Entitlement, today: &Today) -> Option<Entitlement> {
    let allowed = |id| Ok::<_, Infallible>(today.get(&id).map(Rights::allow));
    effective(given, allowed).unwrap().map(Cow::into_owned)
}

proptest! {
    #[test]
    fn effective_is_what_was_given_and_is_allowed_today_and_nothing_else((given, today) in any_entitlement()) {
        let left: Vec<_> = given.resources.iter()
            .filter_map(|(id, scopes)| Some((*id, today.get(id)?.leave(scopes)?)))
            .collect();
        let result = narrowed(&given, &today);
        prop_assert_eq!(result.is_none(), left.is_empty() && given.openid.is_empty());
        if let Some(result) = result {
            let found: Vec<_> = result.resources.iter().map(|(id, scopes)| (*id, names(scopes))).collect();
            prop_assert_eq!(found, left);
            prop_assert_eq!(&result.openid, &given.openid);
            prop_assert!(result.is_within(&given));
            prop_assert_eq!(narrowed(&result, &today), Some(result));
        }
    }

    #[test]
    fn the_order_of_resources_means_nothing((given, today) in any_entitlement(), turn in 0..5_usize, reverse: bool) {
        let mut resources = given.resources.clone();
        if !resources.is_empty() {
            let turn = turn % resources.len();
            resources.rotate_left(turn);
        }
        if reverse {
            resources.reverse();
        }
        let turned = Entitlement::new(given.openid.clone(), resources);
        prop_assert_eq!(narrowed(&turned, &today), narrowed(&given, &today));
    }

    #[test]
    fn who_is_allowed_more_has_no_less_and_giving_everything_back_gives_it_whole(
        (given, today) in any_entitlement(), more in any_rights(),
    ) {
        let wider: Today = today.iter().map(|(id, rights)| (*id, rights.with(&more))).collect();
        if let Some(less) = narrowed(&given, &today) {
            prop_assert!(less.is_within(&narrowed(&given, &wider).unwrap()));
        }
        let all = parsed(&NAMES);
        let everything = Allowed { offered: &all, asked: &all, permitted: Some(&all) };
        let whole = effective(&given, |_| Ok::<_, Infallible>(Some(everything))).unwrap();
        prop_assert!(matches!(whole, Some(Cow::Borrowed(whole)) if *whole == given));
    }

    #[test]
    fn where_a_resource_is_not_known_there_is_no_answer((given, today) in any_entitlement(), which in 0..5_usize) {
        let asked = Cell::new(0);
        let answer = effective(&given, |id| {
            asked.set(asked.get() + 1);
            if asked.get() > which { Err(id) } else { Ok(today.get(&id).map(Rights::allow)) }
        });
        prop_assert_eq!(answer.is_err(), which < given.resources.len());
    }
}

// ---- what a JWT carries ----

const ISSUER: &str = "https://issuer.example";
const URIS: [&str; 4] = ["urn:a", "urn:b", "urn:c", ISSUER];

/// A resource: what it has, and what the token may do there, which can be less.
fn any_open() -> impl Strategy<Value = BTreeMap<&'static str, (Scopes, Scopes)>> {
    let rights =
        (wide_scopes(), wide_scopes()).prop_map(|(offered, allowed)| (offered.clone(), allowed.intersect(&offered)));
    btree_map(select(URIS.to_vec()), rights, 0..4)
}

fn open<'a>(today: &'a BTreeMap<&'static str, (Scopes, Scopes)>) -> Vec<OpenToday<'a>> {
    today.iter().map(|(uri, (offered, allowed))| OpenToday { uri, offered, allowed }).collect()
}

proptest! {
    #[test]
    fn a_jwt_carries_no_more_exactly_if_no_audience_takes_a_scope_that_is_not_allowed_there(
        (scope, openid_said) in (any_scopes(), any_openid()), openid in any_openid(),
        audience in subsequence(URIS.to_vec(), 0..=URIS.len()), today in any_open(),
    ) {
        let scope = scope.union(&openid_said);
        let said = names(&scope);
        let takes_too_much = |uri: &&str| match today.get(*uri) {
            Some((offered, allowed)) => said.iter().any(|name| offered.contains(name) && !allowed.contains(name)),
            None => *uri != ISSUER,
        };
        let known = |name: &String| openid.contains(name) || today.values().any(|(_, allowed)| allowed.contains(name));
        let exact = !audience.iter().any(takes_too_much) && said.iter().all(known);
        prop_assert_eq!(carries_no_more((&scope, &audience), (ISSUER, &openid), &open(&today)), exact);
    }

    #[test]
    fn a_jwt_for_one_resource_carries_no_more_when_it_was_just_minted(
        openid in any_openid(), given in any_scopes(), rights in any_rights(),
    ) {
        let id = ResourceId::from_bytes([1; 16]);
        let entitlement = Entitlement::new(openid, vec![(id, given)]);
        let today = Today::from([(id, rights.clone())]);
        if let Some(minted) = narrowed(&entitlement, &today) {
            let allowed = minted.resources.first().map(|(_, allowed)| allowed);
            let open: Vec<_> =
                allowed.map(|allowed| OpenToday { uri: "urn:a", offered: &rights.offered, allowed }).into_iter().collect();
            let audience = [if open.is_empty() { ISSUER } else { "urn:a" }];
            prop_assert!(carries_no_more((&minted.scope(), &audience), (ISSUER, &minted.openid), &open));
        }
    }
}
