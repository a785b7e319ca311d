//! What clients may take of the server: connections, time, bytes.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for everything that is not a client's connection: the store, files, logs.
const OTHER_DESCRIPTORS: u64 = 256;

/// What connections may take. Memory for one is bounded by `head_size`, TLS and as many bodies as it has `streams` (one
/// without HTTP/2); the number of them by `most`.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Connections at once. When they are reached, those that wait for their client longest are closed.
    pub most: usize,
    /// How long a request line and its headers may take, the TLS handshake of a new connection included.
    pub head_time: Duration,
    /// How long a connection may stay without a request. Longer than proxies keep theirs (60 s is usual), so that it
    /// is the proxy that closes and no request meets a closing connection.
    pub idle_time: Duration,
    /// Bytes of request line and headers; at least 8 KiB. More than 100 headers are refused as well.
    pub head_size: usize,
    /// Requests at once on one HTTP/2 connection: each may have a body.
    pub streams: u32,
    /// How long requests under way may take to finish when the server stops.
    pub drain_time: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            most: 10_000,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            head_size: 16 * 1024,
            streams: 16,
            drain_time: Duration::from_secs(10),
        }
    }
}

impl ConnectionLimits {
    /// The same, with no more connections than `descriptors` leave room for.
    #[must_use]
    pub fn within(mut self, descriptors: u64) -> Self {
        let room = descriptors.saturating_sub(OTHER_DESCRIPTORS).max(64);
        self.most = self.most.min(usize::try_from(room).unwrap_or(usize::MAX));
        self
    }
}

/// What a request's body may take.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes.
    pub size: usize,
    /// From the end of the headers to the end of the body.
    pub time: Duration,
    /// Bytes of all bodies together of which the rest has not come yet.
    pub together: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { size: 64 * 1024, time: Duration::from_secs(10), together: 64 * 1024 * 1024 }
    }
}

/// Raises the number of descriptors this process may open to what the system allows it; gives that number.
pub fn raise_descriptor_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    match raised {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of open files");
            current.unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_never_take_the_descriptors_the_store_needs() {
        assert_eq!(ConnectionLimits::default().within(1_024).most, 768);
        assert_eq!(ConnectionLimits::default().within(u64::MAX).most, 10_000);
        assert_eq!(ConnectionLimits::default().within(10).most, 64);
    }

    #[test]
    fn the_descriptor_limit_is_raised_to_what_is_allowed() {
        let raised = raise_descriptor_limit();
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), raised);
    }
}
