//! HMAC-SHA256 over a list of parts.
//!
//! Each part goes in behind its length, so two different lists never make the same message.

use aws_lc_rs::hmac;

/// The MAC of `parts`. The first part says what it is for, so that no MAC passes for another.
pub fn mac(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.sign()
}

/// The first sixteen bytes of the MAC: enough where nobody can search for collisions, and too many to guess.
pub fn short(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 16] {
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(mac(key, parts).as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_from_one_part_to_the_next_changes_the_mac() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        assert_ne!(mac(&key, &[b"ab", b"c"]).as_ref(), mac(&key, &[b"a", b"bc"]).as_ref());
        assert_ne!(mac(&key, &[b"ab"]).as_ref(), mac(&key, &[b"ab", b""]).as_ref());
    }
}
