//! The commands: those that open the server, and those that reach a running one through its command socket.

mod apply;
mod backup;
mod client;
mod consent;
mod events;
mod explain;
mod fields;
mod holders;
mod inspect;
mod key;
mod output;
mod progress;
mod reach;
mod resource;
mod restore;
mod revoke;
mod role;
mod secret;
mod serve;
mod session;
mod starting;
mod token;
mod user;
mod way;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ConfigFlags;
use reach::{Alone, Before, Managing};

/// OAuth 2.x authorization server and OpenID Connect provider.
#[derive(Debug, Parser)]
#[command(name = "opalid", version)]
struct Cli {
    #[command(flatten)]
    before: Before,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve {
        /// Seed a demo workspace with users alice and bob; loopback only.
        #[arg(long)]
        demo: bool,
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Shows or checks the configuration.
    #[command(subcommand)]
    Config(serve::ConfigCommand),
    /// Makes what a document declares be so: workspaces, resources, roles, clients, users.
    #[command(mut_arg("workspace", |arg| arg.hide(true)))]
    Apply(Alone<apply::ApplyCommand>),
    /// Shows what apply would change of workspaces, resources, roles, clients and users; exits with 0 if nothing, 1 if something, 2 if that cannot be said.
    #[command(mut_arg("workspace", |arg| arg.hide(true)))]
    Diff(Alone<apply::DiffCommand>),
    /// Writes what there is as a document that apply reads: all workspaces, or that of -w, with their resources, roles,
    /// clients and users. No secrets are in it.
    Export(Alone<apply::ExportCommand>),
    /// Copies the store of a running server to a file (SQLite); the master key is not in it.
    #[command(mut_arg("workspace", |arg| arg.hide(true)))]
    Backup(Alone<backup::BackupCommand>),
    /// Puts a store back from a copy: everyone signs in again, and nothing that was revoked lives again.
    Restore(restore::RestoreCommand),
    /// Workspaces: issuers with their own clients, users and keys.
    Workspace(Managing<workspace::WorkspaceCommand>),
    /// Clients: who asks for tokens.
    Client(Managing<client::ClientCommand>),
    /// Resources: what tokens open.
    Resource(Managing<resource::ResourceCommand>),
    /// Roles: what people and clients may do at resources that ask for roles.
    Role(Managing<role::RoleCommand>),
    /// Users: the accounts of people.
    User(Managing<user::UserCommand>),
    /// Sessions: browsers that have logged in.
    Session(Managing<session::SessionCommand>),
    /// Grants: authorizations given to clients.
    Grant(Managing<session::GrantCommand>),
    /// Consents: what people have agreed to.
    Consent(Managing<consent::ConsentCommand>),
    /// Kills tokens, alone or with everything below something.
    Revoke(Managing<revoke::RevokeCommand>),
    /// Keys: what signs and seals tokens in one workspace, and the master key of all.
    Key(Managing<key::KeyCommand>),
    /// Says what a token refers to, how everything it hangs from stands, and why it is dead if it is.
    Inspect(Alone<inspect::InspectCommand>),
    /// Says which settings hold for the tokens of a client, and why.
    Explain(Alone<explain::ExplainCommand>),
    /// Shows what happened in one workspace, the newest last.
    Events(Alone<events::EventsCommand>),
    /// Shows who remembers answers of this server under a lease, and how far each has followed.
    #[command(mut_arg("workspace", |arg| arg.hide(true)))]
    Holders(Alone<holders::HoldersCommand>),
    /// Gets an access token for a client, with its secret or through the browser.
    Token(Alone<token::TokenCommand>),
}

/// Runs the command that was given. What goes wrong is said in words for people, without a backtrace.
pub fn main() -> ExitCode {
    let Cli { before, command } = Cli::parse();
    // To `diff`, 1 says that something differs.
    let failure = if matches!(command, Command::Diff(_)) { 2 } else { 1 };
    match run(before, command).or_else(forgive_closed_pipe) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("opalid: {}", output::plain_lines(&format!("{error:#}")));
            ExitCode::from(failure)
        }
    }
}

fn run(before: Before, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { demo, flags } => before.refuse("serve").and_then(|()| serve::run(demo, flags)),
        Command::Config(command) => before.refuse("config").and_then(|()| command.run()),
        Command::Restore(command) => before.refuse("restore").and_then(|()| command.run()),
        Command::Apply(alone) => alone.run(before),
        Command::Diff(alone) => alone.run(before),
        Command::Export(alone) => alone.run(before),
        Command::Backup(alone) => alone.run(before),
        Command::Workspace(managing) => managing.run(before),
        Command::Client(managing) => managing.run(before),
        Command::Resource(managing) => managing.run(before),
        Command::Role(managing) => managing.run(before),
        Command::User(managing) => managing.run(before),
        Command::Session(managing) => managing.run(before),
        Command::Grant(managing) => managing.run(before),
        Command::Consent(managing) => managing.run(before),
        Command::Revoke(managing) => managing.run(before),
        Command::Key(managing) => managing.run(before),
        Command::Inspect(alone) => alone.run(before),
        Command::Explain(alone) => alone.run(before),
        Command::Events(alone) => alone.run(before),
        Command::Holders(alone) => alone.run(before),
        Command::Token(alone) => alone.run(before),
    }
}

/// Who pipes a list into `head` has seen enough.
fn forgive_closed_pipe(error: anyhow::Error) -> anyhow::Result<()> {
    let closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(closed) { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests;
