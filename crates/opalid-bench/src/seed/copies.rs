//! The one person's rows, copied: each copy with ids of its own wherever those of the original stand.
//!
//! What a copy's ids and secrets are follows from its number, so nothing has to be remembered of a million of them.

use super::tables::{Cell, Row, Tables};
use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use memchr::memmem;
use opalid_core::ids::{UserId, uuid_v7};
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::SecretDigest;

/// Grants to a session: one that outlives it, and one that does not.
const TO_A_SESSION: usize = 2;
/// Grants to a person.
const TO_A_PERSON: usize = 4;
/// The copies are older than the original, a millisecond apart.
const OLDEST: Seconds = Seconds(30 * 24 * 3600);

/// What has an id of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The person.
    User,
    /// What the person agreed to.
    Consent,
    /// A browser in which the person signed in.
    Session,
    /// A grant.
    Grant,
    /// Its refresh chain.
    Chain,
}

impl Kind {
    /// How many grants share one.
    const fn grants(self) -> usize {
        match self {
            Self::User | Self::Consent => TO_A_PERSON,
            Self::Session => TO_A_SESSION,
            Self::Grant | Self::Chain => 1,
        }
    }
}

/// A place in a row where an id stands.
struct Place {
    column: usize,
    at: usize,
    kind: Kind,
}

/// A row to copy, and where its ids stand.
struct Original {
    table: &'static str,
    kind: Kind,
    row: Row,
    places: Vec<Place>,
}

/// The original rows.
pub struct Copies {
    began_at: UnixTime,
    once: Vec<Original>,
    /// By the grant's number: even, odd.
    grants: [Original; TO_A_SESSION],
    chains: [Original; TO_A_SESSION],
}

impl Copies {
    /// Reads what the one person's two sign-ins wrote.
    pub fn of_the_one_person(tables: &mut dyn Tables, now: UnixTime) -> Result<Self> {
        let session = tables.one("SELECT * FROM session", None)?;
        let consent = tables.one("SELECT * FROM consent", None)?;
        let user = tables.one("SELECT * FROM users WHERE id = $1", Some(&session.id("user_id")?))?;
        let (session_id, user_id) = (session.id("id")?, user.id("id")?);
        let shared = [(Kind::User, user_id), (Kind::Session, session_id), (Kind::Consent, consent.id("id")?)];
        let hangs_from_it =
            |row: &Row| Ok::<_, anyhow::Error>(memmem::find(row.blob("lineage")?, &session_id).is_some());
        let (mut offline, mut bound) = (None, None);
        for chain in tables.query("SELECT * FROM chain", None)? {
            let grant = tables.one("SELECT * FROM grants WHERE id = $1", Some(&chain.id("grant_id")?))?;
            let place = if hangs_from_it(&grant)? { &mut bound } else { &mut offline };
            ensure!(place.replace((grant, chain)).is_none(), "two grants of one kind");
        }
        let pair = |grant: Row, chain: Row| {
            let ids = [&shared[..], &[(Kind::Grant, grant.id("id")?), (Kind::Chain, chain.id("id")?)]].concat();
            let original = |table, kind, row| Original::new(table, kind, row, &ids);
            Ok::<_, anyhow::Error>((original("grants", Kind::Grant, grant)?, original("chain", Kind::Chain, chain)?))
        };
        let (grant, chain) = offline.context("no offline grant")?;
        let offline = pair(grant, chain)?;
        let (grant, chain) = bound.context("no grant bound to the session")?;
        let bound = pair(grant, chain)?;
        let once = vec![
            Original::new("users", Kind::User, user, &shared)?,
            Original::new("consent", Kind::Consent, consent, &shared)?,
            Original::new("session", Kind::Session, session, &shared)?,
        ];
        let began_at = UnixTime(now.0 - i64::from(OLDEST.0));
        Ok(Self { began_at, once, grants: [offline.0, bound.0], chains: [offline.1, bound.1] })
    }

    /// Writes so many grants with all that belongs to them.
    pub fn write(&self, tables: &mut dyn Tables, grants: usize) -> Result<()> {
        for original in &self.once {
            let count = grants.div_ceil(original.kind.grants());
            let numbers = (0..count).map(|place| place * original.kind.grants());
            let columns = &original.row.columns;
            tables.append(original.table, columns, &mut numbers.map(|number| self.copy(original, number)))?;
        }
        for [even, odd] in [&self.grants, &self.chains] {
            let original = |number: usize| if number.is_multiple_of(TO_A_SESSION) { even } else { odd };
            let rows = &mut (0..grants).map(|number| self.copy(original(number), number));
            tables.append(even.table, &even.row.columns, rows)?;
        }
        Ok(())
    }

    fn copy(&self, original: &Original, number: usize) -> Vec<Cell> {
        let mut cells = original.row.cells.clone();
        for place in &original.places {
            let id = self.id(place.kind, number);
            match cells.get_mut(place.column) {
                Some(Cell::Blob(bytes)) => put(bytes, place.at, &id),
                Some(Cell::Text(text)) => *text = put_text(text, place.at, &UserId::from_bytes(id).to_string()),
                _ => {}
            }
        }
        for (column, cell) in original.row.columns.iter().zip(&mut cells) {
            match (original.kind, column.as_str()) {
                (Kind::User, "username" | "username_key") => *cell = Cell::Text(format!("person-{number:09}")),
                (Kind::Session, "digest") => *cell = Cell::Blob(drawn(b"session", number).to_vec()),
                (Kind::Grant, "guard") => *cell = Cell::Blob(self.guard(number).to_vec()),
                (Kind::Chain, "current") => *cell = Cell::Blob(SecretDigest::of(&self.secret(number)).0.to_vec()),
                _ => {}
            }
        }
        cells
    }

    /// The id of what belongs to the grant with this number; ids of later numbers sort later, as in a real store.
    pub fn id(&self, kind: Kind, number: usize) -> [u8; 16] {
        let first = number - number % kind.grants();
        let seconds = i64::try_from(first / 1_000).unwrap_or(0);
        let millis = u16::try_from(first % 1_000).unwrap_or(0);
        let random = drawn(&[kind as u8], first);
        uuid_v7(UnixTime(self.began_at.0 + seconds), millis, *random.first_chunk().unwrap_or(&[0; 10]))
    }

    /// The guard of a grant.
    pub fn guard(&self, number: usize) -> [u8; 8] {
        *drawn(b"guard", number).first_chunk().unwrap_or(&[0; 8])
    }

    /// The first secret of a chain.
    pub fn secret(&self, number: usize) -> [u8; 32] {
        drawn(b"secret", number)
    }
}

impl Original {
    fn new(table: &'static str, kind: Kind, row: Row, ids: &[(Kind, [u8; 16])]) -> Result<Self> {
        let mut places = Vec::new();
        for (column, cell) in row.cells.iter().enumerate() {
            for (kind, id) in ids {
                let text = UserId::from_bytes(*id).to_string();
                let found: Vec<usize> = match cell {
                    Cell::Blob(bytes) => memmem::find_iter(bytes, id).collect(),
                    Cell::Text(within) => memmem::find_iter(within.as_bytes(), text.as_bytes()).collect(),
                    Cell::Null | Cell::Int(_) => Vec::new(),
                };
                places.extend(found.into_iter().map(|at| Place { column, at, kind: *kind }));
            }
        }
        let own = row.at("id")?;
        ensure!(places.iter().any(|place| place.column == own && place.kind == kind), "{table} has another id");
        Ok(Self { table, kind, row, places })
    }
}

fn put(bytes: &mut [u8], at: usize, id: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + id.len()) {
        place.copy_from_slice(id);
    }
}

fn put_text(text: &str, at: usize, id: &str) -> String {
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    format!("{before}{id}{}", rest.get(id.len()..).unwrap_or_default())
}

/// Bytes that differ for each kind and number, and are the same each time.
fn drawn(what: &[u8], number: usize) -> [u8; 32] {
    let drawn = digest(&SHA256, &[what, b"/", &number.to_be_bytes()].concat());
    drawn.as_ref().try_into().unwrap_or([0; 32])
}
