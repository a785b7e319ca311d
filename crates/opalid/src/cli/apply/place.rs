//! Where in a document a value is of the wrong type.
//!
//! Whoever reads an entry learns that something in it is wrong, not which field: the settings of an entry stand beside
//! its name. So each entry is read by itself, and each of its fields alone.

use std::ops::Range;

use opalid_core::apply::{Document, Kind, NOT_IN_THE_DOCUMENT, advised};
use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

/// The kinds of entries in a workspace, each with the field that names one.
const KINDS: [(Kind, &str); 4] =
    [(Kind::Resource, "uri"), (Kind::Role, "name"), (Kind::Client, "client_id"), (Kind::User, "username")];

/// A problem, and the line that it stands on, if that is known.
type Problem = (Option<usize>, String);

/// A line for each value that cannot be read, as they stand: on which line, if the text is TOML, whose it is, which
/// field, what is wrong. None where nothing is wrong but the text itself.
pub fn problems(document: &Value, toml: Option<&str>) -> Vec<String> {
    let table = toml.and_then(|text| Some((text, DeTable::parse(text).ok()?)));
    let line_of = |path: &[Key<'_>]| {
        let (text, table) = table.as_ref()?;
        Some(line_at(text, (0..=path.len()).rev().find_map(|depth| begin_of(table.get_ref(), path.get(..depth)?))?))
    };
    let read = |document: Value| serde_json::from_value::<Document>(document).err().map(|error| error.to_string());
    let mut alone = document.clone();
    let workspaces = alone.get_mut("workspace").and_then(Value::as_array_mut).map(std::mem::take);
    let mut found = Vec::new();
    for (path, error) in faults(&alone, &read) {
        let field = path.join(".");
        let keys: Vec<Key<'_>> = path.iter().map(|field| Key::Field(field)).collect();
        let error = advised(Kind::Workspace, &field, &without_value(&error));
        found.push((line_of(&keys), if field.is_empty() { error } else { format!("{field}: {error}") }));
    }
    for (number, workspace) in workspaces.iter().flatten().enumerate() {
        of_workspace(number, workspace, &line_of, &mut found);
    }
    in_order(found)
}

/// Problems by their lines; those without one as they come, after the others.
fn in_order(mut problems: Vec<Problem>) -> Vec<String> {
    problems.sort_by_key(|(line, _)| line.unwrap_or(usize::MAX));
    problems.into_iter().map(|(line, what)| line.map_or(what.clone(), |line| format!("line {line}: {what}"))).collect()
}

fn line_at(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or_default().matches('\n').count() + 1
}

/// One step into a document.
#[derive(Clone, Copy)]
enum Key<'k> {
    Field(&'k str),
    Item(usize),
}

/// The line that a path leads to; none where it is not known.
type LineOf<'a> = &'a dyn Fn(&[Key<'_>]) -> Option<usize>;

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
        Some(line_at(text, begin?))
    };
    let (heads, told): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| !line.starts_with("  "));
    let told =
        told.iter().map(|line| line.trim_start()).map(|problem| (line_of(problem), problem.to_owned())).collect();
    let told = in_order(told).into_iter().map(|line| format!("  {line}"));
    heads.into_iter().map(str::to_owned).chain(told).collect::<Vec<_>>().join("\n")
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
            let kind = kind.name();
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

fn of_workspace(number: usize, workspace: &Value, line_of: LineOf<'_>, found: &mut Vec<Problem>) {
    let place = [Key::Field("workspace"), Key::Item(number)];
    let in_document = |alone: Value| json!({ "workspace": [alone] });
    let mut alone = workspace.clone();
    // Its entries by themselves; what stands where they should is a problem of the workspace.
    let mut taken = Vec::new();
    for (kind, name) in KINDS {
        taken.push((kind, name, alone.get_mut(kind.name()).and_then(Value::as_array_mut).map(std::mem::take)));
    }
    let whose = format!("workspace {}", named(workspace, "name"));
    of_entry(&alone, (Kind::Workspace, &whose, &place, "name"), (line_of, &in_document), found);
    for (kind_of, name, entries) in taken {
        let kind = kind_of.name();
        for (number, entry) in entries.iter().flatten().enumerate() {
            let whose = format!("{whose}, {kind} {}", named(entry, name));
            let place = [place.as_slice(), &[Key::Field(kind), Key::Item(number)]].concat();
            let in_document = |entry: Value| json!({ "workspace": [{ "name": "w", kind: [entry] }] });
            of_entry(entry, (kind_of, &whose, &place, name), (line_of, &in_document), found);
        }
    }
}

fn named(entry: &Value, field: &str) -> String {
    entry.get(field).map_or_else(|| "without a name".into(), Value::to_string)
}

/// What is wrong with one entry: its name first, then each field beside a name that is none's.
fn of_entry(
    entry: &Value,
    (kind, whose, place, name): (Kind, &str, &[Key<'_>], &str),
    (line_of, in_document): (LineOf<'_>, &dyn Fn(Value) -> Value),
    found: &mut Vec<Problem>,
) {
    let as_it_is =
        |entry: Value| serde_json::from_value::<Document>(in_document(entry)).err().map(|error| error.to_string());
    let read = |mut entry: Value| {
        if let Some(fields) = entry.as_object_mut() {
            fields.insert(name.to_owned(), "w".into());
        }
        as_it_is(entry)
    };
    let mut wrong = Vec::new();
    if let Some(fields) = entry.as_object() {
        let alone: Map<String, Value> =
            fields.get_key_value(name).map(|(name, it)| (name.clone(), it.clone())).into_iter().collect();
        let path = alone.keys().cloned().collect();
        wrong.extend(as_it_is(Value::Object(alone)).map(|error| (path, error)));
    }
    wrong.extend(faults(entry, &read));
    for (path, error) in wrong {
        let mut error = without_value(&error);
        if path.first().is_some_and(|field| field == "secret") && error == NOT_IN_THE_DOCUMENT {
            error += "; or leave it out, and one is drawn";
        }
        for field in &path {
            // The field is named once.
            error = error.strip_prefix(&format!("{field}: ")).map(str::to_owned).unwrap_or(error);
        }
        let keys: Vec<Key<'_>> = place.iter().copied().chain(path.iter().map(|field| Key::Field(field))).collect();
        let field = path.join(".");
        let error = advised(kind, &field, &error);
        let what = if field.is_empty() { error } else { format!("{field}: {error}") };
        found.push((line_of(&keys), format!("{whose}: {what}")));
    }
}

/// What is wrong in a value, each with the fields that lead to it. `read` gives what is wrong with a value in its place.
///
/// A field is at fault if it is refused alone, and not as no field at all would be.
fn faults(value: &Value, read: &dyn Fn(Value) -> Option<String>) -> Vec<(Vec<String>, String)> {
    let Some(error) = read(value.clone()) else { return Vec::new() };
    let fields = value.as_object().cloned().unwrap_or_default();
    let nothing = read(json!({}));
    let mut found = Vec::new();
    let mut rest = Map::new();
    for (field, inner) in fields {
        let alone = |inner: Value| read(json!({ &field: inner })).filter(|error| Some(error) != nothing.as_ref());
        let mut wrong = faults(&inner, &alone);
        // Of what it is called, and not of what stands there.
        let own_name = |(path, error): &(Vec<String>, String)| {
            let error = error.strip_prefix("claims: ").unwrap_or(error);
            !path.is_empty()
                && [field.clone(), format!("{field:?}")].iter().any(|name| error.starts_with(&format!("{name} ")))
        };
        if wrong.iter().any(own_name) {
            wrong.truncate(1);
            wrong.iter_mut().for_each(|(path, _)| path.clear());
        }
        if wrong.is_empty() {
            rest.insert(field, inner);
            continue;
        }
        found.extend(wrong.into_iter().map(|(mut path, error)| {
            path.insert(0, field.clone());
            (path, error)
        }));
    }
    let left = if found.is_empty() { Some(error) } else { read(Value::Object(rest)).filter(|_| nothing.is_none()) };
    found.extend(left.map(|error| (Vec::new(), error)));
    found
}
