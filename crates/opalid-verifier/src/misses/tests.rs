//! Questions by themselves, without a socket.

use futures_util::FutureExt;

use super::*;

const NOW: Moment = Moment(5);
const INACTIVE: Told = Told::Said(Ok(Verdict::Inactive));
const OUTAGE: Told = Told::Said(Err(Outage));

fn of(number: u128) -> TokenDigest {
    TokenDigest(number)
}

#[tokio::test]
async fn no_more_is_sent_than_is_answered_and_none_of_it_twice() {
    let misses = Misses::new();
    let total = MOST_SENT + 100;
    let mut checks: Vec<_> = (0..total).map(|number| Box::pin(misses.ask(of(number as u128), "t"))).collect();
    assert!(checks.iter_mut().all(|check| check.now_or_never().is_none()));
    let mut numbers = Vec::new();
    loop {
        let batch = misses.send(NOW);
        assert!(batch.len() <= MOST_QUESTIONS);
        if batch.is_empty() {
            break;
        }
        numbers.extend(batch.into_iter().map(|(number, _)| number));
    }
    assert_eq!((numbers.len(), misses.waiting()), (MOST_SENT, 100));
    misses.answer(numbers[0], Ok(Verdict::Inactive));
    assert_eq!(checks[0].as_mut().now_or_never(), Some(INACTIVE));
    let next = misses.send(NOW);
    assert_eq!((next.len(), misses.waiting()), (1, 99));
    assert!(!numbers.contains(&next[0].0));
}

#[tokio::test]
async fn no_more_wait_than_there_is_room_for() {
    let misses = Misses::new();
    let mut checks: Vec<_> = (0..MOST_WAITING).map(|_| Box::pin(misses.ask(of(1), "t"))).collect();
    assert!(checks.iter_mut().all(|check| check.now_or_never().is_none()));
    assert_eq!(misses.ask(of(2), "t").await, OUTAGE);
    checks.pop();
    assert_eq!(misses.ask(of(2), "t").now_or_never(), None);
}

#[tokio::test]
async fn nothing_is_sent_for_whom_nobody_waits() {
    let misses = Misses::new();
    let mut one = Box::pin(misses.ask(of(1), "t"));
    let mut other = Box::pin(misses.ask(of(1), "t"));
    assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
    drop(one);
    assert_eq!(misses.waiting(), 1);
    drop(other);
    assert_eq!((misses.waiting(), misses.send(NOW).len()), (0, 0));
    assert!(misses.lock().questions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_question_that_is_not_answered_asks_itself() {
    let misses = Misses::new();
    let mut first = Box::pin(misses.ask(of(1), "t"));
    assert_eq!((&mut first).now_or_never(), None);
    let (number, _) = misses.send(NOW)[0];
    assert_eq!(misses.sent(number), Some(Sent { of: of(1), asked_at: NOW }));
    let mut late = Box::pin(misses.ask(of(1), "t"));
    assert_eq!((&mut late).now_or_never(), None);
    let limit = Duration::from_secs(4);
    misses.give_up(limit);
    assert!(misses.sent(number).is_some());
    tokio::time::advance(limit).await;
    misses.give_up(limit);
    assert_eq!(misses.sent(number), None);
    assert_eq!(late.await, Told::LookAgain);
    misses.answer(number, Ok(Verdict::Inactive));
    assert_eq!(misses.ask(of(1), "t").now_or_never(), None, "an answer that comes after all serves nobody");
}

#[tokio::test]
async fn while_nobody_can_be_asked_nobody_waits() {
    let misses = Misses::new();
    let mut sent = Box::pin(misses.ask(of(1), "t"));
    assert_eq!((&mut sent).now_or_never(), None);
    let (number, _) = misses.send(NOW)[0];
    let mut late = Box::pin(misses.ask(of(1), "t"));
    let mut queued = Box::pin(misses.ask(of(2), "t"));
    assert_eq!(((&mut late).now_or_never(), (&mut queued).now_or_never()), (None, None));
    misses.down();
    assert_eq!((sent.await, late.await, queued.await), (OUTAGE, OUTAGE, OUTAGE));
    assert_eq!(misses.ask(of(3), "t").now_or_never(), Some(OUTAGE));
    assert_eq!((misses.sent(number), misses.waiting()), (None, 0));
    misses.up();
    assert_eq!(misses.ask(of(3), "t").now_or_never(), None);
}
