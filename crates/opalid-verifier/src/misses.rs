//! Checks that wait for the node's word, and the questions they wait for.
//!
//! Takes: checks whose token is not remembered; answers by number. Gives: questions to send, outcomes to the checks.
//! Holds: an answer serves a check only if its question was sent after the check began: an answer evaluated before that says nothing of a
//! revocation that returned in between. At most one question about a token is open; there are never more than there is room for.
//! Not here: the socket; what is kept of an answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opalid_core::lease::Moment;
use opalid_core::lease::wire::MOST_QUESTIONS;
use opalid_core::mirror::TokenDigest;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use crate::verdict::{Outage, Verdict};

/// How many checks wait at most.
const MOST_WAITING: usize = 16 * 1024;
/// How many questions are sent and not answered at most.
pub(crate) const MOST_SENT: usize = 1_024;

/// What became of a check that asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    /// The answer is for it.
    Said(Result<Verdict, Outage>),
    /// There was an answer to a question that was sent before it began: what it made of the mirror may serve, it itself may not.
    LookAgain,
}

pub(crate) struct Misses {
    open: Mutex<Open>,
    places: Semaphore,
    queued: Notify,
}

#[derive(Default)]
struct Open {
    questions: HashMap<TokenDigest, Question>,
    /// In the order in which they were asked.
    queue: BTreeMap<u64, TokenDigest>,
    sent: HashMap<u32, TokenDigest>,
    /// Counts what is queued and what is sent: which of two came first.
    turn: u64,
    number: u32,
    /// There is no connection, and none is to be had.
    down: bool,
}

struct Question {
    token: String,
    stage: Stage,
    outcome: watch::Sender<Option<Outcome>>,
}

enum Stage {
    Queued { turn: u64 },
    Sent { turn: u64, asked_at: Moment, since: Instant },
}

#[derive(Debug, Clone)]
struct Outcome {
    /// When its question was sent. None: it holds for whoever waits.
    sent: Option<u64>,
    said: Result<Verdict, Outage>,
}

/// A question that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub of: TokenDigest,
    /// Read before it was sent.
    pub asked_at: Moment,
}

impl Misses {
    pub fn new() -> Self {
        Self { open: Mutex::default(), places: Semaphore::new(MOST_WAITING), queued: Notify::new() }
    }

    /// Waits for what is said of a token, with others that do.
    pub async fn ask(&self, of: TokenDigest, token: &str) -> Told {
        let Ok(_place) = self.places.try_acquire() else { return Told::Said(Err(Outage)) };
        match self.join(of, token) {
            Ok(waiting) => waiting.told().await,
            Err(outage) => Told::Said(Err(outage)),
        }
    }

    fn join(&self, of: TokenDigest, token: &str) -> Result<Waiting<'_>, Outage> {
        let mut open = self.lock();
        if open.down {
            return Err(Outage);
        }
        let began = open.turn;
        let outcome = match open.questions.get(&of) {
            Some(question) => question.outcome.subscribe(),
            None => {
                let turn = open.next_turn();
                let (sender, outcome) = watch::channel(None);
                let question = Question { token: token.to_owned(), stage: Stage::Queued { turn }, outcome: sender };
                open.questions.insert(of, question);
                open.queue.insert(turn, of);
                self.queued.notify_one();
                outcome
            }
        };
        Ok(Waiting { misses: self, of, began, outcome: Some(outcome) })
    }

    /// Until there may be something to send.
    pub async fn queued(&self) {
        self.queued.notified().await;
    }

    /// How many questions wait to be sent.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// The next questions for one frame, sent from now on. `now` was read just before.
    pub fn send(&self, now: Moment) -> Vec<(u32, String)> {
        let mut open = self.lock();
        let room = MOST_QUESTIONS.min(MOST_SENT.saturating_sub(open.sent.len()));
        let mut batch = Vec::with_capacity(room.min(open.queue.len()));
        while batch.len() < room
            && let Some((_, of)) = open.queue.pop_first()
        {
            let (turn, number) = (open.next_turn(), open.next_number());
            if let Some(question) = open.questions.get_mut(&of) {
                question.stage = Stage::Sent { turn, asked_at: now, since: Instant::now() };
                batch.push((number, question.token.clone()));
                open.sent.insert(number, of);
            }
        }
        batch
    }

    /// The question of this number, if it is open.
    pub fn sent(&self, number: u32) -> Option<Sent> {
        let open = self.lock();
        let of = *open.sent.get(&number)?;
        match open.questions.get(&of)?.stage {
            Stage::Sent { asked_at, .. } => Some(Sent { of, asked_at }),
            Stage::Queued { .. } => None,
        }
    }

    /// Tells those who wait what is said. What is to be remembered of it is remembered already: some of them look again.
    pub fn answer(&self, number: u32, said: Result<Verdict, Outage>) {
        let mut open = self.lock();
        let question = open.sent.remove(&number).and_then(|of| open.questions.remove(&of));
        drop(open);
        if let Some(Question { stage: Stage::Sent { turn, .. }, outcome, .. }) = question {
            outcome.send_replace(Some(Outcome { sent: Some(turn), said }));
        }
    }

    /// The connection broke: what was sent is asked anew, as long as somebody waits for it.
    pub fn requeue(&self) {
        let mut open = self.lock();
        let sent: BTreeMap<u32, TokenDigest> = std::mem::take(&mut open.sent).into_iter().collect();
        for of in sent.into_values() {
            let turn = open.next_turn();
            match open.questions.get_mut(&of) {
                Some(question) if question.outcome.receiver_count() > 0 => {
                    question.stage = Stage::Queued { turn };
                    open.queue.insert(turn, of);
                }
                _ => _ = open.questions.remove(&of),
            }
        }
        self.queued.notify_one();
    }

    /// Gives up what was sent longer ago: those who joined it do not wait any more, and those who came later ask themselves.
    pub fn give_up(&self, after: Duration) {
        let mut open = self.lock();
        let Open { questions, sent, .. } = &mut *open;
        let now = Instant::now();
        sent.retain(|_, of| match questions.get(of).map(|question| &question.stage) {
            Some(Stage::Sent { since, .. }) if now.duration_since(*since) < after => true,
            _ => {
                questions.remove(of);
                false
            }
        });
    }

    /// Nobody can be asked: all that wait, and all that come until [`Misses::up`], are told so at once.
    pub fn down(&self) {
        let mut open = self.lock();
        open.down = true;
        open.queue.clear();
        open.sent.clear();
        let questions = std::mem::take(&mut open.questions);
        drop(open);
        for question in questions.into_values() {
            question.outcome.send_replace(Some(Outcome { sent: None, said: Err(Outage) }));
        }
    }

    /// There is somebody to ask.
    pub fn up(&self) {
        self.lock().down = false;
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    const fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn next_number(&mut self) -> u32 {
        loop {
            self.number = self.number.wrapping_add(1);
            if !self.sent.contains_key(&self.number) {
                return self.number;
            }
        }
    }
}

/// A check that waits. When it does not any more, a question that nobody else waits for is not sent.
struct Waiting<'m> {
    misses: &'m Misses,
    of: TokenDigest,
    began: u64,
    outcome: Option<watch::Receiver<Option<Outcome>>>,
}

impl Waiting<'_> {
    async fn told(mut self) -> Told {
        let Some(outcome) = &mut self.outcome else { return Told::LookAgain };
        // Without a sender the question was given up.
        let Ok(outcome) = outcome.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) else {
            return Told::LookAgain;
        };
        match outcome {
            Some(Outcome { sent, said }) if sent.is_none_or(|sent| sent > self.began) => Told::Said(said),
            _ => Told::LookAgain,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.outcome = None;
        let mut open = self.misses.lock();
        if let Some(Question { stage: Stage::Queued { turn }, outcome, .. }) = open.questions.get(&self.of)
            && outcome.receiver_count() == 0
        {
            let turn = *turn;
            open.queue.remove(&turn);
            open.questions.remove(&self.of);
        }
    }
}

#[cfg(test)]
mod tests;
