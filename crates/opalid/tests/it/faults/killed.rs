//! SIGKILL at random moments under load: nothing that was acknowledged is lost, nothing revoked revives.

use std::sync::atomic::{AtomicU64, Ordering};

use super::daemon::{Daemon, Line, Seeded, long};
use crate::support::folder::Folder;
use crate::support::server::database;

/// What one connection did, and what it was told.
#[derive(Default)]
struct Seen {
    cookies: Vec<(String, String)>,
    live: Vec<String>,
    revoked: Vec<String>,
    chains: Vec<String>,
    redeemed: Vec<String>,
}

impl Seen {
    /// One thing; `None` when the server ended under it.
    fn act(&mut self, line: Line, random: &mut Seeded) -> Option<()> {
        match random.below(10) {
            0 => {
                let code = line.code(&mut self.cookies)?;
                let reply = line.redeem(&code)?;
                assert_eq!(reply.status, 200, "{}", reply.body);
                self.chains.push(reply.field("refresh_token"));
                self.redeemed.push(code);
            }
            1..=3 if !self.chains.is_empty() => {
                let chain = usize::try_from(random.below(self.chains.len() as u64)).unwrap();
                let reply = line.refresh(&self.chains[chain])?;
                assert_eq!(reply.status, 200, "{}", reply.body);
                self.chains[chain] = reply.field("refresh_token");
            }
            4..=6 if !self.live.is_empty() => {
                // Taken out first: if no answer comes, nobody knows what became of it.
                let token = self.live.swap_remove(usize::try_from(random.below(self.live.len() as u64)).unwrap());
                let reply = line.revoke(&token)?;
                assert_eq!(reply.status, 200, "{}", reply.body);
                self.revoked.push(token);
            }
            _ => {
                let reply = line.mint()?;
                assert_eq!(reply.status, 200, "{}", reply.body);
                self.live.push(reply.field("access_token"));
            }
        }
        Some(())
    }

    fn check(&mut self, line: Line) {
        assert!(self.revoked.iter().all(|token| !line.is_active(token)), "a revoked token revived");
        assert!(self.live.iter().all(|token| line.is_active(token)), "a live token was lost");
        for chain in &mut self.chains {
            let reply = line.refresh(chain).expect("no answer");
            assert_eq!(reply.status, 200, "a rotation was lost: {}", reply.body);
            *chain = reply.field("refresh_token");
        }
    }
}

/// On the engine of this run.
#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_under_load() {
    let (data, database) = (Folder::new(), database().await);
    let environment: Vec<_> = database.iter().map(|url| ("OPALID_DATABASE", url.as_str())).collect();
    let (rounds, mut random) = (if long() { 60 } else { 3 }, Seeded(3));
    let mut all: Vec<Seen> = (0..6).map(|_| Seen::default()).collect();
    let mut daemon = Daemon::start(data.path(), &environment);
    for round in 0..rounds {
        let (line, acts) = (daemon.line(), AtomicU64::new(0));
        let until = 20 + random.below(150);
        std::thread::scope(|scope| {
            for (number, seen) in all.iter_mut().enumerate() {
                let acts = &acts;
                scope.spawn(move || {
                    let mut random = Seeded(round * 100 + number as u64);
                    while seen.act(line, &mut random).is_some() {
                        acts.fetch_add(1, Ordering::Relaxed);
                    }
                    acts.fetch_add(1 << 32, Ordering::Relaxed);
                });
            }
            while acts.load(Ordering::Relaxed) < until {
                std::thread::yield_now();
            }
            daemon.kill();
        });
        daemon = Daemon::start(data.path(), &environment);
        all.iter_mut().for_each(|seen| seen.check(daemon.line()));
    }
    let (revoked, chains) = all.iter().fold((0, 0), |(a, b), seen| (a + seen.revoked.len(), b + seen.chains.len()));
    assert!(revoked > 0 && chains > 0, "the load did not do what it is for");
    let line = daemon.line();
    for code in all.iter().flat_map(|seen| &seen.redeemed) {
        assert_eq!(line.redeem(code).expect("no answer").status, 400, "a code that was redeemed works again");
    }
}
