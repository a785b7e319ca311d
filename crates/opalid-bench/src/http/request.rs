//! Requests as bytes, made before the clock starts.

use base64::{Engine, engine::general_purpose::STANDARD};
use std::net::SocketAddr;

/// A client's credentials as they go into HTTP Basic.
#[derive(Clone)]
pub struct Credentials {
    /// The `client_id`.
    pub id: String,
    /// The client secret.
    pub secret: String,
}

impl Credentials {
    /// The value of an Authorization header: both halves form-encoded, then Base64 (RFC 6749 §2.3.1).
    pub fn basic(&self) -> String {
        let pair = format!("{}:{}", form_encode(&self.id), form_encode(&self.secret));
        format!("Basic {}", STANDARD.encode(pair))
    }
}

fn form_encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// `name=value&…`, encoded.
pub fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A keep-alive POST of a form.
pub fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], form: &str) -> Vec<u8> {
    let mut request = head("POST", address, path, headers);
    request.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
    request.push_str(&format!("Content-Length: {}\r\n\r\n{form}", form.len()));
    request.into_bytes()
}

/// A keep-alive GET.
pub fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = head("GET", address, path, headers);
    request.push_str("\r\n");
    request.into_bytes()
}

fn head(method: &str, address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\n", address.port());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_of_basic_are_form_encoded_before_base64() {
        let basic = Credentials { id: "a b".into(), secret: "c:d".into() }.basic();
        let pair = STANDARD.decode(basic.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"a+b:c%3Ad");
    }

    #[test]
    fn a_post_says_its_length_and_its_type() {
        let request = post("127.0.0.1:80".parse().unwrap(), "/token", &[("Accept", "*/*")], &form(&[("a", "b c")]));
        let expected = "POST /token HTTP/1.1\r\nHost: localhost:80\r\nAccept: */*\r\n\
            Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\na=b+c";
        assert_eq!(String::from_utf8(request).unwrap(), expected);
    }

    #[test]
    fn a_get_ends_with_an_empty_line() {
        let request = get("127.0.0.1:80".parse().unwrap(), "/userinfo", &[]);
        assert_eq!(request, b"GET /userinfo HTTP/1.1\r\nHost: localhost:80\r\n\r\n");
    }
}
