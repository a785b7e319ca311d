//! What a holder and a node say to each other, as bytes: version 1.
//!
//! Takes: messages, or one frame of bytes each. Gives: the other.
//! Holds: one spelling for each message, nothing behind its end, no number of things beyond what is allowed; whatever else comes is
//! [`Malformed`], and says nothing.
//! Not here: the socket, and who may speak on it. A frame is one binary message of a WebSocket; all numbers are big-endian.

use std::time::Duration;

use super::{Grant, Incarnation, Moment, News, Position};
use crate::mirror::Tag;

/// The subprotocol (RFC 6455 §1.9) that both name: another version is another name.
pub const PROTOCOL: &str = "opalid-feed.1";

/// How many tokens one frame asks about at most.
pub const MOST_QUESTIONS: usize = 64;
/// How long a token is at most, in bytes.
pub const LONGEST_TOKEN: usize = 8 * 1024;
/// How many changes one frame holds at most. Whoever lacks more starts anew.
pub const MOST_CHANGES: usize = 4_096;
/// How many things an answer hangs from at most.
pub const MOST_TAGS: usize = 1_024;
/// How long the facts of an answer are at most, in bytes.
pub const LONGEST_FACTS: usize = 128 * 1024;

/// From a holder to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToNode {
    /// A wish for news and a lease. Who asks is known by the connection.
    Ask {
        /// Where it stands.
        at: Option<Position>,
        /// Up to where it has applied everything.
        acked: Option<Position>,
        /// When it asked, by its own clock.
        asked_at: Moment,
    },
    /// It believes no lease of this connection any more.
    Leave,
    /// What is true of these tokens? Each with a number for its answer.
    Questions(Vec<(u32, String)>),
}

/// From a node to a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToHolder {
    /// What changed, and a lease.
    News(News<Tag>),
    /// What is true of a token.
    Answer {
        /// Of which question.
        question: u32,
        /// What is said.
        said: Said,
    },
}

/// What a node says of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is active.
    Active {
        /// Where the node stood before it evaluated; nothing if the answer is not to be kept.
        at: Option<Position>,
        /// How long the token lives yet.
        expires_in: Duration,
        /// What the answer hangs from.
        tags: Vec<Tag>,
        /// The answer as introspection gives it (RFC 7662 §2.2).
        facts: String,
    },
    /// It is not active, and may be again.
    Inactive,
    /// It is dead for good.
    Dead,
    /// The node cannot say: this is no verdict.
    Outage,
}

/// Not a frame of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a frame of {PROTOCOL}")]
pub struct Malformed;

impl ToNode {
    /// As one frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Ask { at, acked, asked_at } => {
                out.push(1);
                put_position(&mut out, *at);
                put_position(&mut out, *acked);
                out.extend(asked_at.0.to_be_bytes());
            }
            Self::Leave => out.push(2),
            Self::Questions(questions) => {
                out.push(3);
                put_count(&mut out, questions.len());
                for (number, token) in questions {
                    out.extend(number.to_be_bytes());
                    put_text(&mut out, token);
                }
            }
        }
        out
    }

    /// From one frame.
    pub fn decode(frame: &[u8]) -> Result<Self, Malformed> {
        let mut rest = Frame(frame);
        let message = match rest.byte()? {
            1 => Self::Ask { at: rest.position()?, acked: rest.position()?, asked_at: Moment(rest.number()?) },
            2 => Self::Leave,
            3 => {
                let count = rest.count(MOST_QUESTIONS)?;
                let question = |_| Ok((u32::from_be_bytes(rest.bytes()?), rest.text(LONGEST_TOKEN)?));
                Self::Questions((0..count).map(question).collect::<Result<_, _>>()?)
            }
            _ => return Err(Malformed),
        };
        rest.end().map(|()| message)
    }
}

impl ToHolder {
    /// As one frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::News(news) => {
                out.push(4);
                put_position(&mut out, news.from);
                put_position(&mut out, Some(news.to));
                put_count(&mut out, news.changes.len());
                for (n, tag) in &news.changes {
                    out.extend(n.to_be_bytes());
                    out.extend(tag.0.to_be_bytes());
                }
                out.push(u8::from(news.grant.is_some()));
                if let Some(grant) = news.grant {
                    out.extend(grant.asked_at.0.to_be_bytes());
                    put_duration(&mut out, grant.valid_for);
                }
            }
            Self::Answer { question, said } => {
                out.push(5);
                out.extend(question.to_be_bytes());
                put_said(&mut out, said);
            }
        }
        out
    }

    /// From one frame.
    pub fn decode(frame: &[u8]) -> Result<Self, Malformed> {
        let mut rest = Frame(frame);
        let message = match rest.byte()? {
            4 => Self::News(rest.news()?),
            5 => Self::Answer { question: u32::from_be_bytes(rest.bytes()?), said: rest.said()? },
            _ => return Err(Malformed),
        };
        rest.end().map(|()| message)
    }
}

fn put_position(out: &mut Vec<u8>, position: Option<Position>) {
    out.push(u8::from(position.is_some()));
    if let Some(position) = position {
        out.extend(position.incarnation.0.to_be_bytes());
        out.extend(position.n.to_be_bytes());
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend(text.as_bytes());
}

fn put_duration(out: &mut Vec<u8>, length: Duration) {
    out.extend(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).to_be_bytes());
}

fn put_said(out: &mut Vec<u8>, said: &Said) {
    match said {
        Said::Active { at, expires_in, tags, facts } => {
            out.push(1);
            put_position(out, *at);
            put_duration(out, *expires_in);
            put_count(out, tags.len());
            for tag in tags {
                out.extend(tag.0.to_be_bytes());
            }
            put_text(out, facts);
        }
        Said::Inactive => out.push(2),
        Said::Dead => out.push(3),
        Said::Outage => out.push(4),
    }
}

/// What is left of a frame.
struct Frame<'f>(&'f [u8]);

impl Frame<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.bytes().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn duration(&mut self) -> Result<Duration, Malformed> {
        self.number().map(Duration::from_nanos)
    }

    fn whether(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn position(&mut self) -> Result<Option<Position>, Malformed> {
        if !self.whether()? {
            return Ok(None);
        }
        let incarnation = Incarnation(self.bytes().map(u128::from_be_bytes)?);
        Ok(Some(Position { incarnation, n: self.number()? }))
    }

    /// A number of things; no more is set aside than the frame can hold.
    fn count(&mut self, most: usize) -> Result<usize, Malformed> {
        let count = self.bytes().map(u32::from_be_bytes)?;
        usize::try_from(count).ok().filter(|count| *count <= most).ok_or(Malformed)
    }

    fn text(&mut self, longest: usize) -> Result<String, Malformed> {
        let length = self.count(longest)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        std::str::from_utf8(taken).map(str::to_owned).map_err(|_| Malformed)
    }

    fn news(&mut self) -> Result<News<Tag>, Malformed> {
        let from = self.position()?;
        let to = self.position()?.ok_or(Malformed)?;
        let count = self.count(MOST_CHANGES)?;
        let changes = (0..count).map(|_| Ok((self.number()?, Tag(self.number()?)))).collect::<Result<_, _>>()?;
        let grant = match self.whether()? {
            true => Some(Grant { asked_at: Moment(self.number()?), valid_for: self.duration()? }),
            false => None,
        };
        Ok(News { from, to, changes, grant })
    }

    fn said(&mut self) -> Result<Said, Malformed> {
        Ok(match self.byte()? {
            1 => {
                let (at, expires_in) = (self.position()?, self.duration()?);
                let count = self.count(MOST_TAGS)?;
                let tags = (0..count).map(|_| self.number().map(Tag)).collect::<Result<_, _>>()?;
                Said::Active { at, expires_in, tags, facts: self.text(LONGEST_FACTS)? }
            }
            2 => Said::Inactive,
            3 => Said::Dead,
            4 => Said::Outage,
            _ => return Err(Malformed),
        })
    }

    fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position() -> impl Strategy<Value = Position> {
        (any::<u128>(), any::<u64>()).prop_map(|(incarnation, n)| Position { incarnation: Incarnation(incarnation), n })
    }

    fn to_node() -> impl Strategy<Value = ToNode> {
        prop_oneof![
            (proptest::option::of(position()), proptest::option::of(position()), any::<u64>())
                .prop_map(|(at, acked, asked_at)| ToNode::Ask { at, acked, asked_at: Moment(asked_at) }),
            Just(ToNode::Leave),
            proptest::collection::vec((any::<u32>(), ".{0,40}"), 0..8).prop_map(ToNode::Questions),
        ]
    }

    fn tags() -> impl Strategy<Value = Vec<Tag>> {
        proptest::collection::vec(any::<u64>().prop_map(Tag), 0..8)
    }

    fn to_holder() -> impl Strategy<Value = ToHolder> {
        let grant = (any::<u64>(), any::<u64>())
            .prop_map(|(at, length)| Grant { asked_at: Moment(at), valid_for: Duration::from_nanos(length) });
        let changes = proptest::collection::vec((any::<u64>(), any::<u64>().prop_map(Tag)), 0..8);
        let news = (proptest::option::of(position()), position(), changes, proptest::option::of(grant))
            .prop_map(|(from, to, changes, grant)| ToHolder::News(News { from, to, changes, grant }));
        let active = (proptest::option::of(position()), any::<u64>(), tags(), ".{0,40}").prop_map(
            |(at, length, tags, facts)| Said::Active { at, expires_in: Duration::from_nanos(length), tags, facts },
        );
        let said = prop_oneof![active, Just(Said::Inactive), Just(Said::Dead), Just(Said::Outage)];
        let answer = (any::<u32>(), said).prop_map(|(question, said)| ToHolder::Answer { question, said });
        prop_oneof![news, answer]
    }

    proptest! {
        #[test]
        fn what_is_said_is_what_is_heard(node in to_node(), holder in to_holder()) {
            prop_assert_eq!(ToNode::decode(&node.encode()), Ok(node));
            prop_assert_eq!(ToHolder::decode(&holder.encode()), Ok(holder));
        }

        #[test]
        fn a_frame_that_is_cut_or_longer_is_none(node in to_node(), holder in to_holder(), cut in any::<prop::sample::Index>()) {
            for mut frame in [node.encode(), holder.encode()] {
                let shorter = &frame[..cut.index(frame.len())];
                prop_assert_eq!(ToNode::decode(shorter), Err(Malformed));
                prop_assert_eq!(ToHolder::decode(shorter), Err(Malformed));
                frame.push(0);
                prop_assert_eq!((ToNode::decode(&frame), ToHolder::decode(&frame)), (Err(Malformed), Err(Malformed)));
            }
        }

        #[test]
        fn whatever_is_heard_has_one_spelling(frame in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(message) = ToNode::decode(&frame) {
                prop_assert_eq!(message.encode(), frame.clone());
            }
            if let Ok(message) = ToHolder::decode(&frame) {
                prop_assert_eq!(message.encode(), frame);
            }
        }
    }

    #[test]
    fn more_than_is_allowed_is_refused_before_it_is_read() {
        let many = ToNode::Questions(vec![(1, "t".into()); MOST_QUESTIONS + 1]);
        assert_eq!(ToNode::decode(&many.encode()), Err(Malformed));
        let long = ToNode::Questions(vec![(1, "t".repeat(LONGEST_TOKEN + 1))]);
        assert_eq!(ToNode::decode(&long.encode()), Err(Malformed));
        assert_eq!(ToNode::decode(&[3, 0xff, 0xff, 0xff, 0xff]), Err(Malformed));
        assert_eq!(ToNode::decode(&[2]), Ok(ToNode::Leave));
        assert_eq!(ToHolder::decode(&[2]), Err(Malformed));
    }
}
