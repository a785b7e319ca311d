//! What a server on this thread logs.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use opalid::config::LogFormat;
use opalid::telemetry;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};

/// What was logged.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Listens on this thread, for as long as the guard is held.
    pub fn listen(format: LogFormat, level: &str) -> (Self, DefaultGuard) {
        // Where there is but one listener, a place that first logs on another thread is taken for one that nobody
        // listens to, here too.
        static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
        ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::new()));
        let log = Self::default();
        let writer = log.clone();
        let lines = telemetry::subscriber(format, level.parse().unwrap(), move || writer.clone());
        (log, tracing::subscriber::set_default(lines))
    }

    /// All of it so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
