//! A change as people see it.
//!
//! Holds: of what has fields or entries of its own, only those that change are shown; of a list, what goes and what comes.

use opalid_core::apply::{Difference, PlannedChange, Verb};
use serde_json::{Map, Value};

use super::super::output::plain;

/// One change, such as `~ client app`, with a line for each field.
pub(super) fn shown(change: &PlannedChange) -> String {
    let (sign, of) = match change.verb {
        Verb::Create => ('+', ""),
        Verb::Update => ('~', ""),
        Verb::Delete => ('-', ", with everything that hangs from it"),
    };
    let kind = change.kind.name();
    let place = if kind == "workspace" { String::new() } else { format!(" in {}", plain(&change.workspace)) };
    let mut text = format!("{sign} {kind} {}{place}{of}\n", plain(&change.name));
    // A new client without a name is called by its client_id.
    let says_nothing = |difference: &Difference| difference.before.is_none() && difference.after == Some("".into());
    for difference in change.differences.iter().filter(|difference| !says_nothing(difference)) {
        let lines = match (&difference.before, &difference.after) {
            (Some(before), Some(after)) => changes(&difference.field, before, after),
            (None, Some(after)) if change.verb == Verb::Create => vec![(difference.field.clone(), after.to_string())],
            (before, after) => {
                let (before, after) = (optional(before.as_ref()), optional(after.as_ref()));
                vec![(difference.field.clone(), format!("{before} → {after}"))]
            }
        };
        text.extend(lines.iter().map(|(field, line)| format!("    {}: {}\n", plain(field), plain(line))));
    }
    if let Some(secret) = &change.secret {
        let what = if kind == "user" { "password" } else { "secret" };
        text += &format!("    {what}: {}\n", plain(secret));
    }
    if let Some(hint) = &change.hint {
        text += &format!("    but: {}\n", plain(hint));
    }
    text
}

fn optional(found: Option<&Value>) -> String {
    found.map_or_else(|| "(default)".into(), Value::to_string)
}

/// Fields, each with how it changes.
type Lines = Vec<(String, String)>;

/// How a field changes that has a value before and after.
fn changes(field: &str, before: &Value, after: &Value) -> Lines {
    match (before, after) {
        (before, after) if before == after => Lines::new(),
        (Value::Object(before), Value::Object(after)) => fields(field, before, after),
        (Value::Array(before), Value::Array(after)) => lists(field, before, after),
        (before, after) => vec![(field.to_owned(), format!("{before} → {after}"))],
    }
}

/// Of what has fields of its own: those that change.
fn fields(field: &str, before: &Map<String, Value>, after: &Map<String, Value>) -> Lines {
    let inside = |name: &str| format!("{field}.{name}");
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    let gone = gone.map(|(name, was)| (inside(name), format!("- {was}")));
    let rest = after.iter().flat_map(|(name, is)| match before.get(name) {
        Some(was) => changes(&inside(name), was, is),
        None => vec![(inside(name), format!("+ {is}"))],
    });
    gone.chain(rest).collect()
}

/// Of a list: what goes and what comes; a key (RFC 7517) that stays under its `kid` changes like anything with fields.
fn lists(field: &str, before: &[Value], after: &[Value]) -> Lines {
    let mut gone: Vec<&Value> = before.iter().filter(|item| !after.contains(item)).collect();
    let mut new: Vec<&Value> = after.iter().filter(|item| !before.contains(item)).collect();
    let mut inside = Lines::new();
    gone.retain(|was| {
        let Some(kid) = was.get("kid").and_then(Value::as_str) else { return true };
        let Some(at) = new.iter().position(|is| is.get("kid") == was.get("kid")) else { return true };
        inside.extend(changes(&format!("{field}.{kid}"), was, new.remove(at)));
        false
    });
    let items = gone.iter().map(|item| format!("- {item}")).chain(new.iter().map(|item| format!("+ {item}")));
    let items: Vec<String> = items.collect();
    if items.is_empty() && inside.is_empty() {
        return vec![(field.to_owned(), "in another order".to_owned())];
    }
    let own = (!items.is_empty()).then(|| (field.to_owned(), items.join(", ")));
    own.into_iter().chain(inside).collect()
}
