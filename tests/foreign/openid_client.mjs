// openid-client (npm), unchanged, through sign-in, refresh, introspection and revocation.
// Takes the environment that tests/foreign/run sets. Fails with a stack trace, else prints one line per step.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { fileURLToPath } from 'node:url';

// Node 18 has these, but not as globals.
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
const client = await import('openid-client');

const env = (name) => process.env[name] ?? assert.fail(`${name} is not set`);
const issuer = new URL(env('OPALID_ISSUER'));
const redirectUri = env('OPALID_REDIRECT_URI');
const resource = env('OPALID_RESOURCE');
const done = (step) => console.log(`openid-client: ${step}`);

const discover = (id, authentication) =>
  client.discovery(issuer, id, undefined, authentication, {
    // The second makes it check the ID token's signature, which it leaves to TLS otherwise.
    execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
  });

function person(url) {
  const script = fileURLToPath(new URL('person.py', import.meta.url));
  return new URL(execFileSync(env('OPALID_PYTHON'), [script, url.href, redirectUri], { encoding: 'utf8' }).trim());
}

async function signIn(app) {
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const url = client.buildAuthorizationUrl(app, {
    redirect_uri: redirectUri,
    scope: 'openid profile email offline_access read',
    resource,
    prompt: 'consent',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  });
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  return client.authorizationCodeGrant(app, person(url), checks);
}

const refused = (code) => (error) => error.error === code || assert.fail(`expected ${code}: ${error.stack}`);

const app = await discover(env('OPALID_PUBLIC_CLIENT_ID'), client.None());
const api = await discover(env('OPALID_RS_CLIENT_ID'), client.ClientSecretBasic(env('OPALID_RS_CLIENT_SECRET')));
done('discovery');

const first = await signIn(app);
const { sub } = first.claims();
assert.ok(first.refresh_token, 'a refresh token comes with offline_access');
done('code, PKCE, state, nonce; ID token checked');

const person1 = await client.fetchUserInfo(app, first.access_token, sub);
assert.ok(person1.email, 'userinfo has the e-mail');
done('userinfo');

const fact = await client.tokenIntrospection(api, first.access_token);
assert.equal(fact.active, true);
assert.equal(fact.client_id, env('OPALID_PUBLIC_CLIENT_ID'));
assert.ok([fact.aud].flat().includes(resource), `aud is the resource: ${fact.aud}`);
assert.ok(fact.scope.split(' ').includes('read'), `scope: ${fact.scope}`);
done('introspection: active');

const second = await client.refreshTokenGrant(app, first.refresh_token);
assert.notEqual(second.access_token, first.access_token);
assert.notEqual(second.refresh_token, first.refresh_token, 'a public client gets a new refresh token each time');
assert.equal((await client.tokenIntrospection(api, second.access_token)).active, true);
done('refresh');

await client.tokenRevocation(app, second.access_token);
assert.deepEqual(await client.tokenIntrospection(api, second.access_token), { active: false });
done('revocation of an access token: inactive');

const third = await client.refreshTokenGrant(app, second.refresh_token);
assert.equal((await client.tokenIntrospection(api, third.access_token)).active, true);
await client.tokenRevocation(app, third.refresh_token, { token_type_hint: 'refresh_token' });
assert.deepEqual(await client.tokenIntrospection(api, third.access_token), { active: false });
await assert.rejects(client.refreshTokenGrant(app, third.refresh_token), refused('invalid_grant'));
await assert.rejects(client.fetchUserInfo(app, third.access_token, sub));
done('revocation of a refresh token: all tokens of the grant are dead');
