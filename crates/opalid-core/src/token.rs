//! The sealed reference: tokens that are authenticated as a whole and cost nothing to store.
//!
//! Two envelopes, one form: `prefix base64url( key number 1 ‖ nonce 12 ‖ AEAD{ … } ‖ tag 16 )` with
//! AES-256-GCM-SIV (RFC 8452), its associated data the length-prefixed version, kind and workspace.
//! `Reference<K>` points to a grant and is all there is of an access token; `RowSecret<K>` names a row and
//! carries the secret whose digest the row keeps (refresh tokens, codes, sessions, one-time links).
//! Only `Sealer` makes either from text, so holding one means that every byte was authenticated, for this
//! kind and this workspace: one character flipped, cut or added is refused before any look-up.

use std::fmt;
use std::marker::PhantomData;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::grant::{EntitlementNo, Epoch, Guard};
use crate::ids::{GrantId, WorkspaceId};
use crate::time::UnixTime;

/// A kind of token: its prefix, and the name that its envelope is bound to.
pub trait Kind {
    /// What the token starts with, so that secret scanners know it; empty for what never leaves a cookie.
    const PREFIX: &'static str;
    /// The name in the associated data.
    const NAME: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $wire:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {}
        impl Kind for $name {
            const PREFIX: &'static str = $prefix;
            const NAME: &'static str = $wire;
        }
    )*};
}

kinds! {
    /// An opaque access token (`oat_`).
    Access = "oat_", "access";
    /// The `jti` of a JWT access token: no token by itself.
    AccessJwt = "", "jwt";
    /// A refresh token (`ort_`).
    Refresh = "ort_", "refresh";
    /// An authorization code (`oac_`).
    Code = "oac_", "code";
    /// The cookie of a session.
    SessionCookie = "", "session";
    /// A one-time link to set a password.
    PasswordLink = "", "password-link";
    /// The cookie of a browser that has signed this user in before.
    DeviceCookie = "", "device";
}

/// A token as it arrived on the wire: never stored, compared or printed.
#[derive(Clone, Copy)]
pub struct PresentedToken<'a>(&'a str);

impl<'a> PresentedToken<'a> {
    /// Wraps what came.
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Whether it carries the prefix of kind `K`; says nothing of its worth.
    pub fn looks_like<K: Kind>(&self) -> bool {
        !K::PREFIX.is_empty() && self.0.starts_with(K::PREFIX)
    }
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedToken(…)")
    }
}

/// The nonce of a sealed reference: its `jti`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jti(pub [u8; NONCE_LEN]);

impl fmt::Display for Jti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Jti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jti({self})")
    }
}

/// What a sealed token says of itself; see [`Reference`] for one that was opened.
#[derive(Debug, Clone, Copy)]
pub struct Sealed {
    /// The grant it hangs from.
    pub grant: GrantId,
    /// 64 random bits of the grant, compared after the look-up.
    pub guard: Guard,
    /// Which of the grant's entitlements it carries.
    pub entitlement: EntitlementNo,
    /// The grant's epoch when it was sealed.
    pub epoch: Epoch,
    /// When it was sealed.
    pub issued_at: UnixTime,
    /// From when on it is dead of age.
    pub expires_at: UnixTime,
    /// The key it is bound to (DPoP thumbprint, certificate hash), if any.
    pub confirmation: Option<[u8; 32]>,
}

/// What a token of kind `K` points to. Only [`Sealer::open`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Reference<K> {
    /// What stood inside.
    pub sealed: Sealed,
    /// Its nonce.
    pub jti: Jti,
    kind: PhantomData<K>,
}

/// A row and the secret that proves the right to it. Only [`Sealer::open_row`] makes one from text.
pub struct RowSecret<K> {
    /// The row's id.
    pub row: [u8; 16],
    /// Which of the row's successive secrets this is; 0 for what has just one.
    pub generation: u32,
    secret: Zeroizing<[u8; 32]>,
    kind: PhantomData<K>,
}

impl<K> RowSecret<K> {
    /// A secret for a row; 32 random bytes, or a successor derived from the one before.
    pub fn new(row: [u8; 16], generation: u32, secret: [u8; 32]) -> Self {
        Self { row, generation, secret: Zeroizing::new(secret), kind: PhantomData }
    }

    /// What the row keeps of it: a SHA-256.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(self.secret.as_slice())
    }

    /// The secret itself, to derive from.
    pub fn expose(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl<K: Kind> fmt::Debug for RowSecret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowSecret({}, …)", K::NAME)
    }
}

/// The SHA-256 of a secret, as it is kept at rest. Compared in constant time.
#[derive(Clone, Copy)]
pub struct SecretDigest(pub [u8; 32]);

impl SecretDigest {
    /// Digests a secret.
    pub fn of(secret: &[u8]) -> Self {
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret).as_ref()) {
            *to = *from;
        }
        Self(out)
    }

    /// Whether both digest the same secret; in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.0[..], &other.0[..]).into()
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

/// Why a text did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unopened {
    /// Not the form of this kind.
    Malformed,
    /// Sealed under a key that is not in this ring: perhaps newer than what is known here.
    UnknownKey(u8),
    /// The form is right, but its tag does not prove it ours, of this kind and this workspace.
    Forged,
}

/// The bytes of a key could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealing key has 32 bytes")]
pub struct BadKey;

struct RingKey {
    number: u8,
    key: LessSafeKey,
}

/// Seals and opens the tokens of one workspace under a ring of numbered keys.
pub struct Sealer {
    workspace: WorkspaceId,
    current: RingKey,
    previous: Vec<RingKey>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({}, current key {})", self.workspace, self.current.number)
    }
}

const REFERENCE: usize = 16 + 8 + 4 + 4 + 4 + 4;
const BOUND_REFERENCE: usize = REFERENCE + 32;
const ROW: usize = 16 + 4 + 32;
const TAG: usize = 16;
const HEAD: usize = 1 + NONCE_LEN;
const LARGEST: usize = HEAD + BOUND_REFERENCE + TAG;

impl Sealer {
    /// A sealer for `workspace`; `current` and `previous` are numbered keys of 32 bytes each.
    pub fn new(workspace: WorkspaceId, current: (u8, &[u8]), previous: &[(u8, &[u8])]) -> Result<Self, BadKey> {
        let ring = |(number, bytes): (u8, &[u8])| {
            let key = UnboundKey::new(&AES_256_GCM_SIV, bytes).map_err(|_| BadKey)?;
            Ok(RingKey { number, key: LessSafeKey::new(key) })
        };
        let previous = previous.iter().map(|key| ring(*key)).collect::<Result<_, _>>()?;
        Ok(Self { workspace, current: ring(current)?, previous })
    }

    /// The number of the key that seals now.
    pub const fn current_key(&self) -> u8 {
        self.current.number
    }

    /// Seals a reference of kind `K` under the current key; `nonce` is random and becomes the `jti`.
    pub fn seal<K: Kind>(&self, sealed: &Sealed, nonce: Jti) -> String {
        let mut plain = Vec::with_capacity(BOUND_REFERENCE + TAG);
        plain.extend_from_slice(sealed.grant.as_bytes());
        plain.extend_from_slice(sealed.guard.expose());
        for number in [sealed.entitlement.0, sealed.epoch.0, sealed.issued_at.as_u32(), sealed.expires_at.as_u32()] {
            plain.extend_from_slice(&number.to_be_bytes());
        }
        if let Some(confirmation) = &sealed.confirmation {
            plain.extend_from_slice(confirmation);
        }
        self.seal_bytes::<K>(plain, nonce.0)
    }

    /// Opens and authenticates a reference of kind `K`.
    pub fn open<K: Kind>(&self, token: PresentedToken<'_>) -> Result<Reference<K>, Unopened> {
        let mut buffer = [0_u8; LARGEST];
        let (nonce, plain) = self.open_bytes::<K>(token, &mut buffer, |length| {
            length == HEAD + REFERENCE + TAG || length == HEAD + BOUND_REFERENCE + TAG
        })?;
        let sealed = read_reference(plain).ok_or(Unopened::Malformed)?;
        Ok(Reference { sealed, jti: Jti(nonce), kind: PhantomData })
    }

    /// Seals a row's secret as a token of kind `K`.
    pub fn seal_row<K: Kind>(&self, secret: &RowSecret<K>, nonce: [u8; 12]) -> String {
        let mut plain = Vec::with_capacity(ROW + TAG);
        plain.extend_from_slice(&secret.row);
        plain.extend_from_slice(&secret.generation.to_be_bytes());
        plain.extend_from_slice(secret.secret.as_slice());
        self.seal_bytes::<K>(plain, nonce)
    }

    /// Opens and authenticates a row's secret of kind `K`.
    pub fn open_row<K: Kind>(&self, token: PresentedToken<'_>) -> Result<RowSecret<K>, Unopened> {
        let mut buffer = Zeroizing::new([0_u8; LARGEST]);
        let (_, plain) = self.open_bytes::<K>(token, &mut buffer, |length| length == HEAD + ROW + TAG)?;
        let (row, rest) = plain.split_first_chunk().ok_or(Unopened::Malformed)?;
        let (generation, rest) = rest.split_first_chunk().ok_or(Unopened::Malformed)?;
        let secret: [u8; 32] = rest.try_into().map_err(|_| Unopened::Malformed)?;
        Ok(RowSecret::new(*row, u32::from_be_bytes(*generation), secret))
    }

    fn seal_bytes<K: Kind>(&self, mut plain: Vec<u8>, nonce: [u8; NONCE_LEN]) -> String {
        let sealing = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(associated_data::<K>(self.workspace));
        // Sealing in place cannot fail for lengths this small; an empty tag would never open again.
        let tag = self.current.key.seal_in_place_separate_tag(sealing, aad, &mut plain);
        let mut envelope = Vec::with_capacity(HEAD + plain.len() + TAG);
        envelope.push(self.current.number);
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&plain);
        if let Ok(tag) = tag {
            envelope.extend_from_slice(tag.as_ref());
        }
        let mut token = String::with_capacity(K::PREFIX.len() + envelope.len().div_ceil(3) * 4);
        token.push_str(K::PREFIX);
        URL_SAFE_NO_PAD.encode_string(&envelope, &mut token);
        token
    }

    fn open_bytes<'b, K: Kind>(
        &self,
        token: PresentedToken<'_>,
        buffer: &'b mut [u8; LARGEST],
        admits: impl Fn(usize) -> bool,
    ) -> Result<([u8; NONCE_LEN], &'b [u8]), Unopened> {
        let text = token.0.strip_prefix(K::PREFIX).ok_or(Unopened::Malformed)?;
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut buffer[..]).map_err(|_| Unopened::Malformed)?;
        if !admits(length) {
            return Err(Unopened::Malformed);
        }
        let envelope = buffer.get_mut(..length).ok_or(Unopened::Malformed)?;
        let (number, rest) = envelope.split_first_mut().ok_or(Unopened::Malformed)?;
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>().ok_or(Unopened::Malformed)?;
        let key = self.key(*number).ok_or(Unopened::UnknownKey(*number))?;
        let aad = Aad::from(associated_data::<K>(self.workspace));
        let plain =
            key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, sealed).map_err(|_| Unopened::Forged)?;
        Ok((*nonce, plain))
    }

    fn key(&self, number: u8) -> Option<&LessSafeKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.number == number).map(|key| &key.key)
    }
}

fn read_reference(plain: &[u8]) -> Option<Sealed> {
    let (grant, rest) = plain.split_first_chunk::<16>()?;
    let (guard, rest) = rest.split_first_chunk::<8>()?;
    let (entitlement, rest) = rest.split_first_chunk::<4>()?;
    let (epoch, rest) = rest.split_first_chunk::<4>()?;
    let (issued_at, rest) = rest.split_first_chunk::<4>()?;
    let (expires_at, rest) = rest.split_first_chunk::<4>()?;
    let confirmation = if rest.is_empty() { None } else { Some(rest.try_into().ok()?) };
    Some(Sealed {
        grant: GrantId::from_bytes(*grant),
        guard: Guard::new(*guard),
        entitlement: EntitlementNo(u32::from_be_bytes(*entitlement)),
        epoch: Epoch(u32::from_be_bytes(*epoch)),
        issued_at: UnixTime::from(u32::from_be_bytes(*issued_at)),
        expires_at: UnixTime::from(u32::from_be_bytes(*expires_at)),
        confirmation,
    })
}

/// `opalid/v1`, the kind and the workspace, each behind its length; in a fixed buffer, for the hot path.
fn associated_data<K: Kind>(workspace: WorkspaceId) -> AssociatedData {
    let mut data = AssociatedData { bytes: [0; 64], length: 0 };
    data.push(b"opalid/v1");
    data.push(K::NAME.as_bytes());
    data.push(workspace.as_bytes());
    data
}

struct AssociatedData {
    bytes: [u8; 64],
    length: usize,
}

impl AssociatedData {
    fn push(&mut self, part: &[u8]) {
        let length = u8::try_from(part.len()).unwrap_or(u8::MAX);
        for byte in std::iter::once(&length).chain(part) {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }
}

impl AsRef<[u8]> for AssociatedData {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOME: WorkspaceId = WorkspaceId::from_bytes([7; 16]);

    fn sealer(workspace: WorkspaceId) -> Sealer {
        Sealer::new(workspace, (2, &[2; 32]), &[(1, &[1; 32])]).unwrap()
    }

    fn sealed(confirmation: Option<[u8; 32]>) -> Sealed {
        Sealed {
            grant: GrantId::from_bytes([3; 16]),
            guard: Guard::new([4; 8]),
            entitlement: EntitlementNo(5),
            epoch: Epoch(6),
            issued_at: UnixTime(1_000),
            expires_at: UnixTime(2_000),
            confirmation,
        }
    }

    #[test]
    fn a_sealed_reference_opens_to_what_was_sealed() {
        for (bound, length) in [(None, 96), (Some([9; 32]), 139)] {
            let token = sealer(HOME).seal::<Access>(&sealed(bound), Jti([8; 12]));
            assert_eq!(token.len(), length);
            let opened = sealer(HOME).open::<Access>(PresentedToken::new(&token)).unwrap();
            assert_eq!(opened.sealed.grant, sealed(None).grant);
            assert_eq!((opened.sealed.entitlement.0, opened.sealed.epoch.0), (5, 6));
            assert_eq!((opened.sealed.issued_at, opened.sealed.expires_at), (UnixTime(1_000), UnixTime(2_000)));
            assert_eq!((opened.sealed.confirmation, opened.jti), (bound, Jti([8; 12])));
            assert!(opened.sealed.guard.matches(&Guard::new([4; 8])));
        }
    }

    #[test]
    fn the_same_input_always_seals_to_the_same_text() {
        let token = sealer(HOME).seal::<Access>(&sealed(None), Jti([8; 12]));
        insta::assert_snapshot!(token, @"oat_AggICAgICAgICAgICM3aokP1QdH2uCCNo1MHl_kPWR3BBD6WuEoKN5aGBdvUQ8XDb4oD2ik9yeZqW2ebfFIzyTTgdXwh");
    }

    #[test]
    fn a_token_of_another_kind_or_workspace_does_not_open() {
        let here = sealer(HOME);
        let token = here.seal::<Access>(&sealed(None), Jti([8; 12]));
        let elsewhere = sealer(WorkspaceId::from_bytes([9; 16]));
        assert_eq!(elsewhere.open::<Access>(PresentedToken::new(&token)).err(), Some(Unopened::Forged));

        let secret = RowSecret::<Refresh>::new([1; 16], 3, [5; 32]);
        let refresh = here.seal_row(&secret, [6; 12]);
        let as_code = refresh.replace("ort_", "oac_");
        assert_eq!(here.open_row::<Code>(PresentedToken::new(&as_code)).err(), Some(Unopened::Forged));
        assert_eq!(here.open_row::<Code>(PresentedToken::new(&refresh)).err(), Some(Unopened::Malformed));
        let opened = here.open_row::<Refresh>(PresentedToken::new(&refresh)).unwrap();
        assert_eq!((opened.row, opened.generation, opened.expose()), ([1; 16], 3, &[5; 32]));
        assert!(opened.digest().matches(&secret.digest()));
    }

    #[test]
    fn a_previous_key_still_opens_and_an_unknown_one_is_named() {
        let old = Sealer::new(HOME, (1, &[1; 32]), &[]).unwrap();
        let token = old.seal::<Access>(&sealed(None), Jti([8; 12]));
        assert!(sealer(HOME).open::<Access>(PresentedToken::new(&token)).is_ok());
        let new = sealer(HOME).seal::<Access>(&sealed(None), Jti([8; 12]));
        assert_eq!(old.open::<Access>(PresentedToken::new(&new)).err(), Some(Unopened::UnknownKey(2)));
    }

    proptest! {
        #[test]
        fn any_character_flipped_cut_or_added_is_refused(at in 0..139_usize, with in "[ -~]", bound: bool) {
            let sealer = sealer(HOME);
            let token = sealer.seal::<Access>(&sealed(bound.then_some([9; 32])), Jti([8; 12]));
            let at = at % token.len();
            let flipped = format!("{}{with}{}", &token[..at], &token[at + 1..]);
            let cut = format!("{}{}", &token[..at], &token[at + 1..]);
            let added = format!("{}{with}{}", &token[..at], &token[at..]);
            for changed in [flipped, cut, added, format!("{token}{with}"), format!("{token}=")] {
                prop_assume!(changed != token);
                prop_assert!(sealer.open::<Access>(PresentedToken::new(&changed)).is_err());
            }
        }

        #[test]
        fn no_stretch_of_a_token_can_be_taken_out_or_replaced(
            (from, to) in any::<(prop::sample::Index, prop::sample::Index)>(),
            put in "[A-Za-z0-9_-]{0,4}|.{0,3}",
        ) {
            let sealer = sealer(HOME);
            let row = sealer.seal_row(&RowSecret::<Refresh>::new([1; 16], 3, [5; 32]), [6; 12]);
            let bound = sealer.seal::<Access>(&sealed(Some([9; 32])), Jti([8; 12]));
            for token in [row, bound, sealer.seal::<Access>(&sealed(None), Jti([8; 12]))] {
                let (from, to) = (from.index(token.len() + 1), to.index(token.len() + 1));
                let changed = format!("{}{put}{}", &token[..from.min(to)], &token[from.max(to)..]);
                if changed != token {
                    prop_assert!(sealer.open::<Access>(PresentedToken::new(&changed)).is_err(), "{}", changed);
                    prop_assert!(sealer.open_row::<Refresh>(PresentedToken::new(&changed)).is_err(), "{}", changed);
                }
            }
        }

        #[test]
        fn any_text_is_refused_and_any_envelope_is_forged(
            text in ".{0,200}",
            bytes in prop::collection::vec(any::<u8>(), LARGEST),
            key in 1..=2_u8,
        ) {
            let sealer = sealer(HOME);
            for text in [&text, &format!("oat_{text}"), &format!("ort_{text}")] {
                prop_assert!(sealer.open::<Access>(PresentedToken::new(text)).is_err());
                prop_assert!(sealer.open_row::<Refresh>(PresentedToken::new(text)).is_err());
                prop_assert!(sealer.open_row::<SessionCookie>(PresentedToken::new(text)).is_err());
            }
            let of = |prefix: &str, length: usize| {
                let envelope = [&[key], &bytes[1..length]].concat();
                format!("{prefix}{}", URL_SAFE_NO_PAD.encode(envelope))
            };
            for length in [HEAD + REFERENCE + TAG, HEAD + BOUND_REFERENCE + TAG] {
                let token = of("oat_", length);
                prop_assert_eq!(sealer.open::<Access>(PresentedToken::new(&token)).err(), Some(Unopened::Forged));
            }
            let token = of("ort_", HEAD + ROW + TAG);
            prop_assert_eq!(sealer.open_row::<Refresh>(PresentedToken::new(&token)).err(), Some(Unopened::Forged));
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let secret = RowSecret::<Refresh>::new([1; 16], 3, [5; 32]);
        let printed =
            format!("{secret:?} {:?} {:?} {:?}", secret.digest(), PresentedToken::new("oat_x"), Guard::new([4; 8]));
        insta::assert_snapshot!(printed, @"RowSecret(refresh, …) SecretDigest(…) PresentedToken(…) Guard(…)");
    }
}
