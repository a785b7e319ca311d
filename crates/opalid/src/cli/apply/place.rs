//! Where in a document a value is of the wrong type.
//!
//! Whoever reads an entry learns that something in it is wrong, not which field: the settings of an entry stand beside
//! its name. So each entry is read by itself, and then without one field after the other.

use std::ops::Range;

use opalid_core::apply::Document;
use serde_json::{Map, Value, json};

/// The kinds of entries in a workspace, each with the field that names one.
const KINDS: [(&str, &str); 3] = [("resource", "uri"), ("client", "client_id"), ("user", "username")];

/// A line for each entry that cannot be read: whose it is, which field, what is wrong. None where it is not an entry.
pub fn problems(document: &Value) -> Vec<String> {
    let workspaces = document.get("workspace").and_then(Value::as_array);
    workspaces.into_iter().flatten().filter_map(Value::as_object).flat_map(of_workspace).collect()
}

/// What is wrong, without the text that it is wrong of.
pub fn without_value(message: &str) -> String {
    let around = message.split_once('"').and_then(|(before, rest)| Some((before, rest.rsplit_once('"')?.1)));
    around.map_or_else(|| message.to_owned(), |(before, after)| format!("{}{after}", before.trim_end()))
}

/// What is wrong in a text of TOML, and where: without the line itself.
pub fn in_toml(text: &str, span: Option<Range<usize>>, message: &str) -> String {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
    let (line, begun) = (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default());
    format!("line {line}, column {}: {}", begun.chars().count() + 1, without_value(message))
}

fn of_workspace(workspace: &Map<String, Value>) -> Vec<String> {
    let mut alone = workspace.clone();
    alone.retain(|field, _| KINDS.iter().all(|(kind, _)| kind != field));
    let whose = format!("workspace {}", named(workspace, "name"));
    let mut found: Vec<String> = problem(&alone, &whose, |alone| json!({ "workspace": [alone] })).into_iter().collect();
    for (kind, name) in KINDS {
        for entry in workspace.get(kind).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
            let whose = format!("{whose}, {kind} {}", named(entry, name));
            found.extend(problem(entry, &whose, |entry| json!({ "workspace": [{ "name": "w", kind: [entry] }] })));
        }
    }
    found
}

fn named(entry: &Map<String, Value>, field: &str) -> String {
    entry.get(field).map_or_else(|| "without a name".into(), Value::to_string)
}

fn problem(entry: &Map<String, Value>, whose: &str, document: impl Fn(&Map<String, Value>) -> Value) -> Option<String> {
    let read = |entry: &Map<String, Value>| serde_json::from_value::<Document>(document(entry)).map(drop);
    let error = without_value(&read(entry).err()?.to_string());
    let culprit = entry.keys().find(|field| {
        let mut without = entry.clone();
        without.remove(*field);
        read(&without).is_ok()
    });
    Some(culprit.map_or_else(|| format!("{whose}: {error}"), |field| format!("{whose}: {field}: {error}")))
}
