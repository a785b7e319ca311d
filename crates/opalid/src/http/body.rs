//! Request bodies, read whole within a bound of bytes and time, and all that are being read within one of bytes.

use std::collections::hash_map::RandomState;
use std::future::{Future, poll_fn};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

use super::client_address::subscriber;
use super::limits::BodyLimits;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("the body is larger than this server reads")]
    TooLarge,
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// Others hold all the bytes that may wait for the rest of their bodies.
    #[error("too many bodies are being read")]
    Full,
    /// The client went away, or broke the framing.
    #[error("the body was cut short")]
    Broken,
}

impl BodyError {
    /// The HTTP status that says so.
    #[must_use]
    pub const fn status(self) -> http::StatusCode {
        match self {
            Self::TooLarge => http::StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => http::StatusCode::REQUEST_TIMEOUT,
            Self::Full => http::StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => http::StatusCode::BAD_REQUEST,
        }
    }
}

/// The bytes of all bodies of which the rest has not come yet: of everybody's together, and by the address they come from.
#[derive(Debug)]
pub struct BodyBudget {
    all: AtomicUsize,
    /// Addresses that fall on one place share it. Nobody can aim at another's: the hash has a key of this process.
    places: Box<[AtomicUsize]>,
    hash: RandomState,
}

const PLACES: usize = 4096;
/// The part of all that may wait that one address may have.
const PART: usize = 8;

impl Default for BodyBudget {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| AtomicUsize::new(0)).collect();
        Self { all: AtomicUsize::new(0), places, hash: RandomState::new() }
    }
}

/// What one body has taken of it; given back by being dropped.
struct Share<'b> {
    budget: &'b BodyBudget,
    from: IpAddr,
    taken: usize,
}

impl Share<'_> {
    fn take(&mut self, bytes: usize, most: usize) -> Result<(), BodyError> {
        self.taken += bytes;
        let mut full = false;
        for (held, most) in self.counters(most) {
            let before = held.fetch_add(bytes, Ordering::Relaxed);
            full |= bytes > most.saturating_sub(before);
        }
        if full { Err(BodyError::Full) } else { Ok(()) }
    }

    /// The two that it counts in, each with the most that it may come to.
    fn counters(&self, most: usize) -> impl Iterator<Item = (&AtomicUsize, usize)> {
        let of_address = self.budget.places.get(self.budget.place(self.from)).map(|held| (held, most / PART));
        [(&self.budget.all, most)].into_iter().chain(of_address)
    }
}

impl BodyBudget {
    /// Where an address is counted.
    fn place(&self, from: IpAddr) -> usize {
        usize::try_from(self.hash.hash_one(subscriber(from)) % PLACES as u64).unwrap_or_default()
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.taken > 0 {
            for (held, _) in self.counters(0) {
                held.fetch_sub(self.taken, Ordering::Relaxed);
            }
        }
    }
}

/// The whole body, or why not.
///
/// A body that came with its headers sets no timer: that is nearly every one, and a timer costs more than the bytes.
pub async fn read_body<B>(body: B, limits: BodyLimits, budget: (&BodyBudget, IpAddr)) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > u64::try_from(limits.size).unwrap_or(u64::MAX) {
        return Err(BodyError::TooLarge);
    }
    let mut reading = pin!(collect(body, limits, budget));
    if let Some(result) = at_once(reading.as_mut()).await {
        return result;
    }
    // Boxed: few wait for a body, and all would carry room for the timer.
    Box::pin(tokio::time::timeout(limits.time, reading)).await.unwrap_or(Err(BodyError::TooSlow))
}

/// Polls twice: the first poll tells hyper that the body is wanted, the second finds what has arrived with the headers.
async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut asked = false;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if asked => Poll::Ready(None),
        Poll::Pending => {
            asked = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

async fn collect<B>(mut body: B, limits: BodyLimits, (budget, from): (&BodyBudget, IpAddr)) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut share = Share { budget, from, taken: 0 };
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if data.len() > limits.size.saturating_sub(first.len() + rest.len()) {
            return Err(BodyError::TooLarge);
        }
        // What came whole waits for nothing: it is read when the budget is spent, too.
        if !body.is_end_stream() {
            share.take(data.len(), limits.together)?;
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::task::Context;
    use std::time::Duration;

    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;

    /// A body in pieces that says nothing of its length; `None` is a piece that never comes.
    struct Pieces(VecDeque<Option<&'static [u8]>>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.front() {
                Some(None) => Poll::Pending,
                _ => Poll::Ready(self.0.pop_front().flatten().map(|data| Ok(Frame::data(Bytes::from_static(data))))),
            }
        }
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn limits(size: usize) -> BodyLimits {
        BodyLimits { size, time: Duration::ZERO, together: 8 * PART }
    }

    async fn read_body<B: Body<Data = Bytes> + Unpin>(body: B, limits: BodyLimits) -> Result<Bytes, BodyError> {
        super::read_body(body, limits, (&BodyBudget::default(), HERE)).await
    }

    #[tokio::test]
    async fn bodies_that_wait_for_their_rest_hold_no_more_together_than_may_and_give_it_back() {
        let addresses = |n: u8| IpAddr::from([192, 0, 2, n]);
        // One in which no two of them share a place: one in ninety would have such a pair.
        let apart = |budget: &BodyBudget| {
            let places = (0..9).map(addresses).chain([HERE]).map(|from| budget.place(from));
            places.collect::<std::collections::HashSet<_>>().len() == 10
        };
        let budget = std::iter::repeat_with(BodyBudget::default).find(apart).unwrap();
        let long = BodyLimits { time: Duration::MAX, ..limits(64) };
        let stick = |n: u8| {
            Box::pin(super::read_body(Pieces([Some(&b"abcdefg"[..]), None].into()), long, (&budget, addresses(n))))
        };
        let next = |from| super::read_body(Pieces([Some(&b"abcd"[..]), Some(b"e")].into()), long, (&budget, from));
        let mut stuck: Vec<_> = (0..9).map(stick).collect();
        for stuck in &mut stuck {
            assert!(at_once(stuck.as_mut()).await.is_none());
        }
        assert_eq!(next(HERE).await, Err(BodyError::Full));
        assert_eq!(BodyError::Full.status(), 503);
        let whole = Full::new(Bytes::from_static(b"a body that came whole"));
        let whole = super::read_body(whole, long, (&budget, HERE)).await;
        assert_eq!(whole.unwrap(), "a body that came whole");
        stuck.truncate(1);
        assert_eq!(next(HERE).await.unwrap(), "abcde");
        assert_eq!(next(addresses(0)).await, Err(BodyError::Full), "one address has a part of it");
        drop(stuck);
        assert_eq!(next(addresses(0)).await.unwrap(), "abcde");
        assert_eq!(budget.all.into_inner(), 0);
        assert!(budget.places.iter().all(|place| place.load(Ordering::Relaxed) == 0));
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_read_whole() {
        let body = Pieces([Some(&b"ab"[..]), Some(b"cd"), Some(b"e")].into());
        assert_eq!(read_body(body, limits(5)).await.unwrap(), "abcde");
        assert_eq!(read_body(Full::new(Bytes::new()), limits(0)).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_body_one_byte_too_long_is_refused_whether_it_says_its_length_or_not() {
        let declared = Full::new(Bytes::from_static(b"abcdef"));
        assert_eq!(read_body(declared, limits(5)).await, Err(BodyError::TooLarge));
        let undeclared = Pieces([Some(&b"abc"[..]), Some(b"def")].into());
        assert_eq!(read_body(undeclared, limits(5)).await, Err(BodyError::TooLarge));
        assert_eq!(BodyError::TooLarge.status(), 413);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_times_out() {
        let stuck = Pieces([Some(&b"abc"[..]), None].into());
        assert_eq!(read_body(stuck, limits(5)).await, Err(BodyError::TooSlow));
        assert_eq!(BodyError::TooSlow.status(), 408);
    }
}
