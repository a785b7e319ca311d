//! Password hashing: argon2id, stored as PHC strings.
//!
//! Takes: what is stored for a user, or nothing for an unknown one, and a password.
//! Gives: right or wrong, or `Busy` when too many sign-ins wait already.
//! Holds: right, wrong, unknown and over-long all cost exactly one run of argon2, counted in `runs`.
//! Not here: back-off (`throttle`) and which passwords may be chosen (`password`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::password::{ChosenPassword, MAX_BYTES, Password};
pub use super::workers::Busy;
use super::workers::Workers;

/// Bytes of a hash made here.
const OUTPUT_BYTES: usize = 32;
/// The most memory a stored hash may ask for, so that an imported one cannot exhaust the machine.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// The most passes, and lanes, a stored hash may ask for.
const MAX_PASSES: u32 = 16;

/// What one run costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// KiB of memory (`m`).
    pub memory_kib: u32,
    /// Passes over it (`t`).
    pub passes: u32,
    /// Lanes (`p`).
    pub lanes: u32,
}

impl HashCost {
    /// OWASP's first choice for argon2id.
    pub const OWASP: Self = Self { memory_kib: 19_456, passes: 2, lanes: 1 };

    fn params(self) -> Option<Params> {
        let bounded = self.memory_kib <= MAX_MEMORY_KIB && self.passes <= MAX_PASSES && self.lanes <= MAX_PASSES;
        bounded.then(|| Params::new(self.memory_kib, self.passes, self.lanes, Some(OUTPUT_BYTES)).ok()).flatten()
    }
}

/// A text that is not the hash of a password as this server checks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a password hash: expected $argon2id$v=19$m=…,t=…,p=…$salt$hash, with at most 256 MiB and 16 passes")]
pub struct NotAPasswordHash;

/// The stored hash of a password. Not for logs: `Debug` shows nothing.
#[derive(Clone)]
pub struct PhcString {
    params: Params,
    salt: Salt,
    output: Output,
}

impl PhcString {
    /// Reads a stored hash; only argon2id, version 19, within bounds.
    pub fn parse(text: &str) -> Result<Self, NotAPasswordHash> {
        let parsed = PasswordHash::new(text).map_err(|_| NotAPasswordHash)?;
        let params = Params::try_from(&parsed).map_err(|_| NotAPasswordHash)?;
        let cost = HashCost { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
        let ours = parsed.algorithm == Algorithm::Argon2id.ident()
            && parsed.version == Some(Version::V0x13.into())
            && params.keyid().is_empty()
            && params.data().is_empty()
            && cost.params().is_some();
        match (ours, parsed.salt, parsed.hash) {
            (true, Some(salt), Some(output)) => Ok(Self { params, salt, output }),
            _ => Err(NotAPasswordHash),
        }
    }

    /// The text to store.
    pub fn to_text(&self) -> String {
        let params = &self.params;
        format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
            self.salt,
            self.output
        )
    }
}

impl fmt::Debug for PhcString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhcString(…)")
    }
}

/// How a `PasswordHasher` is set up.
#[derive(Debug, Clone, Copy)]
pub struct HasherSettings {
    /// What a new hash costs, and a check of an unknown user.
    pub cost: HashCost,
    /// How many hashes are computed at once: one for each core.
    pub threads: usize,
    /// How many more may wait.
    pub waiting: usize,
}

impl HasherSettings {
    /// OWASP's cost, a thread for each of `cores`, 64 waiting.
    pub fn for_cores(cores: usize) -> Self {
        Self { cost: HashCost::OWASP, threads: cores, waiting: 64 }
    }
}

/// Computes and checks hashes on threads of its own.
pub struct PasswordHasher {
    workers: Workers,
    params: Params,
    /// What an unknown user's password is checked against.
    dummy: PhcString,
    runs: Arc<AtomicU64>,
}

impl PasswordHasher {
    /// Starts the threads. Fails when they cannot be started or the cost is out of bounds.
    pub fn start(settings: HasherSettings) -> std::io::Result<Self> {
        let out_of_bounds =
            || std::io::Error::new(std::io::ErrorKind::InvalidInput, "password hash cost out of bounds");
        let params = settings.cost.params().ok_or_else(out_of_bounds)?;
        let salt = Salt::new(&[0; 16]).map_err(|_| out_of_bounds())?;
        let output = Output::new(&[0; OUTPUT_BYTES]).map_err(|_| out_of_bounds())?;
        let dummy = PhcString { params: params.clone(), salt, output };
        let workers = Workers::start(settings.threads, settings.waiting)?;
        Ok(Self { workers, params, dummy, runs: Arc::default() })
    }

    /// Whether `password` is the one behind `stored`; never, when nothing is stored.
    pub async fn verify(&self, stored: Option<&PhcString>, password: &Password) -> Result<bool, Busy> {
        let fits = password.as_bytes().len() <= MAX_BYTES;
        let possible = stored.is_some() && fits;
        let hash = stored.unwrap_or(&self.dummy).clone();
        let password = if fits { password.clone() } else { Password::new(String::new()) };
        let output = self.run(hash.params, hash.salt, password, hash.output.len()).await?;
        Ok(possible & bool::from(output.as_slice().ct_eq(hash.output.as_bytes())))
    }

    /// The hash of a password that may be chosen.
    pub async fn hash(&self, password: &ChosenPassword, salt: [u8; 16]) -> Result<PhcString, Busy> {
        self.rehash(password.password(), salt).await
    }

    /// The hash, at today's cost, of a password just verified; `needs_rehash` says when.
    pub async fn rehash(&self, password: &Password, salt: [u8; 16]) -> Result<PhcString, Busy> {
        let salt = Salt::new(&salt).map_err(|_| Busy)?;
        let output = self.run(self.params.clone(), salt, password.clone(), OUTPUT_BYTES).await?;
        let output = Output::new(&output).map_err(|_| Busy)?;
        Ok(PhcString { params: self.params.clone(), salt, output })
    }

    /// Whether `stored` was made at another cost than a new hash would be.
    pub fn needs_rehash(&self, stored: &PhcString) -> bool {
        stored.params != self.params
    }

    /// How often argon2 has run.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    async fn run(
        &self,
        params: Params,
        salt: Salt,
        password: Password,
        len: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Busy> {
        let runs = Arc::clone(&self.runs);
        let job = move || {
            runs.fetch_add(1, Ordering::Relaxed);
            let mut output = Zeroizing::new(vec![0; len]);
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            argon2.hash_password_into(password.as_bytes(), &salt, &mut output).map(|()| output)
        };
        // What argon2 can still refuse here is memory it did not get.
        self.workers.submit(job)?.await.map_err(|_| Busy)?.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashCost = HashCost { memory_kib: 8, passes: 1, lanes: 1 };

    fn hasher(cost: HashCost) -> PasswordHasher {
        PasswordHasher::start(HasherSettings { cost, threads: 2, waiting: 8 }).unwrap()
    }

    fn typed(text: &str) -> Password {
        Password::new(text.into())
    }

    fn chosen(text: &str) -> ChosenPassword {
        ChosenPassword::new(typed(text), "alice").unwrap()
    }

    #[tokio::test]
    async fn the_right_password_is_right_and_every_other_one_is_wrong() {
        let hasher = hasher(CHEAP);
        let stored = hasher.hash(&chosen("a horse of course"), [1; 16]).await.unwrap();
        assert_eq!(hasher.verify(Some(&stored), &typed("a horse of course")).await, Ok(true));
        for wrong in ["", "a horse of cours", "a horse of course ", "A horse of course"] {
            assert_eq!(hasher.verify(Some(&stored), &typed(wrong)).await, Ok(false), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn right_wrong_unknown_and_overlong_each_cost_one_run() {
        let hasher = hasher(CHEAP);
        let stored = hasher.hash(&chosen("a horse of course"), [1; 16]).await.unwrap();
        let overlong = "x".repeat(MAX_BYTES + 1);
        let cases = [
            (Some(&stored), "a horse of course", true),
            (Some(&stored), "a mule of course", false),
            (None, "a horse of course", false),
            (None, "", false),
            (Some(&stored), overlong.as_str(), false),
            (None, overlong.as_str(), false),
        ];
        for (stored, password, right) in cases {
            let before = hasher.runs();
            assert_eq!(hasher.verify(stored, &typed(password)).await, Ok(right));
            assert_eq!(hasher.runs() - before, 1, "{right} {}", stored.is_some());
        }
    }

    #[tokio::test]
    async fn an_overlong_password_is_wrong_even_if_its_hash_is_stored() {
        let hasher = hasher(CHEAP);
        for text in ["x".repeat(MAX_BYTES + 1), String::new()] {
            let stored = hasher.rehash(&typed(&text), [1; 16]).await.unwrap();
            assert_eq!(hasher.verify(Some(&stored), &typed(&"x".repeat(MAX_BYTES + 1))).await, Ok(false));
        }
    }

    #[tokio::test]
    async fn the_longest_password_that_may_be_chosen_is_right() {
        let hasher = hasher(CHEAP);
        let longest = "x".repeat(MAX_BYTES);
        let stored = hasher.hash(&chosen(&longest), [1; 16]).await.unwrap();
        assert_eq!(hasher.verify(Some(&stored), &typed(&longest)).await, Ok(true));
    }

    #[tokio::test]
    async fn an_unknown_user_costs_the_same_parameters_as_a_new_one() {
        let hasher = hasher(CHEAP);
        let stored = hasher.hash(&chosen("a horse of course"), [1; 16]).await.unwrap();
        assert_eq!(hasher.dummy.params, stored.params);
        assert_eq!(hasher.dummy.output.len(), stored.output.len());
    }

    #[tokio::test]
    async fn a_flood_is_told_busy_instead_of_waiting() {
        let hasher = PasswordHasher::start(HasherSettings { cost: CHEAP, threads: 1, waiting: 1 }).unwrap();
        let (started, is_started) = std::sync::mpsc::channel();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let block = move || {
            started.send(()).unwrap();
            gate.recv().unwrap();
        };
        let _running = hasher.workers.submit(block).unwrap();
        is_started.recv().unwrap();
        let _waiting = hasher.workers.submit(|| ()).unwrap();
        assert_eq!(hasher.verify(None, &typed("x")).await, Err(Busy));
        assert_eq!(hasher.runs(), 0);
        open.send(()).unwrap();
    }

    #[tokio::test]
    async fn a_stored_hash_survives_its_text_and_salts_tell_equal_passwords_apart() {
        let hasher = hasher(CHEAP);
        let one = hasher.hash(&chosen("a horse of course"), [1; 16]).await.unwrap();
        let two = hasher.hash(&chosen("a horse of course"), [2; 16]).await.unwrap();
        assert_ne!(one.to_text(), two.to_text());
        let read = PhcString::parse(&one.to_text()).unwrap();
        assert_eq!(hasher.verify(Some(&read), &typed("a horse of course")).await, Ok(true));
        assert_eq!(PasswordHash::new(&one.to_text()).unwrap().to_string(), one.to_text());
    }

    #[tokio::test]
    async fn hashes_have_owasps_parameters_and_the_reference_implementations_answer() {
        let hasher = hasher(HashCost::OWASP);
        let stored = hasher.hash(&chosen("a horse of course"), *b"0123456789abcdef").await.unwrap();
        // From libargon2, with the same password, salt and parameters.
        let expected =
            "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$edGKdw6+bhMtDVZXbwqHboxQUufnRPDMPKFbCTfVAUc";
        assert_eq!(stored.to_text(), expected);
        assert_eq!(HasherSettings::for_cores(2).cost, HashCost::OWASP);
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_still_opens_and_asks_to_be_made_anew() {
        let before = hasher(CHEAP).hash(&chosen("a horse of course"), [1; 16]).await.unwrap();
        let hasher = hasher(HashCost { passes: 2, ..CHEAP });
        assert_eq!(hasher.verify(Some(&before), &typed("a horse of course")).await, Ok(true));
        assert!(hasher.needs_rehash(&before));
        let after = hasher.rehash(&typed("a horse of course"), [2; 16]).await.unwrap();
        assert!(!hasher.needs_rehash(&after));
        assert!(!hasher.needs_rehash(&PhcString::parse(&after.to_text()).unwrap()));
    }

    #[test]
    fn only_argon2id_within_bounds_is_a_stored_hash() {
        let good = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(PhcString::parse(good).is_ok());
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("argon2id", "argon2d"),
            ("v=19", "v=16"),
            ("$v=19", ""),
            ("m=19456", "m=262145"),
            ("t=2", "t=17"),
            ("t=2", "t=0"),
            ("p=1", "p=17"),
            ("p=1", "p=1,keyid=AAAA"),
            ("$MDEyMzQ1Njc4OWFiY2RlZg", ""),
            ("$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ""),
        ] {
            assert_eq!(PhcString::parse(&good.replace(from, to)).err(), Some(NotAPasswordHash), "{from} → {to}");
        }
        assert!(PhcString::parse("").is_err());
    }

    #[test]
    fn debug_shows_no_hash() {
        let text = "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(format!("{:?}", PhcString::parse(text).unwrap()), "PhcString(…)");
    }
}
