//! Log lines, and the ids that tie a request's lines together.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue, StatusCode, header};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, fmt as lines};

use crate::config::LogFormat;
use crate::http::reply::Reply;

/// Why log lines cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none; `config` checks it before.
    #[error("the log level cannot be understood: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody has begun already.
    #[error("log lines are written already: {0}")]
    Begun(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// From here on, what is logged goes to stderr.
pub fn begin(format: LogFormat, level: &str) -> Result<(), TelemetryError> {
    let subscriber = subscriber(format, level.parse()?, std::io::stderr);
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

/// What writes log lines as `begin` has them written, to `writer`.
pub fn subscriber<W>(format: LogFormat, filter: EnvFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // What cannot be logged (a full disk) is lost: a complaint about it would go the same way, and panic there.
    let lines = lines().with_env_filter(filter).with_writer(writer).log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(false);
            Box::new(lines.map_event_format(|plain| Identified { plain, format }).finish())
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_span_list(false);
            Box::new(lines.map_event_format(|plain| Identified { plain, format }).finish())
        }
    }
}

tokio::task_local! {
    /// The request that this task handles now.
    static REQUEST: RequestId;
}

/// Handles a request: whatever is logged meanwhile carries its id, wherever it is logged.
pub fn within<F: Future>(id: RequestId, handling: F) -> impl Future<Output = F::Output> {
    REQUEST.scope(id, handling)
}

/// A line as it would be, with the id of the request it was written in. A span would cost every request; this costs
/// those that log.
struct Identified<F> {
    plain: F,
    format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for Identified<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Ok(id) = REQUEST.try_with(|id| *id) else { return self.plain.format_event(context, to, event) };
        let mut line = String::new();
        self.plain.format_event(context, Writer::new(&mut line), event)?;
        match (self.format, line.strip_prefix('{')) {
            (LogFormat::Json, Some(fields)) => write!(to, "{{\"request\":\"{id}\",{fields}"),
            _ => writeln!(to, "{} request={id}", line.trim_end_matches('\n')),
        }
    }
}

/// Tells who asked the id of an error or a page, to name it to whoever reads the log.
pub fn identify(mut reply: Reply, id: RequestId) -> Reply {
    let is_page =
        || reply.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if (reply.status() >= StatusCode::BAD_REQUEST || is_page())
        && let Ok(id) = HeaderValue::from_str(&id.to_string())
    {
        reply.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    reply
}

/// The id of a request: in its log lines and in the answer's `X-Request-Id`. Always our own: a client that chose it
/// could write into another's story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Gives each request an id of its own: a count under a keyed hash (SipHash), which costs no randomness per request, and
/// two of which do not tell how many requests came in between.
#[derive(Debug)]
pub struct RequestIds(AtomicU64, RandomState);

impl RequestIds {
    /// A new series.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU64::new(0), RandomState::new())
    }

    /// The next id.
    #[must_use]
    pub fn next(&self) -> RequestId {
        RequestId(self.1.hash_one(self.0.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(format, "info".parse().unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_is_one_object_with_its_fields_beside_the_message() {
        let line = written(LogFormat::Json, || {
            tracing::debug!("not at this level");
            REQUEST.sync_scope(RequestId(0xab), || tracing::info!("two\nlines"));
        });
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"two\nlines".into()));
        assert_eq!(line["request"], "00000000000000ab");
    }

    #[test]
    fn a_text_line_names_level_and_fields_without_colours() {
        let line = written(LogFormat::Text, || tracing::warn!(connections = 3, "too many"));
        assert!(line.contains("WARN") && line.contains("too many connections=3"), "{line}");
        assert!(!line.contains('\u{1b}'));
    }

    #[test]
    fn a_text_line_ends_with_the_request_it_was_written_in_if_any() {
        let text = written(LogFormat::Text, || {
            REQUEST.sync_scope(RequestId(0xab), || tracing::warn!(connections = 3, "too many"));
            tracing::warn!("none");
        });
        let ends: Vec<_> = text.lines().map(|line| line.split_once(": ").unwrap().1).collect();
        assert_eq!(ends, ["too many connections=3 request=00000000000000ab", "none"]);
    }

    #[test]
    fn request_ids_do_not_repeat() {
        let ids = RequestIds::new();
        let drawn: HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(drawn.len(), 10_000);
        assert!(drawn.iter().all(|id| id.to_string().len() == 16));
    }
}
