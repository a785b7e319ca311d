//! Request bodies, read whole within a bound of bytes and time, and all that are being read within one of bytes.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

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

/// The bytes of all bodies of which the rest has not come yet.
#[derive(Debug, Default)]
pub struct BodyBudget(AtomicUsize);

/// What one body has taken of it; given back by being dropped.
struct Share<'b>(&'b BodyBudget, usize);

impl Share<'_> {
    fn take(&mut self, bytes: usize, most: usize) -> Result<(), BodyError> {
        self.1 += bytes;
        let before = self.0.0.fetch_add(bytes, Ordering::Relaxed);
        if bytes > most.saturating_sub(before) { Err(BodyError::Full) } else { Ok(()) }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.1 > 0 {
            self.0.0.fetch_sub(self.1, Ordering::Relaxed);
        }
    }
}

/// The whole body, or why not.
///
/// A body that came with its headers sets no timer: that is nearly every one, and a timer costs more than the bytes.
pub async fn read_body<B>(body: B, limits: BodyLimits, budget: &BodyBudget) -> Result<Bytes, BodyError>
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

async fn collect<B>(mut body: B, limits: BodyLimits, budget: &BodyBudget) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut share = Share(budget, 0);
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

    fn limits(size: usize) -> BodyLimits {
        BodyLimits { size, time: Duration::ZERO, together: 8 }
    }

    async fn read_body<B: Body<Data = Bytes> + Unpin>(body: B, limits: BodyLimits) -> Result<Bytes, BodyError> {
        super::read_body(body, limits, &BodyBudget::default()).await
    }

    #[tokio::test]
    async fn bodies_that_wait_for_their_rest_hold_no_more_together_than_may_and_give_it_back() {
        let (budget, long) = (BodyBudget::default(), BodyLimits { time: Duration::MAX, ..limits(64) });
        let mut stuck = Box::pin(super::read_body(Pieces([Some(&b"abcde"[..]), None].into()), long, &budget));
        assert!(at_once(stuck.as_mut()).await.is_none());
        let next = || Pieces([Some(&b"abcd"[..]), Some(b"e")].into());
        assert_eq!(super::read_body(next(), long, &budget).await, Err(BodyError::Full));
        assert_eq!(BodyError::Full.status(), 503);
        let whole = Full::new(Bytes::from_static(b"a body that came whole"));
        assert_eq!(super::read_body(whole, long, &budget).await.unwrap(), "a body that came whole");
        drop(stuck);
        assert_eq!(super::read_body(next(), long, &budget).await.unwrap(), "abcde");
        assert_eq!(budget.0.into_inner(), 0);
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
