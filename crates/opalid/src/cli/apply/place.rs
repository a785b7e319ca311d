//! Where in a document a value is of the wrong type.
//!
//! Whoever reads an entry learns that something in it is wrong, not which field: the settings of an entry stand beside
//! its name. So each entry is read by itself, and then without one field after the other.

use std::ops::Range;

use opalid_core::apply::{Document, NOT_IN_THE_DOCUMENT};
use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

/// The kinds of entries in a workspace, each with the field that names one.
const KINDS: [(&str, &str); 4] = [("resource", "uri"), ("role", "name"), ("client", "client_id"), ("user", "username")];

/// A line for each entry that cannot be read: where it stands, if the text is TOML, whose it is, which field, what is
/// wrong. None where it is not an entry.
pub fn problems(document: &Value, toml: Option<&str>) -> Vec<String> {
    let table = toml.and_then(|text| Some((text, DeTable::parse(text).ok()?)));
    let line_of = |path: &[Key<'_>]| {
        let (text, table) = table.as_ref()?;
        Some(text.get(..begin_of(table.get_ref(), path)?)?.matches('\n').count() + 1)
    };
    let at = |path: &[Key<'_>]| line_of(path).map(|line| format!("line {line}: ")).unwrap_or_default();
    let workspaces = document.get("workspace").and_then(Value::as_array).into_iter().flatten().enumerate();
    workspaces.filter_map(|(number, it)| Some((number, it.as_object()?))).flat_map(|it| of_workspace(it, &at)).collect()
}

/// One step into a document.
#[derive(Clone, Copy)]
enum Key<'k> {
    Field(&'k str),
    Item(usize),
}

/// The line that a path leads to, in words; nothing where it is not known.
type At<'a> = &'a dyn Fn(&[Key<'_>]) -> String;

/// What a server says is wrong with a document, with the line of the entry, or of its field, that each problem names;
/// as it was said where the text is no TOML.
pub fn with_lines(said: &str, text: &str) -> String {
    let (Ok(table), Ok(document)) = (DeTable::parse(text), toml::from_str::<Value>(text)) else {
        return said.to_owned();
    };
    let places = places(&document);
    let line_of = |problem: &str| {
        let (what, path) = places.iter().find_map(|(whose, path)| {
            Some((problem.strip_prefix(whose.as_str())?.strip_prefix(": ")?, path.as_slice()))
        })?;
        let field = what.split_once(": ").map(|(field, _)| field).unwrap_or_default();
        let (outer, inner) = field.split_once('.').unwrap_or((field, ""));
        let inside = [Key::Field(outer), Key::Field(inner)];
        let begin = (0..=inside.len())
            .rev()
            .find_map(|depth| begin_of(table.get_ref(), &[path, inside.get(..depth)?].concat()));
        Some(text.get(..begin?)?.matches('\n').count() + 1)
    };
    let with_line = |line: &str| {
        let problem = line.strip_prefix("  ")?;
        Some(format!("  line {}: {problem}", line_of(problem)?))
    };
    let lines: Vec<String> = said.lines().map(|line| with_line(line).unwrap_or_else(|| line.to_owned())).collect();
    lines.join("\n")
}

/// Every entry as a problem names it, and the path to it.
fn places(document: &Value) -> Vec<(String, Vec<Key<'static>>)> {
    let entries = |of: &Value, kind: &str, name: &str| -> Vec<(usize, Value, String)> {
        let all = of.get(kind).and_then(Value::as_array).into_iter().flatten().enumerate();
        all.filter_map(|(number, entry)| Some((number, entry.clone(), entry.get(name)?.as_str()?.to_owned()))).collect()
    };
    let mut found = Vec::new();
    for (number, workspace, name) in entries(document, "workspace", "name") {
        let (whose, place) = (format!("workspace {name}"), [Key::Field("workspace"), Key::Item(number)]);
        for (kind, by) in KINDS {
            found.extend(entries(&workspace, kind, by).into_iter().map(|(number, _, name)| {
                let path = [place.as_slice(), &[Key::Field(kind), Key::Item(number)]].concat();
                (format!("{whose}, {kind} {name}"), path)
            }));
        }
        found.push((whose, place.to_vec()));
    }
    found
}

/// Where what a path leads to begins.
fn begin_of(table: &DeTable<'_>, path: &[Key<'_>]) -> Option<usize> {
    let (Key::Field(first), rest) = path.split_first()? else { return None };
    let mut found = table.get(*first)?;
    for key in rest {
        found = match (key, found.get_ref()) {
            (Key::Field(name), DeValue::Table(table)) => table.get(*name)?,
            (Key::Item(number), DeValue::Array(items)) => items.get(*number)?,
            _ => return None,
        };
    }
    Some(found.span().start)
}

/// What is wrong, without the text that it is wrong of.
pub fn without_value(message: &str) -> String {
    // This one quotes nothing of the document.
    if message.starts_with(NOT_IN_THE_DOCUMENT) {
        return message.to_owned();
    }
    let around = message.split_once('"').and_then(|(before, rest)| Some((before, rest.rsplit_once('"')?.1)));
    around.map_or_else(|| message.to_owned(), |(before, after)| format!("{}{after}", before.trim_end()))
}

/// What is wrong in a text of TOML, and where: without the line itself.
pub fn in_toml(text: &str, span: Option<Range<usize>>, message: &str) -> String {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
    let (line, begun) = (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default());
    format!("line {line}, column {}: {}", begun.chars().count() + 1, without_value(message))
}

fn of_workspace((number, workspace): (usize, &Map<String, Value>), at: At<'_>) -> Vec<String> {
    let place = [Key::Field("workspace"), Key::Item(number)];
    let mut alone = workspace.clone();
    alone.retain(|field, _| KINDS.iter().all(|(kind, _)| kind != field));
    let whose = format!("workspace {}", named(workspace, "name"));
    let here = problem(&alone, (&whose, &place, at), |alone| json!({ "workspace": [alone] }));
    let mut found: Vec<String> = here.into_iter().collect();
    for (kind, name) in KINDS {
        let entries = workspace.get(kind).and_then(Value::as_array).into_iter().flatten().enumerate();
        for (number, entry) in entries.filter_map(|(number, entry)| Some((number, entry.as_object()?))) {
            let whose = format!("{whose}, {kind} {}", named(entry, name));
            let place = [place.as_slice(), &[Key::Field(kind), Key::Item(number)]].concat();
            let document = |entry: &Map<String, Value>| json!({ "workspace": [{ "name": "w", kind: [entry] }] });
            found.extend(problem(entry, (&whose, &place, at), document));
        }
    }
    found
}

fn named(entry: &Map<String, Value>, field: &str) -> String {
    entry.get(field).map_or_else(|| "without a name".into(), Value::to_string)
}

fn problem(
    entry: &Map<String, Value>,
    (whose, place, at): (&str, &[Key<'_>], At<'_>),
    document: impl Fn(&Map<String, Value>) -> Value,
) -> Option<String> {
    let read = |entry: &Map<String, Value>| serde_json::from_value::<Document>(document(entry)).map(drop);
    let mut error = without_value(&read(entry).err()?.to_string());
    let culprit = entry.keys().find(|field| {
        let mut without = entry.clone();
        without.remove(*field);
        read(&without).is_ok()
    });
    let inside = culprit.and_then(|field| {
        let of_field = entry.get(field)?.as_object()?;
        of_field.keys().find(|inner| {
            let mut without = entry.clone();
            let left = without.get_mut(field).and_then(Value::as_object_mut);
            left.is_some_and(|left| left.remove(*inner).is_some()) && read(&without).is_ok()
        })
    });
    if culprit.is_some_and(|field| field == "secret") && error == NOT_IN_THE_DOCUMENT {
        error += "; or leave it out, and one is drawn";
    }
    let at = |keys: &[Key<'_>]| at(&[place, keys].concat());
    Some(match (culprit, inside) {
        (None, _) => format!("{}{whose}: {error}", at(&[])),
        (Some(field), None) => format!("{}{whose}: {field}: {error}", at(&[Key::Field(field)])),
        (Some(field), Some(inner)) => {
            format!("{}{whose}: {field}.{inner}: {error}", at(&[Key::Field(field), Key::Field(inner)]))
        }
    })
}
