//! Precedence: property tests against the rule as it is written, and its corners.

use proptest::prelude::*;

use super::*;

fn overrides(format: Option<AccessTokenFormat>, lifetime: Option<u32>) -> TokenOverrides {
    TokenOverrides {
        access_token_format: format,
        access_token_lifetime: lifetime.map(Seconds),
        ..TokenOverrides::default()
    }
}

fn resource(says: TokenOverrides, introspects: bool, window: u32) -> ResourceTerms {
    ResourceTerms { says, checks: OfflineChecks { introspects, window: Seconds(window) }, encrypts: false }
}

fn any_format() -> impl Strategy<Value = AccessTokenFormat> {
    prop_oneof![Just(AccessTokenFormat::Opaque), Just(AccessTokenFormat::Jwt)]
}

fn any_overrides() -> impl Strategy<Value = TokenOverrides> {
    let alg = proptest::option::of(proptest::sample::select(SigningAlgorithm::ALL.to_vec()));
    let format = proptest::option::of(any_format());
    (format, proptest::option::of(1..50_u32), alg, proptest::option::of(any::<bool>())).prop_map(
        |(access_token_format, lifetime, access_token_signing_alg, rotate_refresh_tokens)| TokenOverrides {
            access_token_format,
            access_token_lifetime: lifetime.map(Seconds),
            access_token_signing_alg,
            rotate_refresh_tokens,
            ..TokenOverrides::default()
        },
    )
}

fn any_resource() -> impl Strategy<Value = ResourceTerms> {
    (any_overrides(), any::<bool>(), 1..50_u32)
        .prop_map(|(says, introspects, window)| resource(says, introspects, window))
}

/// Whose value it is: theirs, if they say anything; the workspace's else.
fn says<T: PartialEq + std::fmt::Debug + Copy>(
    chosen: Chosen<T>,
    terms: &Terms<'_>,
    (of, workspace): (fn(&TokenOverrides) -> Option<T>, T),
) {
    match chosen.origin {
        Origin::Client => assert_eq!(of(terms.client), Some(chosen.value)),
        Origin::Resource(at) => {
            assert_eq!(of(terms.client), None);
            assert_eq!(of(&terms.resources[at].says), Some(chosen.value));
        }
        Origin::Workspace => {
            assert_eq!(of(terms.client), None);
            assert!(terms.resources.iter().all(|resource| of(&resource.says) != Some(chosen.value)));
            if terms.resources.is_empty() {
                assert_eq!(chosen.value, workspace);
            }
        }
    }
}

proptest! {
    #[test]
    fn the_client_wins_then_the_resources_then_the_workspace(
        client in any_overrides(),
        resources in proptest::collection::vec(any_resource(), 0..4),
        workspace in any_format(),
        lifetime in 1..50_u32,
    ) {
        let workspace = TokenSettings {
            access_token_format: workspace,
            access_token_lifetime: Seconds(lifetime),
            ..TokenSettings::default()
        };
        let terms = Terms { workspace: &workspace, client: &client, resources: &resources };
        let format = terms.access_token_format();
        says(format, &terms, (|says| says.access_token_format, workspace.access_token_format));
        let lifetime = terms.access_token_lifetime();
        says(lifetime, &terms, (|says| says.access_token_lifetime, workspace.access_token_lifetime));
        let alg = terms.access_token_signing_alg();
        says(alg, &terms, (|says| says.access_token_signing_alg, workspace.access_token_signing_alg));
        let rotates = terms.rotate_refresh_tokens();
        says(rotates, &terms, (|says| says.rotate_refresh_tokens, workspace.rotate_refresh_tokens));

        // Several that disagree: opaque, and the shortest lifetime; any that wants rotation gets it.
        if client.access_token_format.is_none() {
            let formats: Vec<_> = resources.iter()
                .map(|r| r.says.access_token_format.unwrap_or(workspace.access_token_format)).collect();
            let jwt = !formats.is_empty() && formats.iter().all(|f| *f == AccessTokenFormat::Jwt);
            let alone = formats.is_empty() && workspace.access_token_format == AccessTokenFormat::Jwt;
            prop_assert_eq!(format.value == AccessTokenFormat::Jwt, jwt || alone);
        }
        if client.access_token_lifetime.is_none() {
            let shortest = resources.iter()
                .map(|r| r.says.access_token_lifetime.unwrap_or(workspace.access_token_lifetime)).min();
            prop_assert_eq!(lifetime.value, shortest.unwrap_or(workspace.access_token_lifetime));
        }

        // The order of resources decides nothing.
        let turned: Vec<_> = resources.iter().rev().copied().collect();
        let other = Terms { resources: &turned, ..terms };
        prop_assert_eq!(other.access_token_format().value, format.value);
        prop_assert_eq!(other.access_token_lifetime().value, lifetime.value);
        prop_assert_eq!(other.rotate_refresh_tokens().value, rotates.value);
        for (format, capped) in [(AccessTokenFormat::Opaque, false), (AccessTokenFormat::Jwt, true)] {
            let windows = resources.iter().filter(|r| capped && !r.checks.introspects).map(|r| r.checks.window);
            let expected = windows.chain([lifetime.value]).min();
            prop_assert_eq!(Some(terms.valid_for(format).value), expected);
            prop_assert_eq!(other.valid_for(format).value, terms.valid_for(format).value);
        }
    }
}

#[test]
fn algorithms_that_disagree_make_no_jwt_unless_the_client_has_one_of_its_own() {
    let alg = |alg| TokenOverrides { access_token_signing_alg: Some(alg), ..TokenOverrides::default() };
    let (es, ed) = (alg(SigningAlgorithm::Es256), alg(SigningAlgorithm::EdDsa));
    let resources = [resource(es, true, 1), resource(ed, true, 1)];
    let (workspace, client) = (TokenSettings::default(), TokenOverrides::default());
    let terms = Terms { workspace: &workspace, client: &client, resources: &resources };
    let chosen = Chosen { value: SigningAlgorithm::Rs256, origin: Origin::Workspace };
    assert_eq!(terms.access_token_signing_alg(), chosen);
    let of = |resources| Terms { resources, ..terms }.access_token_signing_alg().value;
    assert_eq!(of(&[resources[0], resources[0]]), SigningAlgorithm::Es256);

    let jwts = TokenSettings { access_token_format: AccessTokenFormat::Jwt, ..workspace };
    let format =
        |client: &TokenOverrides, resources: &[ResourceTerms]| Terms { workspace: &jwts, client, resources }.format();
    let (none, rs) = (resource(client, true, 1), resource(alg(SigningAlgorithm::Rs256), true, 1));
    let opaque = (AccessTokenFormat::Opaque, Some(OpaqueBecause::Signature));
    assert_eq!(format(&client, &resources), opaque);
    assert_eq!(format(&client, &[resources[0], none]), opaque, "who says nothing reads the workspace's");
    assert_eq!(format(&client, &[none, rs]).1, None);
    assert_eq!(format(&client, &[resources[0], resources[0]]), (AccessTokenFormat::Jwt, None));
    assert_eq!(format(&client, &[]), (AccessTokenFormat::Jwt, None));
    assert_eq!(format(&es, &resources), (AccessTokenFormat::Jwt, None), "a client's own comes first");
    let encrypts = ResourceTerms { encrypts: true, ..resources[0] };
    assert_eq!(format(&client, &[encrypts, resources[1]]).1, Some(OpaqueBecause::Encryption));
    let asks_for_jwts = TokenOverrides { access_token_format: Some(AccessTokenFormat::Jwt), ..client };
    assert_eq!(format(&asks_for_jwts, &resources), opaque);
}

#[test]
fn an_opaque_token_that_nobody_wished_for_has_a_reason() {
    let (workspace, client) = (TokenSettings::default(), TokenOverrides::default());
    let jwt = overrides(Some(AccessTokenFormat::Jwt), None);
    let of = |client: &TokenOverrides, resources: &[ResourceTerms]| {
        Terms { workspace: &workspace, client, resources }.format()
    };
    let (wants, not) = (resource(jwt, true, 1), resource(client, true, 1));
    let encrypts = ResourceTerms { encrypts: true, ..wants };
    assert_eq!(of(&client, &[wants, wants]), (AccessTokenFormat::Jwt, None));
    assert_eq!(of(&client, &[not, not]), (AccessTokenFormat::Opaque, None));
    assert_eq!(of(&client, &[wants, not]), (AccessTokenFormat::Opaque, Some(OpaqueBecause::Disagreement)));
    assert_eq!(of(&jwt, &[wants, not]), (AccessTokenFormat::Jwt, None));
    assert_eq!(
        of(&overrides(Some(AccessTokenFormat::Opaque), None), &[wants, wants]),
        (AccessTokenFormat::Opaque, None)
    );
    assert_eq!(of(&client, &[encrypts]), (AccessTokenFormat::Jwt, None));
    assert_eq!(of(&client, &[encrypts, wants]), (AccessTokenFormat::Opaque, Some(OpaqueBecause::Encryption)));
}

#[test]
fn a_window_shortens_jwts_of_those_who_do_not_ask_and_nothing_else() {
    let (workspace, client) = (TokenSettings::default(), overrides(None, Some(900)));
    let of = |resources: &[ResourceTerms], format| {
        Terms { workspace: &workspace, client: &client, resources }.valid_for(format)
    };
    let none = TokenOverrides::default();
    let (asks, offline) = (resource(none, true, 1), resource(none, false, 300));
    let whole = Chosen { value: Seconds(900), origin: Origin::Client };
    assert_eq!(of(&[asks], AccessTokenFormat::Jwt), whole);
    assert_eq!(of(&[offline], AccessTokenFormat::Opaque), whole);
    let capped = Chosen { value: Seconds(300), origin: Origin::Resource(1) };
    assert_eq!(of(&[asks, offline], AccessTokenFormat::Jwt), capped);
    assert_eq!(of(&[resource(none, false, 1000)], AccessTokenFormat::Jwt), whole);
}

#[test]
fn every_setting_is_listed_with_its_value_and_whose_it_is() {
    let (workspace, client) = (TokenSettings::default(), overrides(Some(AccessTokenFormat::Jwt), None));
    let terms = Terms { workspace: &workspace, client: &client, resources: &[] };
    let each = terms.each();
    assert_eq!(each[0], ("access_token_format", Chosen { value: "jwt".into(), origin: Origin::Client }));
    assert!(each.contains(&("refresh_grace", Chosen { value: 30.into(), origin: Origin::Workspace })));
    let names = serde_json::to_value(workspace).unwrap();
    assert_eq!(each.len(), names.as_object().unwrap().len());
}

#[test]
fn the_defaults_are_right_and_each_bound_is_kept_by_workspace_and_overrides() {
    assert_eq!(TokenSettings::default().wrong(), None);
    assert_eq!(TokenOverrides::default().wrong(), None);
    let code = TokenOverrides { code_lifetime: Some(Seconds(61)), ..TokenOverrides::default() };
    assert_eq!(code.wrong(), Some("code_lifetime is at most 60"));
    let good_for =
        |seconds| TokenOverrides { id_token_lifetime: Some(Seconds(seconds)), ..TokenOverrides::default() }.wrong();
    assert!(good_for(2_592_001).is_some() && good_for(2_592_000).is_none());
    let grace = |seconds| TokenOverrides { refresh_grace: Some(Seconds(seconds)), ..TokenOverrides::default() }.wrong();
    assert!(grace(86_401).is_some() && grace(86_400).is_none());
    assert_eq!(overrides(None, Some(0)).wrong(), Some("access_token_lifetime is at least 1 second"));
    assert!(overrides(None, Some(SEALED_LIFETIME_MAX.0 + 1)).wrong().is_some());
    assert!(TokenSettings { session_idle: Seconds(0), ..TokenSettings::default() }.wrong().is_some());
}
