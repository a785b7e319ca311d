//! What is said on one connection, until it ends.
//!
//! Takes: news, answers, questions that wait, time. Gives: all of it to where it belongs.
//! Holds: asks go out before the lease is over and after whatever was applied, which acknowledges it; who does not answer them is given up.
//! Not here: what news mean, which is the mirror's; which answer serves whom.

use std::convert::Infallible;
use std::time::Duration;

use opalid_core::lease::wire::{MOST_QUESTIONS, ToHolder, ToNode};
use opalid_core::lease::{News, Position};
use opalid_core::mirror::{Hearing, Tag};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::next_name;
use super::socket::{Failure, Socket};
use crate::random;
use crate::verifier::Shared;

/// A lease's length until one has come.
const USUAL_LEASE: Duration = Duration::from_secs(5);
/// How long an answer to an ask is waited for, whatever the lease's length, at least and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How often is asked at least and at most: a node closes what has not asked for 30 s.
const ASK_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How often is asked for what is missing at most.
const GAPS_EVERY: Duration = Duration::from_millis(250);
/// Questions of many go out so much later at most, so that many verifiers do not ask in the same moment.
const LONGEST_HOLD: Duration = Duration::from_millis(3);
/// How long goodbye takes at most.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// How a connection ended.
pub(super) enum End {
    /// There are no verifiers any more; the node was told.
    Left,
    Lost {
        /// Whether news had come on it.
        worked: bool,
        why: Failure,
    },
}

pub(super) struct Connection<'l> {
    shared: &'l Shared,
    socket: Socket,
    worked: bool,
    /// Up to where the node was told that everything is applied.
    acked: Option<Position>,
    /// The length of the last lease.
    length: Duration,
    ask_at: Instant,
    unanswered_since: Option<Instant>,
    gap_at: Option<Instant>,
    /// When questions were last given up.
    swept_at: Instant,
    /// Many questions wait until then.
    held_until: Option<Instant>,
}

enum Event {
    Gone,
    Heard(ToHolder),
    Questions,
    Time,
}

impl<'l> Connection<'l> {
    pub fn new(shared: &'l Shared, socket: Socket) -> Self {
        Self {
            shared,
            socket,
            worked: false,
            acked: None,
            length: USUAL_LEASE,
            ask_at: Instant::now(),
            unanswered_since: None,
            gap_at: None,
            swept_at: Instant::now(),
            held_until: None,
        }
    }

    /// Until it ends.
    pub async fn run(mut self, verifiers: &mut mpsc::Receiver<Infallible>) -> End {
        match self.talk(verifiers).await {
            Ok(()) => {
                self.leave().await;
                End::Left
            }
            Err(why) => End::Lost { worked: self.worked, why },
        }
    }

    /// Until there are no verifiers any more.
    async fn talk(&mut self, verifiers: &mut mpsc::Receiver<Infallible>) -> Result<(), Failure> {
        self.ask()?;
        self.question()?;
        loop {
            match self.event(verifiers).await? {
                Event::Gone => return Ok(()),
                Event::Heard(ToHolder::News(news)) => self.hear(news)?,
                Event::Heard(ToHolder::Answer { question, said }) => {
                    self.shared.answered(question, said);
                    // There is room for another question.
                    self.question()?;
                }
                Event::Questions => self.question()?,
                Event::Time => self.time()?,
            }
        }
    }

    async fn event(&mut self, verifiers: &mut mpsc::Receiver<Infallible>) -> Result<Event, Failure> {
        let patience = self.patience();
        let silent = self.unanswered_since.map(|since| since + patience);
        let wake_at = [silent, self.held_until].into_iter().flatten().fold(self.ask_at, Instant::min);
        Ok(tokio::select! {
            _none = verifiers.recv() => Event::Gone,
            heard = self.socket.next() => Event::Heard(heard?),
            () = self.shared.misses.queued() => Event::Questions,
            () = sleep_until(wake_at) => Event::Time,
        })
    }

    fn time(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.unanswered_since.is_some_and(|since| now >= since + self.patience()) {
            return Err(Failure::Unreachable("the issuer does not answer".into()));
        }
        if now >= self.ask_at {
            self.ask()?;
        }
        self.question()
    }

    fn patience(&self) -> Duration {
        self.length.clamp(PATIENCE.0, PATIENCE.1)
    }

    /// Asks for news and a lease, and says what is applied.
    fn ask(&mut self) -> Result<(), Failure> {
        let ask = self.shared.mirror.ask((self.shared.clock)());
        self.acked = ask.acked;
        let now = Instant::now();
        self.ask_at = now + (self.length / 3).clamp(ASK_EVERY.0, ASK_EVERY.1);
        if now >= self.swept_at + self.shared.answer_within {
            self.swept_at = now;
            // Whoever joined them has stopped waiting by then; what comes later is still remembered.
            self.shared.misses.give_up(2 * self.shared.answer_within);
        }
        self.unanswered_since.get_or_insert(now);
        self.socket.say(&ToNode::Ask { at: ask.at, acked: ask.acked, asked_at: ask.asked_at })
    }

    fn hear(&mut self, news: News<Tag>) -> Result<(), Failure> {
        self.worked = true;
        self.unanswered_since = None;
        if let Some(grant) = news.grant {
            self.length = grant.valid_for;
            self.ask_at = self.ask_at.min(Instant::now() + (self.length / 3).clamp(ASK_EVERY.0, ASK_EVERY.1));
        }
        match self.shared.mirror.hear((self.shared.clock)(), news) {
            Hearing::Applied => {
                self.shared.leased.notify_waiters();
                let applied = self.shared.mirror.ask((self.shared.clock)()).acked;
                if applied != self.acked { self.ask() } else { Ok(()) }
            }
            Hearing::Gap => {
                let now = Instant::now();
                let at = self.gap_at.map_or(now, |last| now.max(last + GAPS_EVERY));
                if at > now {
                    self.ask_at = self.ask_at.min(at);
                    return Ok(());
                }
                self.gap_at = Some(now);
                self.ask()
            }
        }
    }

    /// Sends what waits. Many wait a moment more.
    fn question(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        match self.held_until {
            Some(until) if now < until => return Ok(()),
            Some(_) => self.held_until = None,
            None if self.shared.misses.waiting() > MOST_QUESTIONS => {
                self.held_until = Some(now + random::up_to(LONGEST_HOLD));
                return Ok(());
            }
            None => {}
        }
        loop {
            let batch = self.shared.misses.send((self.shared.clock)());
            if batch.is_empty() {
                return Ok(());
            }
            self.socket.say(&ToNode::Questions(batch))?;
        }
    }

    /// Nobody believes anything any more, and only then the node is told.
    async fn leave(mut self) {
        self.shared.mirror.leave((self.shared.clock)(), next_name());
        if self.socket.say(&ToNode::Leave).is_ok() {
            let goodbye = async {
                if self.socket.flush().await.is_ok() {
                    self.socket.close().await;
                }
            };
            _ = timeout(LEAVE_WITHIN, goodbye).await;
        }
    }
}
