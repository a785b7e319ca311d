//! How a command names the server it speaks to, for commands that it advises.

use std::path::Path;

/// The commands that reach a server: options that say which may stand before their names.
const REACHING: [&str; 15] = [
    "apply",
    "diff",
    "export",
    "backup",
    "workspace",
    "client",
    "resource",
    "user",
    "session",
    "grant",
    "consent",
    "revoke",
    "inspect",
    "events",
    "token",
];

/// The options as they were given, each with a blank before it; empty where none was.
pub fn way_of(config: Option<&Path>, data: Option<&Path>) -> String {
    let option = |flag: &str, path: Option<&Path>| path.map(|path| format!(" {flag} {}", quoted(path)));
    option("--config", config).unwrap_or_default() + &option("--data", data).unwrap_or_default()
}

/// What is said, with `way` in every command that it advises.
pub fn with_way(text: &str, way: &str) -> String {
    let mut text = text.to_owned();
    if !way.is_empty() {
        for name in REACHING {
            text = text.replace(&format!("opalid {name} "), &format!("opalid{way} {name} "));
        }
        // Alone at the end, as `see: opalid events`.
        if let Some(name) = REACHING.into_iter().find(|name| text.ends_with(&format!("opalid {name}"))) {
            text.truncate(text.len() - name.len() - 1);
            text += &format!("{way} {name}");
        }
    }
    text
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,".contains(&byte) || !byte.is_ascii();
    if !text.is_empty() && text.bytes().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advised_command_names_the_server_as_this_one_did() {
        let way = way_of(Some(Path::new("/etc/o p.toml")), Some(Path::new("data")));
        assert_eq!(way, " --config '/etc/o p.toml' --data data");
        let said = with_way("no user x; see: opalid user list -w acme", " --data d");
        assert_eq!(said, "no user x; see: opalid --data d user list -w acme");
        assert_eq!(with_way("see: opalid events", " --data d"), "see: opalid --data d events");
        assert_eq!(with_way("the opalid users; opalid serve", " --data d"), "the opalid users; opalid serve");
        assert_eq!(with_way("see: opalid user list", &way_of(None, None)), "see: opalid user list");
    }
}
