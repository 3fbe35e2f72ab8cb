//! Asking brokers how they are: a thread per site that reads `/status` for as long as its handle is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::cli::out;
use crate::client::http;
use crate::client::view::StatusView;

/// A broker answers as soon as something changes, and at the latest after this time.
const WAIT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two questions: a broker where much happens is not asked all the time.
const PAUSE: Duration = Duration::from_millis(100);

/// The thread ends soon after this is dropped.
#[derive(Debug)]
pub struct Poller {
    is_over: Arc<AtomicBool>,
}

impl Poller {
    /// Asks the broker whose admin page is at `address`, and hands every answer on; questions that fail are asked again.
    pub fn start(address: String, answer: impl Fn(StatusView) + Send + 'static) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        thread::spawn(move || {
            let mut revision = None;
            let mut is_told = false;
            while !flag.load(Ordering::Relaxed) {
                // No answer: it has not started yet, or it has died, and its process tells that.
                let view = ask(&address, revision).map(|body| StatusView::parse(&body));
                revision = None;
                match view {
                    Some(Ok(view)) => {
                        revision = Some(view.revision);
                        answer(view);
                    }
                    Some(Err(error)) if !is_told => {
                        out::complain(format_args!(
                            "error: /status of {address} cannot be read: {error}"
                        ));
                        is_told = true;
                    }
                    Some(Err(_)) | None => {}
                }
                thread::sleep(PAUSE);
            }
        });
        Self { is_over }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn ask(address: &str, since: Option<u64>) -> Option<Vec<u8>> {
    let path = match since {
        None => "/status".to_owned(),
        Some(revision) => format!("/status?since={revision}&wait={}s", WAIT.as_secs()),
    };
    http::get(address, &path, None, PATIENCE).ok()
}
