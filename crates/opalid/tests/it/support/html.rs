//! As much of HTML as our pages use: tags, attributes, forms. A form is found by the id of an element in it.

use std::collections::BTreeMap;

/// A tag with its attributes; for `</x>` the name is `/x`.
#[derive(Debug, Clone)]
struct Tag {
    name: String,
    attributes: BTreeMap<String, String>,
}

/// A page.
#[derive(Debug)]
pub struct Page {
    tags: Vec<Tag>,
}

/// A form as a browser would send it: what the page filled in, changed by [`Form::with`].
#[derive(Debug, Clone)]
pub struct Form {
    pub action: String,
    pub method: String,
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The same with a field set.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(found, _)| found != name);
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The same without a field.
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(found, _)| found != name);
        self
    }

    /// Its fields, for `form_post`.
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

impl Page {
    pub fn parse(text: &str) -> Self {
        let mut tags = Vec::new();
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('<') {
            let (tag, after) = read_tag(after);
            rest = after;
            if !tag.name.is_empty() && !tag.name.starts_with('!') {
                tags.push(tag);
            }
        }
        Self { tags }
    }

    /// Whether there is an element with this id.
    pub fn has(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    /// An attribute of the element with this id.
    pub fn attribute(&self, id: &str, name: &str) -> Option<&str> {
        self.tags.get(self.find(id)?)?.attributes.get(name).map(String::as_str)
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.tags.iter().position(|tag| tag.attributes.get("id").is_some_and(|found| found == id))
    }

    /// The form that holds the element with this id; if that is a button with a name, it is pressed.
    #[track_caller]
    pub fn form(&self, id: &str) -> Form {
        let at = self.find(id).unwrap_or_else(|| panic!("no element has the id {id}"));
        let start = self.tags[..=at].iter().rposition(|tag| tag.name == "form").expect("the element is in a form");
        let length = self.tags[start..].iter().position(|tag| tag.name == "/form").expect("the form ends");
        let form = &self.tags[start];
        let attribute = |tag: &Tag, name: &str| tag.attributes.get(name).cloned().unwrap_or_default();
        let mut fields = Vec::new();
        for (offset, tag) in self.tags[start..start + length].iter().enumerate() {
            let kind = attribute(tag, "type");
            let sent = match tag.name.as_str() {
                "input" if kind == "checkbox" || kind == "radio" => tag.attributes.contains_key("checked"),
                "input" => kind != "submit" || start + offset == at,
                "button" => start + offset == at,
                _ => false,
            };
            if sent && tag.attributes.contains_key("name") {
                fields.push((attribute(tag, "name"), attribute(tag, "value")));
            }
        }
        let method = attribute(form, "method").to_ascii_uppercase();
        Form { action: attribute(form, "action"), method, fields }
    }
}

/// Reads a tag after its `<`; gives it and what follows its `>`.
fn read_tag(text: &str) -> (Tag, &str) {
    let end = |text: &str| text.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end(text));
    let mut attributes = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            return (Tag { name: name.to_ascii_lowercase(), attributes }, after);
        }
        if rest.is_empty() {
            return (Tag { name: String::new(), attributes }, "");
        }
        let stop = rest.find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '>').unwrap_or(rest.len()).max(1);
        let (name, after) = rest.split_at(stop);
        let (value, after) = match after.strip_prefix("=\"") {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.strip_prefix('=').map_or(("", after), |bare| bare.split_at(end(bare))),
        };
        attributes.insert(name.to_ascii_lowercase(), unescape(value));
        rest = after;
    }
}

/// The text that HTML stands for.
pub fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (entity, after) = after.split_once(';').unwrap_or((after, ""));
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            number => {
                let digits = number.strip_prefix('#').unwrap_or_else(|| panic!("the entity {entity}"));
                let code = digits.strip_prefix('x').map_or_else(|| digits.parse(), |hex| u32::from_str_radix(hex, 16));
                char::from_u32(code.unwrap()).unwrap()
            }
        });
        rest = after;
    }
    out + rest
}

#[test]
fn a_form_is_what_a_browser_would_send() {
    let page = Page::parse(
        r#"<!doctype html><p id="lead">a &lt; b</p><form method="post" action="/sign-in?a=1&#38;b=2">
           <input type="hidden" name="csrf" value="x&#34;y"><input id="login" name="login" value="" required autofocus>
           <input type=checkbox name=stay checked value=yes><button id="deny" name="do" value="deny">No</button>
           <button id="allow" name="do" value="allow">Yes</button></form>"#,
    );
    let form = page.form("allow").with("login", "alice");
    assert_eq!((form.action.as_str(), form.method.as_str()), ("/sign-in?a=1&b=2", "POST"));
    let sent = [("csrf", "x\"y"), ("stay", "yes"), ("do", "allow"), ("login", "alice")];
    assert_eq!(form.pairs(), sent);
    assert_eq!(form.without("stay").pairs().len(), 3);
    assert!(page.has("lead") && !page.has("problem"));
    assert_eq!(page.attribute("login", "name"), Some("login"));
}
