//! How much room the declared claims have that show at one place of one token.
//!
//! Holds: what is said of one token is bounded, whatever is declared and however long the attributes of a person are.

use std::io::{self, Write};

use serde_json::Value;

use super::ClaimPlace;

/// More than they have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the claims that the workspace declares for this place are longer than {most} bytes together, which is the most; the \
     longest are {names}"
)]
pub struct TooMuch {
    most: usize,
    names: String,
}

/// What is left.
pub(super) struct Room<'c> {
    most: usize,
    taken: usize,
    claims: Vec<(usize, &'c str)>,
}

impl<'c> Room<'c> {
    /// A JWT has 8 KiB in all; other answers are read by whoever asked for them.
    pub(super) const fn at(place: ClaimPlace) -> Self {
        let most = match place {
            ClaimPlace::IdToken | ClaimPlace::AccessToken => 8 * 1024,
            ClaimPlace::Userinfo | ClaimPlace::Introspection => 64 * 1024,
        };
        Self { most, taken: 0, claims: Vec::new() }
    }

    /// Takes what this claim needs, as JSON.
    pub(super) fn take(&mut self, name: &'c str, value: &Value) -> Result<(), TooMuch> {
        let mut counted = Counted(0);
        // It counts and cannot fail.
        let _ = serde_json::to_writer(&mut counted, value);
        // Two quotation marks, a colon, a comma.
        let bytes = name.len() + counted.0 + 4;
        self.claims.push((bytes, name));
        self.taken += bytes;
        if self.taken <= self.most { Ok(()) } else { Err(self.too_much()) }
    }

    fn too_much(&mut self) -> TooMuch {
        self.claims.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let longest = self.claims.iter().take(3).map(|(bytes, name)| format!("{name} ({bytes} bytes)"));
        TooMuch { most: self.most, names: longest.collect::<Vec<_>>().join(", ") }
    }
}

struct Counted(usize);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_have_as_much_room_as_they_take_as_json_and_the_longest_are_named() {
        for (place, most) in [(ClaimPlace::Introspection, 65536), (ClaimPlace::AccessToken, 8192)] {
            let mut room = Room::at(place);
            // {"a":"…",} beside the text: 6 bytes and a name of one; a quotation mark takes two.
            let fits = format!("\"{}", "x".repeat(most - 9 - 8));
            assert_eq!(room.take("a", &fits.into()), Ok(()));
            assert_eq!(room.take("b", &123.into()), Ok(()));
            let refused = room.take("c", &true.into()).unwrap_err().to_string();
            let longest = format!("the longest are a ({} bytes), c (9 bytes), b (8 bytes)", most - 8);
            assert!(refused.contains(&most.to_string()) && refused.ends_with(&longest), "{refused}");
        }
    }
}
