//! The first POST form of a page, as a browser without JavaScript would send it.

/// A form and its fields, in order.
#[derive(Debug, Default, PartialEq)]
pub struct Form {
    /// Where it goes; empty for the page itself.
    pub action: String,
    /// Names and values, hidden fields and the first named button among them.
    pub fields: Vec<(String, String)>,
    /// Names of the fields that a person types into.
    text: Vec<String>,
    /// Names of the password fields.
    password: Vec<String>,
}

impl Form {
    /// Finds the first form with `method="post"`.
    pub fn find(page: &str) -> Option<Self> {
        let mut form: Option<Self> = None;
        for tag in page.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').unwrap_or((tag, ""));
            let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
            match (name.to_ascii_lowercase().as_str(), &mut form) {
                ("form", None) if is(attributes, "method", "post") => {
                    let action = attribute(attributes, "action").unwrap_or_default();
                    form = Some(Self { action, ..Self::default() });
                }
                ("input", Some(form)) => form.input(attributes),
                ("button", Some(form)) => form.button(attributes),
                ("/form", Some(_)) => break,
                _ => {}
            }
        }
        form
    }

    fn input(&mut self, attributes: &str) {
        let Some(name) = attribute(attributes, "name") else { return };
        let kind = attribute(attributes, "type").unwrap_or_else(|| "text".into());
        match kind.as_str() {
            "password" => self.password.push(name.clone()),
            "text" | "email" => self.text.push(name.clone()),
            "checkbox" | "radio" if attribute(attributes, "checked").is_none() => return,
            "submit" => return self.button(attributes),
            _ => {}
        }
        self.fields.push((name, attribute(attributes, "value").unwrap_or_default()));
    }

    /// The first button is the page's primary action; later ones are its alternatives.
    fn button(&mut self, attributes: &str) {
        let Some(name) = attribute(attributes, "name") else { return };
        if self.fields.iter().all(|(known, _)| *known != name) {
            self.fields.push((name, attribute(attributes, "value").unwrap_or_default()));
        }
    }

    /// Types a name and a password into the fields meant for them.
    pub fn fill(&mut self, username: &str, password: &str) {
        for (name, value) in &mut self.fields {
            if self.password.contains(name) {
                password.clone_into(value);
            } else if self.text.contains(name) && value.is_empty() {
                username.clone_into(value);
            }
        }
    }
}

fn is(attributes: &str, name: &str, value: &str) -> bool {
    attribute(attributes, name).is_some_and(|found| found.eq_ignore_ascii_case(value))
}

/// An attribute's value, entities resolved; empty for an attribute without one.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
        let (found, after) = rest.split_at(end);
        let (value, next) = match after.strip_prefix('=') {
            Some(after) => value(after),
            None => ("", after),
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(resolve(value));
        }
        rest = next.trim_start();
    }
    None
}

fn value(after: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = after.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    after.split_once(char::is_whitespace).unwrap_or((after, ""))
}

fn resolve(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&#x27;", "'")];
    let text = entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character));
    text.replace("&#38;", "&").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<!doctype html><form method=get action=/search><input name=q></form>
        <form class="card" method="POST" action="/sign-in?request=a&amp;x=1">
        <input type="hidden" name="csrf" value="t&quot;1"><label>Name <input name="username" required></label>
        <input type='password' name='password'><input type="checkbox" name="remember">
        <button name="decision" value="allow">Go on</button><button name="decision" value="deny">No</button></form>
        <form method="post" action="/other"><input name="x"></form>"#;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn the_first_post_form_is_sent_as_a_browser_sends_it() {
        let mut form = Form::find(PAGE).unwrap();
        form.fill("alice", "secret");
        assert_eq!(form.action, "/sign-in?request=a&x=1");
        let expected =
            [pair("csrf", "t\"1"), pair("username", "alice"), pair("password", "secret"), pair("decision", "allow")];
        assert_eq!(form.fields, expected);
    }

    #[test]
    fn a_page_without_a_post_form_has_none() {
        assert_eq!(Form::find("<p>Signed out.</p><form><input name=q></form>"), None);
    }

    #[test]
    fn attributes_are_found_quoted_or_not_and_whole() {
        assert_eq!(attribute(r#"data-name="x" name=y"#, "name").as_deref(), Some("y"));
        assert_eq!(attribute("checked name='a b'", "name").as_deref(), Some("a b"));
        assert_eq!(attribute("checked", "checked").as_deref(), Some(""));
        assert_eq!(attribute("", "name"), None);
    }
}
