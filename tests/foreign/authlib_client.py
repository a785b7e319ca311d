"""Authlib (PyPI), unchanged, as a Flask application uses it: sign-in, refresh, introspection, revocation.

Takes the environment that tests/foreign/run sets. Fails with a traceback, else prints one line per step.
"""

import os
from urllib.parse import urlsplit

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from flask import Flask, jsonify

from person import walk

ISSUER = os.environ["OPALID_ISSUER"]
APP_ID = os.environ["OPALID_PUBLIC_CLIENT_ID"]
REDIRECT_URI = os.environ["OPALID_REDIRECT_URI"]
RESOURCE = os.environ["OPALID_RESOURCE"]

flask = Flask("client")
flask.secret_key = os.urandom(16)
app = OAuth(flask).register(
    "opalid",
    client_id=APP_ID,
    server_metadata_url=ISSUER.rstrip("/") + "/.well-known/openid-configuration",
    client_kwargs={
        "scope": "openid profile email offline_access read",
        "code_challenge_method": "S256",
        "token_endpoint_auth_method": "none",
        "revocation_endpoint_auth_method": "none",
    },
)
received = {}


@flask.get("/login")
def login():
    return app.authorize_redirect(REDIRECT_URI, prompt="consent", resource=RESOURCE)


@flask.get(urlsplit(REDIRECT_URI).path)
def callback():
    received.update(app.authorize_access_token())  # state, PKCE, ID token: signature, issuer, audience, nonce, at_hash
    return jsonify({"sub": received["userinfo"]["sub"]})


def done(step):
    print(f"Authlib: {step}", flush=True)


def sign_in():
    browser = flask.test_client()
    leaving = browser.get("/login")
    assert leaving.status_code == 302, leaving.text
    back, _ = walk(leaving.location, REDIRECT_URI, os.environ["OPALID_USER"], os.environ["OPALID_PASSWORD"])
    parts = urlsplit(back)
    arrived = browser.get(f"{parts.path}?{parts.query}")
    assert arrived.status_code == 200, arrived.text
    assert received["refresh_token"], "a refresh token comes with offline_access"
    return dict(received)


def main():
    flask.testing = True  # exceptions come through
    metadata = app.load_server_metadata()
    done("discovery")

    first = sign_in()
    done("code, PKCE, state, nonce; ID token checked")

    person = app.userinfo(token=first)
    assert person["sub"] == first["userinfo"]["sub"] and person["email"], person
    done("userinfo")

    api = OAuth2Session(os.environ["OPALID_RS_CLIENT_ID"], os.environ["OPALID_RS_CLIENT_SECRET"])

    def introspect(token):
        answer = api.introspect_token(metadata["introspection_endpoint"], token=token)
        answer.raise_for_status()
        return answer.json()

    fact = introspect(first["access_token"])
    assert fact["active"] is True and fact["client_id"] == APP_ID, fact
    assert "read" in fact["scope"].split(), fact
    done("introspection: active")

    session = OAuth2Session(APP_ID, token_endpoint_auth_method="none", revocation_endpoint_auth_method="none")

    def refresh(token):
        return dict(session.refresh_token(metadata["token_endpoint"], refresh_token=token))

    second = refresh(first["refresh_token"])
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"], "a public client gets a new refresh token each time"
    assert introspect(second["access_token"])["active"] is True
    done("refresh")

    def revoke(token, hint):
        answer = session.revoke_token(metadata["revocation_endpoint"], token=token, token_type_hint=hint)
        assert answer.status_code == 200 and not answer.content, answer.text

    revoke(second["access_token"], "access_token")
    assert introspect(second["access_token"]) == {"active": False}
    done("revocation of an access token: inactive")

    third = refresh(second["refresh_token"])
    assert introspect(third["access_token"])["active"] is True
    revoke(third["refresh_token"], "refresh_token")
    assert introspect(third["access_token"]) == {"active": False}
    try:
        refresh(third["refresh_token"])
    except OAuthError as refusal:
        assert refusal.error == "invalid_grant", refusal
    else:
        raise AssertionError("a revoked refresh token was taken")
    done("revocation of a refresh token: all tokens of the grant are dead")


main()
