//! Who a grant was given to and by whom, and what it hangs from, in few bytes.

use std::fmt;

use super::{Ancestor, Birth, Epoch, Lineage};
use crate::ids::{ClientId, UserId};

/// Client and user of a grant, and its ancestors in the order they are asked.
///
/// There is one for every grant in memory, so it is kept small.
#[derive(Clone, PartialEq, Eq)]
pub struct Descent {
    client: ClientId,
    /// Zeroes where there is none.
    user: UserId,
    /// A byte that says whether there is a user; then of each birth a byte that says what follows, the epoch in one byte
    /// or four, and the id unless it is that of the client, of the user, or of the birth before.
    bytes: Box<[u8]>,
}

/// The first byte where there is a user.
const OF_A_USER: u8 = 1;
const NO_USER: UserId = UserId::from_bytes([0; 16]);

/// Set in a birth's first byte: its id is that of the birth before.
const SAME_ID: u8 = 0x80;
/// Set in a birth's first byte: its epoch has four bytes.
const LONG_EPOCH: u8 = 0x40;
/// Set in a birth's first byte: it is the client, or the user.
const A_PARTY: u8 = 0x20;

impl Descent {
    /// Of a grant to this client, by this user if there is one, that hangs from these.
    pub fn new(client: ClientId, user: Option<UserId>, births: impl IntoIterator<Item = Birth>) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.push(if user.is_some() { OF_A_USER } else { 0 });
        let mut before = None;
        for Birth { ancestor, epoch } in births {
            let id = *ancestor.id_bytes();
            let known = match ancestor {
                Ancestor::Client(of) if of == client => A_PARTY,
                Ancestor::User(of) | Ancestor::Credentials(of) if Some(of) == user => A_PARTY,
                _ if before == Some(id) => SAME_ID,
                _ => 0,
            };
            let short = u8::try_from(epoch.0);
            bytes.push(ancestor.code() | known | if short.is_ok() { 0 } else { LONG_EPOCH });
            match short {
                Ok(short) => bytes.push(short),
                Err(_) => bytes.extend_from_slice(&epoch.0.to_be_bytes()),
            }
            if known == 0 {
                bytes.extend_from_slice(&id);
            }
            before = Some(id);
        }
        Self { client, user: user.unwrap_or(NO_USER), bytes: bytes.into() }
    }

    /// Who was authorized.
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// By whom; none for client_credentials.
    pub const fn user(&self) -> Option<UserId> {
        match *self.bytes {
            [OF_A_USER, ..] => Some(self.user),
            _ => None,
        }
    }

    /// Each ancestor with its birth epoch.
    pub fn births(&self) -> Births<'_> {
        Births { of: self, rest: self.bytes.get(1..).unwrap_or_default(), before: [0; 16] }
    }

    /// Its ancestors by themselves.
    pub fn lineage(&self) -> Lineage {
        Lineage::new(self.births())
    }
}

impl fmt::Debug for Descent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let births: Vec<_> = self.births().collect();
        let mut shown = f.debug_struct("Descent");
        shown.field("client", &self.client).field("user", &self.user()).field("births", &births).finish()
    }
}

/// The births of a [`Descent`].
#[derive(Clone)]
pub struct Births<'d> {
    of: &'d Descent,
    rest: &'d [u8],
    before: [u8; 16],
}

impl Iterator for Births<'_> {
    type Item = Birth;

    fn next(&mut self) -> Option<Birth> {
        let (head, rest) = self.rest.split_first()?;
        let code = head & !(SAME_ID | LONG_EPOCH | A_PARTY);
        let (epoch, rest) = if head & LONG_EPOCH == 0 {
            rest.split_first().map(|(epoch, rest)| (u32::from(*epoch), rest))?
        } else {
            rest.split_first_chunk().map(|(epoch, rest)| (u32::from_be_bytes(*epoch), rest))?
        };
        self.rest = rest;
        if head & A_PARTY != 0 {
            let Descent { client, user, .. } = self.of;
            self.before = if code == Ancestor::CLIENT { *client.as_bytes() } else { *user.as_bytes() };
        } else if head & SAME_ID == 0 {
            let (id, rest) = rest.split_first_chunk()?;
            (self.before, self.rest) = (*id, rest);
        }
        Some(Birth { ancestor: Ancestor::from_code(code, self.before)?, epoch: Epoch(epoch) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ConsentId, GrantId, SessionId, WorkspaceId};

    const CLIENT: ClientId = ClientId::from_bytes([4; 16]);
    const USER: UserId = UserId::from_bytes([2; 16]);

    fn births() -> Vec<Birth> {
        let births = [
            (Ancestor::Workspace(WorkspaceId::from_bytes([1; 16])), 1),
            (Ancestor::User(USER), 255),
            (Ancestor::Credentials(USER), 256),
            (Ancestor::Session(SessionId::from_bytes([3; 16])), u32::MAX),
            (Ancestor::Client(CLIENT), 0),
            (Ancestor::Consent(ConsentId::from_bytes([5; 16])), 1),
            (Ancestor::Grant(GrantId::from_bytes([6; 16])), 7),
        ];
        births.map(|(ancestor, epoch)| Birth { ancestor, epoch: Epoch(epoch) }).into()
    }

    #[test]
    fn a_descent_gives_the_births_it_was_made_of_whoever_its_parties_are() {
        let (zero, other) = (ClientId::from_bytes([0; 16]), UserId::from_bytes([9; 16]));
        for client in [CLIENT, zero] {
            for user in [None, Some(USER), Some(other)] {
                let descent = Descent::new(client, user, births());
                assert_eq!((descent.client(), descent.user()), (client, user));
                assert_eq!(descent.births().collect::<Vec<_>>(), births());
                assert_eq!(descent.lineage(), Lineage::new(births()));
            }
        }
        assert_eq!(Descent::new(CLIENT, None, []).births().count(), 0);
    }

    #[test]
    fn an_id_of_zeroes_is_an_id_and_not_that_of_a_birth_before() {
        let zero = Birth { ancestor: Ancestor::User(UserId::from_bytes([0; 16])), epoch: Epoch(1) };
        for births in [vec![zero], vec![zero, zero], vec![births()[0], zero]] {
            assert_eq!(Descent::new(CLIENT, None, births.clone()).births().collect::<Vec<_>>(), births);
        }
    }

    #[test]
    fn the_births_of_an_offline_grant_by_consent_fit_into_48_bytes() {
        let of_a_session = |birth: &Birth| matches!(birth.ancestor, Ancestor::Credentials(_) | Ancestor::Session(_));
        let young = births()
            .into_iter()
            .take(6)
            .filter(|birth| !of_a_session(birth))
            .map(|birth| Birth { epoch: Epoch(1), ..birth });
        let descent = Descent::new(CLIENT, Some(USER), young);
        assert!(descent.bytes.len() <= 48, "{}", descent.bytes.len());
    }
}
