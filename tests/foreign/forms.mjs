// jose and openid-client (npm), unchanged, verify our JWTs and open our JWEs: every signing algorithm, every encryption.
// Takes the environment that tests/foreign/run sets. Fails with a stack trace, else prints one line per step.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { fileURLToPath } from 'node:url';

globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
const jose = await import('jose');
const client = await import('openid-client');

const env = (name) => process.env[name] ?? assert.fail(`${name} is not set`);
const issuer = env('OPALID_ISSUER');
const redirectUri = env('OPALID_REDIRECT_URI');
const done = (step) => console.log(`jose: ${step}`);
const SECRET = 'a-secret-of-the-foreign-libraries';

const SIGNING = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const KEY_MANAGEMENT = ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A256KW'];
const CONTENT = ['A128GCM', 'A256GCM', 'A128CBC-HS256'];

// ---- keys, and what is declared with them ----

async function reader(alg, options) {
  const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true, ...options });
  const jwk = { ...(await jose.exportJWK(publicKey)), use: 'enc', kid: `${alg} ${options?.crv ?? ''}`.trim() };
  return { alg, jwks: { keys: [jwk] }, privateKey };
}

const readers = [await reader('RSA-OAEP-256', { modulusLength: 2048 })];
for (const alg of ['ECDH-ES', 'ECDH-ES+A256KW'])
  for (const crv of ['P-256', 'P-384', 'P-521', 'X25519']) readers.push(await reader(alg, { crv }));

const encrypted = readers.flatMap((of, at) => CONTENT.map((enc) => ({ of, enc, uri: `https://forms.example/${at}/${enc}` })));
const signed = SIGNING.map((alg) => ({ alg, uri: `https://forms.example/${alg}` }));
const oidc = readers[1]; // openid-client takes P-256 alone
const resource = (uri, more) => ({ uri, scopes: 'read', access_token_format: 'jwt', introspects_jwts: true, ...more });
const uris = [...signed, ...encrypted].map(({ uri }) => uri);
const document = {
  workspace: [{
    name: 'demo',
    resource: [
      ...signed.map(({ alg, uri }) => resource(uri, { access_token_signing_alg: alg })),
      ...encrypted.map(({ of, enc, uri }) =>
        resource(uri, { jwks: of.jwks, access_token_encryption_alg: of.alg, access_token_encryption_enc: enc })),
    ],
    client: [
      {
        client_id: 'jose-machine', secret: { env: 'FORMS_SECRET' }, grant_types: ['client_credentials'],
        access: Object.fromEntries(uris.map((uri) => [uri, 'read'])),
      },
      {
        client_id: 'jose-api', secret: { env: 'FORMS_SECRET' }, serves: uris, jwks: oidc.jwks,
        introspection_signed_response_alg: 'ES256', introspection_encrypted_response_alg: oidc.alg,
      },
      {
        client_id: 'jose-app', secret: { env: 'FORMS_SECRET' }, grant_types: ['authorization_code'], first_party: true,
        redirect_uris: [redirectUri], jwks: oidc.jwks, id_token_signed_response_alg: 'PS256',
        id_token_encrypted_response_alg: oidc.alg, userinfo_signed_response_alg: 'ES384',
        userinfo_encrypted_response_alg: oidc.alg,
      },
    ],
  }],
};
execFileSync(env('OPALID_BIN'), ['apply', '-f', '-', '--data', env('OPALID_DATA')], {
  input: JSON.stringify(document), env: { ...process.env, FORMS_SECRET: SECRET },
});
done('keys and resources declared');

// ---- asking ----

const keys = jose.createRemoteJWKSet(new URL(`${issuer}/jwks`));
async function post(path, id, fields, accept) {
  const authorization = `Basic ${Buffer.from(`${id}:${SECRET}`).toString('base64')}`;
  const headers = { authorization, ...(accept && { accept }) };
  const answer = await fetch(issuer + path, { method: 'POST', headers, body: new URLSearchParams(fields) });
  assert.equal(answer.status, 200, `${path}: ${answer.status}`);
  return answer;
}
const token = async (uri) =>
  (await (await post('/token', 'jose-machine', { grant_type: 'client_credentials', resource: uri })).json()).access_token;
const introspect = async (presented) => (await post('/introspect', 'jose-api', { token: presented })).json();

async function check(jwt, uri, alg) {
  const { payload, protectedHeader } = await jose.jwtVerify(jwt, keys, { issuer, audience: uri, typ: 'at+jwt' });
  assert.equal(protectedHeader.alg, alg);
  assert.equal(payload.client_id, 'jose-machine');
  assert.equal(payload.scope, 'read');
  const facts = await introspect(jwt);
  assert.ok(facts.active && facts.jti === payload.jti && facts.aud === uri, JSON.stringify(facts));
}

for (const { alg, uri } of signed) await check(await token(uri), uri, alg);
done(`access tokens verified: ${SIGNING.join(', ')}`);

for (const { of, enc, uri } of encrypted) {
  const outer = await token(uri);
  const { plaintext, protectedHeader } = await jose.compactDecrypt(outer, of.privateKey);
  assert.deepEqual([protectedHeader.alg, protectedHeader.enc, protectedHeader.cty], [of.alg, enc, 'JWT']);
  await check(new TextDecoder().decode(plaintext), uri, 'RS256');
  assert.deepEqual(await introspect(outer), { active: false });
}
done(`encrypted access tokens opened: ${KEY_MANAGEMENT.join(', ')} with ${CONTENT.join(', ')}`);

const jwt = await token(signed[0].uri);
const answer = await post('/introspect', 'jose-api', { token: jwt }, 'application/token-introspection+jwt');
const nested = await jose.compactDecrypt(await answer.text(), oidc.privateKey);
const said = await jose.jwtVerify(nested.plaintext, keys, { issuer, audience: 'jose-api', typ: 'token-introspection+jwt' });
assert.equal(said.protectedHeader.alg, 'ES256');
assert.ok(said.payload.token_introspection.active);
done('introspection answer opened and verified (RFC 9701)');

// ---- a person signs in to a client whose answers are encrypted ----

const app = await client.discovery(
  new URL(issuer),
  'jose-app',
  {
    id_token_signed_response_alg: 'PS256', id_token_encrypted_response_alg: oidc.alg,
    userinfo_signed_response_alg: 'ES384', userinfo_encrypted_response_alg: oidc.alg,
  },
  client.ClientSecretBasic(SECRET),
  { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
);
client.enableDecryptingResponses(app, ['A128CBC-HS256'], { key: oidc.privateKey, alg: oidc.alg, kid: oidc.jwks.keys[0].kid });
const verifier = client.randomPKCECodeVerifier();
const url = client.buildAuthorizationUrl(app, {
  redirect_uri: redirectUri,
  scope: 'openid email',
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
});
const script = fileURLToPath(new URL('person.py', import.meta.url));
const back = new URL(execFileSync(env('OPALID_PYTHON'), [script, url.href, redirectUri], { encoding: 'utf8' }).trim());
const tokens = await client.authorizationCodeGrant(app, back, { pkceCodeVerifier: verifier, idTokenExpected: true });
assert.equal(tokens.id_token.split('.').length, 5, 'the ID token is encrypted');
const person = await client.fetchUserInfo(app, tokens.access_token, tokens.claims().sub);
assert.ok(person.email, 'userinfo has the e-mail');
done('openid-client opened and verified an encrypted ID token and encrypted userinfo');
