//! How a server is started that is not running, for whoever asks it something.
//!
//! Holds: what is advised can work: the store of a demo is served as one, and nothing else without an issuer.

use std::path::Path;

use opalid_store::Location;

use super::way::way_of;
use crate::config::{Settings, Sources, process_environment};

/// What to type, in a sentence. `way` is how the server was named.
pub fn how_to_start(data: &Path, config: Option<&Path>, way: &str) -> String {
    let way = if way.is_empty() { way_of(None, Some(data)) } else { way.to_owned() };
    match holds_demo(data) {
        Some(true) => {
            return format!("it holds a demo; start it with: opalid serve --demo{}", way_of(None, Some(data)));
        }
        // The issuer may be that of the store, or somebody else's: whoever set it knows.
        _ if names_issuer(config) => return format!("start it with: opalid serve{way}"),
        _ => {}
    }
    let own = match config {
        Some(file) => format!("set issuer in {}, and: opalid serve{way}", file.display()),
        None => format!("opalid serve --config FILE{way}, where FILE says its issuer"),
    };
    match holds_demo(data) {
        Some(false) => format!("start it with the configuration that it ran with: {own}"),
        _ => format!("to start a demo there: opalid serve --demo{}; one of your own: {own}", way_of(None, Some(data))),
    }
}

/// Whether the store in a data folder is a demo's; `None` if there is none that this user may read.
fn holds_demo(data: &Path) -> Option<bool> {
    let database = Location::Sqlite(data.join("opalid.db"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
    Some(runtime.block_on(database.look()).ok()??.demo)
}

/// Whether the file, or a variable, says what the issuer is.
fn names_issuer(config: Option<&Path>) -> bool {
    let sources = Sources::read(config.map(Path::to_owned), process_environment(), Default::default(), false);
    sources.is_ok_and(|sources| Settings::new(sources).names_issuer())
}
