//! Documents, applied as `opalid apply` applies them.

use opalid::manage::apply::{Applied, Declared};
use opalid::manage::{Command, Handed, Reply, Request, handle};
use opalid_core::apply::SecretSource;

use super::server::Server;

impl Server {
    /// Applies a document (TOML or JSON), with these variables for its secrets; says why not, if it is refused.
    pub async fn try_apply(&self, document: &str, secrets: &[(&str, &str)]) -> Result<Applied, String> {
        let document = if document.starts_with('{') {
            serde_json::from_str(document).map_err(|error| error.to_string())?
        } else {
            toml::from_str(document).map_err(|error| error.to_string())?
        };
        let found =
            |(name, secret): &(&str, &str)| (SecretSource::Env((*name).to_owned()), Handed::new((*secret).to_owned()));
        let declared = Declared { document, secrets: secrets.iter().map(found).collect(), prune: false };
        let request = Request { workspace: None, command: Command::Apply(declared) };
        match handle(&self.app, request).await.map_err(|error| error.to_string())? {
            Reply::Applied(applied) => Ok(*applied),
            other => panic!("{other:?}"),
        }
    }

    /// Applies a document, all of it.
    pub async fn apply(&self, document: &str, secrets: &[(&str, &str)]) -> Applied {
        let applied = self.try_apply(document, secrets).await.unwrap_or_else(|refused| panic!("{refused}"));
        assert_eq!(applied.stopped, None);
        applied
    }

    /// Declares these settings of the root workspace, one a line; all others have their defaults.
    pub async fn settings(&self, lines: &str) -> Result<Applied, String> {
        self.try_apply(&format!("[[workspace]]\nname = \"default\"\n{lines}\n"), &[]).await
    }
}
