"""joserfc (PyPI), unchanged, verifies our JWTs and opens our JWEs: every signing algorithm, every encryption.

Takes the environment that tests/foreign/run sets. Fails with a traceback, else prints one line per step.
"""

import json
import os
import subprocess

import requests
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

ISSUER = os.environ["OPALID_ISSUER"]
SECRET = "a-secret-of-the-foreign-libraries"
SIGNING = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
CONTENT = ["A128GCM", "A256GCM", "A128CBC-HS256"]


def done(step):
    print(f"joserfc: {step}", flush=True)


def readers():
    yield "RSA-OAEP-256", RSAKey.generate_key(2048)
    for alg in ("ECDH-ES", "ECDH-ES+A256KW"):
        for curve in ("P-256", "P-384", "P-521"):
            yield alg, ECKey.generate_key(curve)
        yield alg, OKPKey.generate_key("X25519")


READERS = list(readers())
SIGNED = [(alg, f"https://joserfc.example/{alg}") for alg in SIGNING]
ENCRYPTED = [
    (alg, key, enc, f"https://joserfc.example/{at}/{enc}") for at, (alg, key) in enumerate(READERS) for enc in CONTENT
]
URIS = [uri for *_, uri in SIGNED + ENCRYPTED]


def resource(uri, **more):
    return {"uri": uri, "scopes": "read", "access_token_format": "jwt", "introspects_jwts": True, **more}


def jwks(key):
    return {"keys": [key.as_dict(private=False, use="enc")]}


def declare():
    document = {
        "workspace": [
            {
                "name": "demo",
                "resource": [resource(uri, access_token_signing_alg=alg) for alg, uri in SIGNED]
                + [
                    resource(uri, jwks=jwks(key), access_token_encryption_alg=alg, access_token_encryption_enc=enc)
                    for alg, key, enc, uri in ENCRYPTED
                ],
                "client": [
                    {
                        "client_id": "joserfc-machine",
                        "secret": {"env": "FORMS_SECRET"},
                        "grant_types": ["client_credentials"],
                        "access": {uri: "read" for uri in URIS},
                    },
                    {"client_id": "joserfc-api", "secret": {"env": "FORMS_SECRET"}, "serves": URIS},
                ],
            }
        ]
    }
    command = [os.environ["OPALID_BIN"], "apply", "-f", "-", "--data", os.environ["OPALID_DATA"]]
    environment = {**os.environ, "FORMS_SECRET": SECRET}
    subprocess.run(command, input=json.dumps(document), text=True, check=True, stdout=subprocess.DEVNULL, env=environment)


def post(path, client, **fields):
    answer = requests.post(ISSUER + path, data=fields, auth=(client, SECRET), timeout=10)
    answer.raise_for_status()
    return answer.json()


def token(uri):
    return post("/token", "joserfc-machine", grant_type="client_credentials", resource=uri)["access_token"]


def check(keys, presented, uri, alg):
    read = jwt.decode(presented, keys, algorithms=SIGNING)
    assert (read.header["typ"], read.header["alg"]) == ("at+jwt", alg), read.header
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": uri},
        client_id={"essential": True, "value": "joserfc-machine"},
        scope={"essential": True, "value": "read"},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
    )
    rules.validate(read.claims)
    facts = post("/introspect", "joserfc-api", token=presented)
    assert facts["active"] and facts["jti"] == read.claims["jti"], facts


def main():
    declare()
    keys = KeySet.import_key_set(requests.get(ISSUER + "/jwks", timeout=10).json())
    for alg, uri in SIGNED:
        check(keys, token(uri), uri, alg)
    done(f"access tokens verified: {', '.join(SIGNING)}")
    for alg, key, enc, uri in ENCRYPTED:
        outer = token(uri)
        opened = jwe.decrypt_compact(outer, key, algorithms=[alg, enc])
        assert (opened.headers()["alg"], opened.headers()["enc"], opened.headers()["cty"]) == (alg, enc, "JWT")
        check(keys, opened.plaintext.decode(), uri, "RS256")
        refused = requests.post(ISSUER + "/revoke", data={"token": outer}, auth=("joserfc-machine", SECRET), timeout=10)
        assert refused.json()["error"] == "unsupported_token_type", refused.text
    done(f"{len(ENCRYPTED)} encrypted access tokens opened, and the tokens inside verified")


if __name__ == "__main__":
    main()
