//! A thread with a runtime, so that calls from outside are synchronous, wherever they come from.
//!
//! Without a thread of its own the runtime would run in the caller's, which panics within another runtime, and leaves idle connections
//! unattended between calls.

use core::time::Duration;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::{ArchiveError, ErrorKind};

#[derive(Debug)]
pub struct Driver {
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    pub fn start() -> Result<Self, ArchiveError> {
        let failed = |error: std::io::Error| {
            ArchiveError::new(ErrorKind::Unavailable, "no runtime could be started").because(error)
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            // Either way the handle is gone.
            let _ = runtime.block_on(stopped);
            // A disk that hangs is not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("tierstack-archive".into()).spawn(work).map_err(failed)?;
        Ok(Self { runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Waits until it is done, or until that instant.
    pub fn run<T: Send + 'static>(
        &self,
        until: Instant,
        work: impl Future<Output = Result<T, ArchiveError>> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let left = until.saturating_duration_since(Instant::now());
        let late = || ArchiveError::new(ErrorKind::TimedOut, "no answer came in time");
        let (done, outcome) = mpsc::sync_channel(1);
        let _detached = self.runtime.spawn(async move {
            let outcome = tokio::time::timeout(left, work).await;
            // Nobody waits any more: what came late is settled by the next call.
            let _ = done.send(outcome);
        });
        // The runtime says when time is up. The wait here is for a runtime that has no turn.
        match outcome.recv_timeout(left + Duration::from_secs(1)) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Timeout) => Err(late()),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(ArchiveError::new(ErrorKind::Unavailable, "the runtime has dropped the work"))
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It does not panic, and if it did there would be nothing to do about it.
            let _ = thread.join();
        }
    }
}
