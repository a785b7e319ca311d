//! A few threads for slow, heavy work such as password hashing.
//!
//! Holds: at most as many jobs run as there are threads, and at most `waiting` more wait; the next one is
//! `Busy` at once, so a flood of sign-ins costs bounded memory. A job belongs to its thread: a client that
//! hangs up frees nothing before the job is done, and a job whose client left before it began is skipped.
//! The threads give way to others (Linux: nice 10), so that tokens are answered while passwords are hashed.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Too much of this work is waiting already, or it could not be done for want of memory: 503, try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-ins are waiting; try again in a moment")]
pub struct Busy;

type Job = Box<dyn FnOnce() + Send>;

/// The threads. Dropping it lets them finish what waits, then end.
pub struct Workers {
    queue: SyncSender<Job>,
}

impl Workers {
    /// `threads` threads (at least one) and room for `waiting` jobs.
    pub fn start(threads: usize, waiting: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(waiting);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new().name("password".into()).spawn(move || work(&jobs))?;
        }
        Ok(Self { queue })
    }

    /// Puts `job` in the queue, now. The receiver fails only if the job panicked.
    pub fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Busy> {
        let (reply, answer) = oneshot::channel();
        let job = move || {
            if !reply.is_closed() {
                // A client that left meanwhile does not get its answer: nothing to do about that.
                let _ = reply.send(job());
            }
        };
        self.queue.try_send(Box::new(job)).map_err(|_| Busy)?;
        Ok(answer)
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    give_way();
    loop {
        // The guard lives for this statement only: whoever runs a job lets the next thread wait for one.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic ends one job, not the thread: its client gets `Busy`.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

/// Lowers the priority of this thread. Only on Linux is that a property of a thread; a refusal is no harm.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Occupies the only thread; returns the receiver and the gate that lets the thread go.
    fn occupy(workers: &Workers) -> (oneshot::Receiver<()>, mpsc::Sender<()>) {
        let (started, is_started) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let answer = workers.submit(move || {
            started.send(()).unwrap();
            gate.recv().unwrap();
        });
        is_started.recv().unwrap();
        (answer.unwrap(), open)
    }

    #[test]
    fn more_than_may_wait_are_told_busy_at_once() {
        let workers = Workers::start(1, 2).unwrap();
        let (_running, open) = occupy(&workers);
        let first = workers.submit(|| 1).unwrap();
        let second = workers.submit(|| 2).unwrap();
        assert_eq!(workers.submit(|| 3).err(), Some(Busy));
        open.send(()).unwrap();
        assert_eq!((first.blocking_recv(), second.blocking_recv()), (Ok(1), Ok(2)));
        assert_eq!(workers.submit(|| 4).unwrap().blocking_recv(), Ok(4));
    }

    #[test]
    fn a_client_that_hangs_up_does_not_free_the_thread_its_job_runs_on() {
        let workers = Workers::start(1, 1).unwrap();
        let (running, open) = occupy(&workers);
        drop(running);
        let waiting = workers.submit(|| 1).unwrap();
        assert_eq!(workers.submit(|| 2).err(), Some(Busy));
        open.send(()).unwrap();
        assert_eq!(waiting.blocking_recv(), Ok(1));
    }

    #[test]
    fn a_job_whose_client_left_before_it_began_is_skipped() {
        let workers = Workers::start(1, 2).unwrap();
        let (_running, open) = occupy(&workers);
        let (ran, has_run) = mpsc::channel();
        drop(workers.submit(move || ran.send(()).unwrap()).unwrap());
        let after = workers.submit(|| ()).unwrap();
        open.send(()).unwrap();
        after.blocking_recv().unwrap();
        assert!(has_run.try_recv().is_err());
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_with_it() {
        let workers = Workers::start(1, 1).unwrap();
        assert!(workers.submit(|| panic!("a fault in a job")).unwrap().blocking_recv().is_err());
        assert_eq!(workers.submit(|| 1).unwrap().blocking_recv(), Ok(1));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_threads_give_way_to_all_others() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let workers = Workers::start(1, 1).unwrap();
        let theirs = workers.submit(priority).unwrap().blocking_recv().unwrap();
        assert_eq!(theirs, (priority() + 10).min(19));
    }
}
