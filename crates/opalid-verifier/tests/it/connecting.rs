//! How an API connects, as `docs/guard-an-api-in-rust.md` shows it: what stands below this line stands there.

use opalid_verifier::{BadSettings, Settings, Verifier};

/// Once, within a tokio runtime, with the secret of the client that serves this API. Its clones share one memory and one connection.
pub fn verifier(secret: String) -> Result<Verifier, BadSettings> {
    Verifier::start(Settings::new("http://localhost:8080", "demo-api", secret))
}
