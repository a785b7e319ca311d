//! The static files pages link to, embedded in the binary.
//!
//! Gives: each file's path, type, bytes, entity tag, and an address that changes with the bytes.
//! Holds: an address with the right `v` may be cached for ever; without it, ask again with the tag.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The one style sheet.
pub static STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/-/ui/opalid.css", "text/css; charset=utf-8", include_bytes!("../../ui/opalid.css")));

/// The script that sends the `form_post` form.
pub static FORM_POST_SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("/-/ui/form-post.js", "text/javascript; charset=utf-8", include_bytes!("../../ui/form-post.js"))
});

/// The icon of a browser tab.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/-/ui/opalid.svg", "image/svg+xml", include_bytes!("../../ui/opalid.svg")));

/// A static file.
#[derive(Debug)]
pub struct Asset {
    /// Where it is served, without a query.
    pub path: &'static str,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: &'static [u8],
    /// Its `ETag`, quotes included: the SHA-256 of the bytes.
    pub etag: String,
    /// The `v` of [`Asset::url`]: the start of the same digest.
    pub version: String,
}

impl Asset {
    fn new(path: &'static str, content_type: &'static str, body: &'static [u8]) -> Self {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, body));
        let version = digest.chars().take(12).collect();
        Self { path, content_type, body, etag: format!("\"{digest}\""), version }
    }

    /// The address for links, with the version in it.
    pub fn url(&self) -> String {
        format!("{}?v={}", self.path, self.version)
    }
}

/// The file served at `path`, if there is one.
pub fn find_asset(path: &str) -> Option<&'static Asset> {
    let all: [&'static Asset; 3] = [&STYLESHEET, &FORM_POST_SCRIPT, &ICON];
    all.into_iter().find(|asset| asset.path == path)
}
