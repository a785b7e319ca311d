//! What `--demo` brings: a workspace to look around in, and a walk through a sign-in. Without it none of it exists.
//!
//! The walk is an application and an API that know of the server only what they hear over HTTP.

mod pages;
mod seed;
mod steps;
mod wire;

pub use pages::{callback, show, submit};
pub use seed::seed;

/// The name of the demo workspace; its issuer is the root.
pub const WORKSPACE: &str = "demo";
/// The demo's API.
pub const RESOURCE: &str = "https://api.demo.example/";
/// A public client: the walk-through at `/demo`.
pub const PUBLIC_CLIENT: &str = "demo-app";
/// Where an application at a host of its own takes its codes. `.example` belongs to nobody.
pub const HTTPS_CALLBACK: &str = "https://app.demo.example/callback";
/// Where an application on a phone takes its codes (RFC 8252 §7.1).
pub const PRIVATE_CALLBACK: &str = "example.demo.app:/callback";
/// A confidential client: the resource server, which introspects.
pub const RESOURCE_SERVER: &str = "demo-api";
/// Its secret; known to everyone, as everything of the demo.
pub const RESOURCE_SERVER_SECRET: &str = "ocs_demo-api-secret-known-to-everyone";
/// The people of the demo, with their passwords.
pub const USERS: [(&str, &str); 2] = [("alice", "alice-demo-password"), ("bob", "bob-demo-password")];

/// Which of them administers the demo workspace.
pub const ADMINISTRATOR: &str = USERS[1].0;

/// Four lines that work as pasted: get an opaque token, introspect it, revoke it, introspect it again.
pub fn curl_lines(issuer: &str) -> [String; 4] {
    let client = format!("-u {RESOURCE_SERVER}:{RESOURCE_SERVER_SECRET}");
    [
        format!(
            "TOKEN=$(curl -s {client} -d grant_type=client_credentials {issuer}/token | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/'); echo $TOKEN"
        ),
        format!("curl -s {client} -d token=$TOKEN {issuer}/introspect; echo"),
        format!("curl -s {client} -d token=$TOKEN {issuer}/revoke -w '%{{http_code}}\\n'"),
        format!("curl -s {client} -d token=$TOKEN {issuer}/introspect; echo"),
    ]
}
