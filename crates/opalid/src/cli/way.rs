//! How a command names the server it speaks to, for commands that it advises.

use std::path::Path;

use opalid_store::folder::quoted;

/// The commands that reach a server: options that say which may stand before their names.
const REACHING: [&str; 19] = [
    "apply",
    "diff",
    "export",
    "backup",
    "workspace",
    "client",
    "resource",
    "role",
    "user",
    "session",
    "grant",
    "consent",
    "revoke",
    "key",
    "inspect",
    "explain",
    "events",
    "holders",
    "token",
];

/// The options as they were given, each with a blank before it; empty where none was.
pub fn way_of(config: Option<&Path>, data: Option<&Path>) -> String {
    let option = |flag: &str, path: Option<&Path>| path.map(|path| format!(" {flag} {}", quoted(path)));
    option("--config", config).unwrap_or_default() + &option("--data", data).unwrap_or_default()
}

/// What is said, with `way` in every command that it advises. What is put in is not looked at again.
pub fn with_way(text: &str, way: &str) -> String {
    const OPALID: &str = "opalid ";
    let is_command = |rest: &str| {
        let after = |name: &&str| rest.strip_prefix(*name);
        REACHING.iter().any(|name| after(name).is_some_and(|after| after.is_empty() || after.starts_with(' ')))
    };
    let mut said = String::with_capacity(text.len() + way.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPALID) {
        said += before;
        said += "opalid";
        if is_command(after) {
            said += way;
        }
        said.push(' ');
        rest = after;
    }
    said + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_reaches_a_server_is_known_to_do_so() {
        let command = <super::super::Cli as clap::CommandFactory>::command();
        let names = command.get_subcommands().map(clap::Command::get_name);
        for name in names.filter(|name| !["serve", "config", "restore"].contains(name)) {
            assert!(REACHING.contains(&name), "{name}");
        }
    }

    #[test]
    fn an_advised_command_names_the_server_as_this_one_did() {
        let way = way_of(Some(Path::new("/etc/o p.toml")), Some(Path::new("data")));
        assert_eq!(way, " --config '/etc/o p.toml' --data data");
        let said = with_way("no user x; see: opalid user list -w acme", " --data d");
        assert_eq!(said, "no user x; see: opalid --data d user list -w acme");
        assert_eq!(with_way("see: opalid events", " --data d"), "see: opalid --data d events");
        assert_eq!(with_way("the opalid users; opalid serve", " --data d"), "the opalid users; opalid serve");
        assert_eq!(with_way("see: opalid user list", &way_of(None, None)), "see: opalid user list");
        let odd = way_of(None, Some(Path::new("opalid user $(x) y")));
        assert_eq!(odd, " --data 'opalid user $(x) y'");
        let said = with_way("see: opalid user list, opalid client list", &odd);
        assert_eq!(said, format!("see: opalid{odd} user list, opalid{odd} client list"));
    }
}
