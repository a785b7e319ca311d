//! `opalid revoke`.

use clap::Subcommand;

use super::reach::{Reaching, Server};
use super::secret;
use crate::manage::Command;

/// What can be revoked.
#[derive(Debug, Subcommand)]
pub enum RevokeCommand {
    /// Kills everything in a workspace: everyone signs in again.
    Workspace {
        /// Its name: not taken from -w, so that nothing so large happens by an oversight
        name: String,
        /// Kill it; without this, it is said what dies
        #[arg(long)]
        yes: bool,
    },
    /// Kills everything of a user, who stays in service.
    User {
        /// What the person types to sign in
        username: String,
    },
    /// Kills everything a client was given; the client stays in service.
    Client {
        /// Its client_id
        client_id: String,
    },
    /// Ends a session, with everything bound to it.
    Session {
        /// Its id, from: opalid session list
        id: String,
    },
    /// Cuts a grant, with all its tokens.
    Grant {
        /// Its id, from: opalid grant list
        id: String,
    },
    /// Kills an access token, or cuts the grant of a refresh token or code.
    Token {
        /// The token; - reads it from standard input, where nobody sees it in a list of processes
        token: String,
    },
}

impl Reaching for RevokeCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(match self {
            Self::Workspace { name, yes } => {
                server.names(&name)?;
                let reply = server.ask_in(Some(name), Command::RevokeWorkspace { yes })?;
                return server.output.print(&reply);
            }
            Self::User { username } => Command::RevokeUser { username },
            Self::Client { client_id } => Command::RevokeClient { client_id },
            Self::Session { id } => Command::RevokeSession { id },
            Self::Grant { id } => Command::RevokeGrant { id },
            Self::Token { token } => Command::RevokeToken { token: secret::argument_or_stdin(token)? },
        })
    }
}
