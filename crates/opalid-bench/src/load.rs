//! The load: keep-alive connections, each with one request under way, on one thread.
//!
//! Takes: an address, a number of connections, times, and a `Traffic` that makes requests and judges answers.
//! Gives: a `Sample` of the answers inside the measured time.
//! Holds: every answer was framed exactly and judged; the first that is wrong ends the measurement with an error.
//! Not here: what is asked; see `traffic` and `scenario`.

use crate::clock;
use crate::http::answer::{self, Answer};
use crate::stats::{Sample, nanoseconds};
use anyhow::{Context, Result, bail, ensure};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A server that says nothing for this long has failed.
const SILENCE: Duration = Duration::from_secs(10);
/// The longest answer that is expected.
const BUFFER: usize = 64 * 1024;

/// What is asked on each connection and what the answers must be.
pub trait Traffic {
    /// The connection's next request, or `None` when it has nothing left to ask.
    fn next(&mut self, connection: usize) -> Option<&[u8]>;
    /// Judges the answer to the connection's last request.
    fn judge(&mut self, connection: usize, answer: &Answer<'_>) -> Result<()>;
}

/// How a load is applied.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Connections, each with one request under way.
    pub connections: usize,
    /// Time before the measurement begins.
    pub warm_up: Duration,
    /// Time measured; less if the traffic ends.
    pub measured: Duration,
}

impl Shape {
    /// Until the traffic ends, for preparing tokens; the rate is a by-product.
    pub fn exhaustive(connections: usize) -> Self {
        Self { connections, warm_up: Duration::ZERO, measured: Duration::from_secs(24 * 3600) }
    }
}

/// Applies the load and measures it.
pub fn run(address: SocketAddr, shape: Shape, traffic: &mut dyn Traffic) -> Result<Sample> {
    let mut poll = Poll::new()?;
    let mut connections = connect(&poll, address, shape.connections)?;
    let mut window = Window::opening_at(clock::now() + shape.warm_up, shape.measured);
    let mut open = 0_usize;
    for (number, connection) in connections.iter_mut().enumerate() {
        open += usize::from(connection.ask(number, clock::now(), traffic)?);
    }
    let mut events = Events::with_capacity(1024);
    while open > 0 && !window.closed {
        wait(&mut poll, &mut events)?;
        for event in &events {
            open -= usize::from(!serve(event, &mut connections, &mut window, traffic)?);
        }
    }
    ensure!(!window.latencies.is_empty(), "the traffic ended before the measured time began: prepare more of it");
    Ok(window.sample())
}

fn connect(poll: &Poll, address: SocketAddr, count: usize) -> Result<Vec<Connection>> {
    let one = |number| {
        let stream = std::net::TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        Ok(Connection { stream, buffer: vec![0; BUFFER], filled: 0, asked_at: clock::now(), busy: false })
    };
    (0..count).map(one).collect()
}

fn wait(poll: &mut Poll, events: &mut Events) -> Result<()> {
    loop {
        match poll.poll(events, Some(SILENCE)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
            Ok(()) if events.is_empty() => bail!("no answer for {} s", SILENCE.as_secs()),
            Ok(()) => return Ok(()),
        }
    }
}

/// Takes what one connection has received; says whether the connection goes on.
fn serve(event: &Event, all: &mut [Connection], window: &mut Window, traffic: &mut dyn Traffic) -> Result<bool> {
    let Token(number) = event.token();
    let connection = all.get_mut(number).context("an event of no connection")?;
    let Some(answer) = connection.receive()? else { return Ok(true) };
    let outcome = traffic.judge(number, &answer);
    outcome.with_context(|| format!("{} {}", answer::start(answer.head), answer::start(answer.body)))?;
    let now = clock::now();
    window.record(connection.asked_at, now);
    connection.ask(number, now, traffic)
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    asked_at: Instant,
    busy: bool,
}

impl Connection {
    /// Sends the next request, if there is one. It fits into the socket's empty buffer, for nothing else is under way.
    fn ask(&mut self, number: usize, now: Instant, traffic: &mut dyn Traffic) -> Result<bool> {
        self.filled = 0;
        self.asked_at = now;
        let Some(request) = traffic.next(number) else {
            self.busy = false;
            return Ok(false);
        };
        self.busy = true;
        let written = self.stream.write(request).context("cannot send")?;
        if written != request.len() {
            bail!("the socket took {written} of {} bytes", request.len());
        }
        Ok(true)
    }

    /// Reads once per event: whatever arrives later makes an event of its own.
    fn receive(&mut self) -> Result<Option<Answer<'_>>> {
        let space = self.buffer.get_mut(self.filled..).filter(|space| !space.is_empty());
        let length = match self.stream.read(space.context("an answer of more than 64 KiB")?) {
            Ok(0) if !self.busy => return Ok(None),
            Ok(0) => bail!("the server closed the connection"),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(None),
            Err(error) => return Err(error).context("cannot receive"),
        };
        self.filled += length;
        let received = self.buffer.get(..self.filled).unwrap_or_default();
        if !self.busy {
            bail!("bytes that nobody asked for: {}", answer::start(received));
        }
        Answer::read(received)
    }
}

/// The measured time and the latencies of the answers that came in it.
struct Window {
    opens_at: Instant,
    closes_at: Instant,
    last_at: Instant,
    latencies: Vec<u32>,
    closed: bool,
}

impl Window {
    fn opening_at(opens_at: Instant, measured: Duration) -> Self {
        Self { opens_at, closes_at: opens_at + measured, last_at: opens_at, latencies: Vec::new(), closed: false }
    }

    fn record(&mut self, asked_at: Instant, now: Instant) {
        if now >= self.closes_at {
            self.closed = true;
        } else if now >= self.opens_at {
            self.latencies.push(nanoseconds(now - asked_at));
            self.last_at = now;
        }
    }

    /// Over the whole window, or up to the last answer when the traffic ended before it.
    fn sample(self) -> Sample {
        let end = if self.closed { self.closes_at } else { self.last_at };
        Sample::of(self.latencies, end - self.opens_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{Expect, Fixed};
    use std::net::TcpListener;

    /// Answers each request of one connection with the next of these.
    fn server(answers: Vec<&'static [u8]>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let mut request = [0; 1024];
                let _length = stream.read(&mut request).unwrap();
                stream.write_all(answer).unwrap();
            }
            let mut rest = [0; 1024];
            while stream.read(&mut rest).is_ok_and(|length| length > 0) {}
        });
        address
    }

    fn traffic(requests: usize) -> Fixed {
        let address = "127.0.0.1:1".parse().unwrap();
        let request = crate::http::request::get(address, "/", &[]);
        Fixed::times(request, Expect::new(200, "yes"), requests)
    }

    const YES: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes";

    #[test]
    fn every_request_of_the_traffic_is_answered_once() {
        let sample = run(server(vec![YES; 5]), Shape::exhaustive(1), &mut traffic(5)).unwrap();
        assert_eq!(sample.answers, 5);
    }

    #[test]
    fn one_wrong_answer_fails_the_measurement() {
        let wrong = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno";
        assert!(run(server(vec![YES, wrong, YES]), Shape::exhaustive(1), &mut traffic(3)).is_err());
    }

    #[test]
    fn one_wrong_status_fails_the_measurement() {
        let wrong = b"HTTP/1.1 503 Busy\r\ncontent-length: 3\r\n\r\nyes";
        assert!(run(server(vec![YES, wrong]), Shape::exhaustive(1), &mut traffic(3)).is_err());
    }

    #[test]
    fn traffic_that_ends_in_the_warm_up_is_an_error_and_not_a_rate_of_zero() {
        let shape = Shape { warm_up: Duration::from_secs(3600), ..Shape::exhaustive(1) };
        assert!(run(server(vec![YES; 2]), shape, &mut traffic(2)).is_err());
    }

    #[test]
    fn answers_outside_the_window_are_not_counted() {
        let start = clock::now();
        let mut window = Window::opening_at(start + Duration::from_secs(1), Duration::from_secs(2));
        window.record(start, start + Duration::from_millis(999));
        window.record(start, start + Duration::from_millis(1_000));
        window.record(start, start + Duration::from_millis(2_999));
        assert!(!window.closed);
        window.record(start, start + Duration::from_millis(3_000));
        assert!(window.closed);
        let sample = window.sample();
        assert_eq!((sample.answers, sample.seconds), (2, 2.0));
    }

    #[test]
    fn traffic_that_ends_early_is_measured_up_to_its_last_answer() {
        let start = clock::now();
        let mut window = Window::opening_at(start, Duration::from_secs(60));
        window.record(start, start + Duration::from_secs(1));
        assert_eq!(window.sample().seconds, 1.0);
    }
}
