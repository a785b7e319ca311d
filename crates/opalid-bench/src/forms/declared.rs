//! What the forms are declared with: a resource for each, a machine that asks for all, a server that introspects all.

use crate::opalid::Place;
use anyhow::{Context, Result, ensure};
use opalid_core::jwt::jwe::{ContentEncryption, KeyManagement};
use opalid_core::jwt::{Jwk, SigningAlgorithm, SigningKey};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Who asks for tokens.
pub const MACHINE: &str = "bench-machine";
/// Who introspects them.
pub const API: &str = "bench-api";
/// The secret of both.
pub const SECRET: &str = "a-secret-that-everybody-knows";

/// What an access token is.
#[derive(Clone, Copy)]
pub enum Form {
    /// A sealed reference.
    Opaque,
    /// A JWT.
    Signed(SigningAlgorithm),
    /// A JWT (RS256), encrypted for its resource server.
    Encrypted(KeyManagement, ContentEncryption),
}

impl Form {
    /// All that are measured; the opaque one first.
    pub fn all() -> Vec<Self> {
        let signed = SigningAlgorithm::ALL.iter().map(|alg| Self::Signed(*alg));
        let encrypted = [
            Self::Encrypted(KeyManagement::RsaOaep256, ContentEncryption::A256Gcm),
            Self::Encrypted(KeyManagement::EcdhEs, ContentEncryption::A128CbcHs256),
        ];
        [Self::Opaque].into_iter().chain(signed).chain(encrypted).collect()
    }

    /// For people.
    pub fn name(&self) -> String {
        match self {
            Self::Opaque => "opaque".into(),
            Self::Signed(alg) => format!("JWT {}", alg.wire_name()),
            Self::Encrypted(alg, enc) => format!("JWT RS256 in {}, {}", alg.wire_name(), enc.wire_name()),
        }
    }

    /// The resource whose tokens are of this form.
    pub fn uri(&self) -> String {
        format!("https://bench.example/{}", self.name().replace([' ', ','], "-"))
    }

    /// Whether its signature is all there is to it.
    pub const fn is_signed_alone(&self) -> bool {
        matches!(self, Self::Signed(_))
    }

    /// Whether the server itself can read it.
    pub const fn is_readable_here(&self) -> bool {
        !matches!(self, Self::Encrypted(..))
    }

    fn resource(&self, jwks: &Value) -> Value {
        let mut resource = json!({ "uri": self.uri(), "scopes": "read", "introspects_jwts": true });
        let more = match self {
            Self::Opaque => json!({}),
            Self::Signed(alg) => json!({ "access_token_format": "jwt", "access_token_signing_alg": alg }),
            Self::Encrypted(alg, enc) => json!({
                "access_token_format": "jwt", "jwks": jwks, "access_token_encryption_alg": alg,
                "access_token_encryption_enc": enc,
            }),
        };
        if let (Some(resource), Value::Object(more)) = (resource.as_object_mut(), more) {
            resource.extend(more);
        }
        resource
    }
}

/// Declares all of it at a running server.
pub fn declare(place: &Place) -> Result<()> {
    let jwks = json!({ "keys": [reader(SigningAlgorithm::Rs256)?, reader(SigningAlgorithm::Es256)?] });
    let forms = Form::all();
    let uris: Vec<String> = forms.iter().map(Form::uri).collect();
    let access: serde_json::Map<String, Value> = uris.iter().map(|uri| (uri.clone(), "read".into())).collect();
    let document = json!({ "workspace": [{
        "name": "demo",
        "resource": forms.iter().map(|form| form.resource(&jwks)).collect::<Vec<_>>(),
        "client": [
            { "client_id": MACHINE, "secret": { "env": "BENCH_SECRET" }, "grant_types": ["client_credentials"], "access": access },
            { "client_id": API, "secret": { "env": "BENCH_SECRET" }, "serves": uris },
        ],
    }]});
    let mut command = Command::new(&place.program);
    command.args(["apply", "-f", "-", "--data"]).arg(&place.data).env("BENCH_SECRET", SECRET);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(document.to_string().as_bytes())?;
    ensure!(child.wait()?.success(), "the forms could not be declared");
    Ok(())
}

/// A public key to encrypt for. The private one is of no use here: nobody reads what is encrypted.
fn reader(kind: SigningAlgorithm) -> Result<Value> {
    let Jwk { parameters, .. } = SigningKey::from_pkcs8(kind, &SigningKey::generate(kind)?)?.public_jwk();
    let mut jwk = serde_json::to_value(parameters)?;
    if let Some(members) = jwk.as_object_mut() {
        members.insert("use".into(), "enc".into());
    }
    Ok(jwk)
}
