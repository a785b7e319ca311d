//! An answer, framed by its Content-Length.
//!
//! Takes: the bytes received so far on one connection.
//! Gives: the answer once it is whole; never a guess: an answer without a length, or with bytes after it
//! that nobody asked for, is an error.

use anyhow::{Result, anyhow, bail};
use memchr::memmem;

/// A whole answer, borrowed from the connection's buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The status line and the header lines, without the empty line that ends them.
    pub head: &'a [u8],
    /// Exactly as many bytes as Content-Length says.
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// `None` while the answer is incomplete.
    pub fn read(received: &'a [u8]) -> Result<Option<Self>> {
        let Some(end) = memmem::find(received, b"\r\n\r\n") else { return Ok(None) };
        let (head, rest) = received.split_at(end);
        let rest = rest.get(4..).unwrap_or_default();
        let status = status(head)?;
        let length = body_length(head, status)?;
        if rest.len() > length {
            bail!("{} bytes follow an answer of {length} bytes", rest.len() - length);
        }
        Ok(rest.get(..length).map(|body| Self { status, head, body }))
    }

    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        find_header(self.head, name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of every header of this name.
    pub fn headers(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        lines(self.head)
            .filter_map(move |line| value_of(line, name))
            .filter_map(|value| std::str::from_utf8(value).ok())
    }
}

fn status(head: &[u8]) -> Result<u16> {
    let digits = head.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| anyhow!("not an HTTP/1.1 status line: {}", start(head)))
}

fn body_length(head: &[u8], status: u16) -> Result<usize> {
    let length = find_header(head, "content-length").and_then(|value| std::str::from_utf8(value).ok());
    match (length, status) {
        (Some(length), _) => length.parse().map_err(|_| anyhow!("not a Content-Length: {length}")),
        (None, 204 | 304) => Ok(0),
        (None, _) => bail!("no Content-Length: {}", start(head)),
    }
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&byte| byte == b'\n').skip(1)
}

fn find_header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    lines(head).find_map(|line| value_of(line, name))
}

fn value_of<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
}

/// The first bytes of something unexpected, for a message.
pub fn start(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..bytes.len().min(300)).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: x\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\nhello";

    #[test]
    fn an_answer_is_whole_only_with_its_last_byte() {
        for end in 0..WHOLE.len() {
            assert_eq!(Answer::read(&WHOLE[..end]).unwrap(), None, "{end} bytes");
        }
        let answer = Answer::read(WHOLE).unwrap().unwrap();
        assert_eq!((answer.status, answer.body), (200, b"hello".as_slice()));
    }

    #[test]
    fn bytes_after_the_answer_are_an_error() {
        assert!(Answer::read(&[WHOLE, b"!"].concat()).is_err());
    }

    #[test]
    fn header_names_are_compared_without_case_and_whole() {
        let answer = Answer::read(WHOLE).unwrap().unwrap();
        assert_eq!(answer.header("CONTENT-TYPE"), Some("x"));
        assert_eq!(answer.header("content"), None);
        assert_eq!(answer.headers("Set-Cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
    }

    #[test]
    fn an_answer_without_a_length_is_an_error() {
        assert!(Answer::read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(Answer::read(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n").is_err());
    }

    #[test]
    fn a_204_needs_no_length() {
        let answer = Answer::read(b"HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n").unwrap().unwrap();
        assert_eq!((answer.status, answer.body.len()), (204, 0));
    }

    #[test]
    fn another_protocol_is_an_error() {
        assert!(Answer::read(b"SSH-2.0-x\r\n\r\n").is_err());
    }
}
