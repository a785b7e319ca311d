//! One request, one answer, for what is prepared outside the measured time.

use crate::http::answer::Answer;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an unmeasured request may take: a password hash may be in it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bytes of an answer; `answer()` reads them.
pub struct Received(Vec<u8>);

impl Received {
    /// The answer in these bytes.
    pub fn answer(&self) -> Result<Answer<'_>> {
        Answer::read(&self.0)?.context("the answer ended early")
    }
}

/// Sends a request on a connection of its own and waits for the whole answer.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Result<Received> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut received = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while Answer::read(&received)?.is_none() {
        let length = stream.read(&mut chunk).context("no answer")?;
        if length == 0 {
            bail!("closed before the answer was whole");
        }
        received.extend_from_slice(chunk.get(..length).unwrap_or_default());
    }
    Ok(Received(received))
}
