//! The threads that connections live on, each with a runtime of its own.
//!
//! Takes: accepted sockets. Gives: each to the thread that has fewest connections, for as long as it is open.
//! Holds: a request is read, worked on and answered by one thread. Nothing is stolen or handed over: a scheduler that
//! shares work among threads costs more per request than the work of an introspection leaves room for.
//! Not here: accepting, housekeeping, commands; they run on the runtime that starts this.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads. When it is dropped they end, and what still runs on them is cut off.
pub struct Threads(Vec<Thread>);

struct Thread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    /// The thread ends when this goes.
    _until: Option<oneshot::Sender<()>>,
}

/// A connection's place on a thread.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Threads {
    /// No thread of its own: connections live on the runtime that calls this.
    pub fn here() -> Self {
        Self(vec![Thread { runtime: Handle::current(), connections: Arc::default(), _until: None }])
    }

    /// `count` threads, at least one.
    pub fn start(count: usize) -> io::Result<Self> {
        (0..count.max(1)).map(|_| Thread::start()).collect::<io::Result<_>>().map(Self)
    }

    /// Runs what `talk` makes of the socket, on the thread with the fewest connections.
    pub(super) fn spawn<F>(&self, stream: TcpStream, talk: impl FnOnce(TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(thread) = self.0.iter().min_by_key(|thread| thread.connections.load(Relaxed)) else { return };
        thread.connections.fetch_add(1, Relaxed);
        let counted = Counted(Arc::clone(&thread.connections));
        // A socket belongs to the runtime that waits for it.
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!(%error, "a connection could not be handed over"),
        };
        thread.runtime.spawn(async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => talk(stream).await,
                Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
            }
            drop(counted);
        });
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (until, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name("requests".into()).spawn(move || drop(runtime.block_on(ended)))?;
        Ok(Self { runtime: handle, connections: Arc::default(), _until: Some(until) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    async fn accepted() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
        connected.unwrap();
        accepted.unwrap().0
    }

    #[tokio::test]
    async fn each_connection_goes_to_the_thread_with_the_fewest() {
        let threads = Threads::start(2).unwrap();
        let (started, mut on) = mpsc::unbounded_channel();
        let mut open = Vec::new();
        for _ in 0..4 {
            let (close, closed) = oneshot::channel::<()>();
            let started = started.clone();
            threads.spawn(accepted().await, move |stream| async move {
                started.send(std::thread::current().id()).unwrap();
                drop(closed.await);
                drop(stream);
            });
            open.push((on.recv().await.unwrap(), close));
        }
        let first = open[0].0;
        assert_eq!(open.iter().filter(|(thread, _)| *thread == first).count(), 2);
        // Both connections of one thread end: it has the fewest until it has as many again.
        open.retain(|(thread, _)| *thread != first);
        while threads.0.iter().map(|thread| thread.connections.load(Relaxed)).sum::<usize>() > 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            let started = started.clone();
            threads.spawn(accepted().await, move |_| async move {
                started.send(std::thread::current().id()).unwrap();
                std::future::pending::<()>().await;
            });
            assert_eq!(on.recv().await.unwrap(), first);
        }
    }

    #[tokio::test]
    async fn what_runs_on_a_thread_ends_with_it() {
        let threads = Threads::start(1).unwrap();
        let (held, mut over) = mpsc::channel::<()>(1);
        threads.spawn(accepted().await, move |_| async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(threads);
        assert_eq!(over.recv().await, None);
    }
}
