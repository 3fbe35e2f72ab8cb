//! What every request to the API server passes.
//!
//! A process that does not lead any more writes nothing: a lease alone does not stop who was paused beyond its end and goes
//! on in the middle of its work. And a watch that ended at once is not begun again at once: the library waits after errors
//! only, and an end is none.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Method, Request};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tokio::time::sleep;
use tower::{BoxError, Layer, Service};

use super::term::Term;

/// A watch is begun so often at most.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a request was not sent.
#[derive(Debug, thiserror::Error)]
#[error("this process does not lead any more")]
pub struct NotLeading;

/// A client that changes something only while a term lasts; without one, always.
///
/// # Errors
/// The client cannot be made.
pub fn client(config: Config, term: Option<Arc<Term>>) -> Result<Client, kube::Error> {
    let gate = Gate {
        term,
        pace: Arc::default(),
    };
    Ok(ClientBuilder::try_from(config)?.with_layer(&gate).build())
}

#[derive(Debug, Clone)]
struct Gate {
    term: Option<Arc<Term>>,
    pace: Arc<Pace>,
}

impl Gate {
    fn may_pass(&self, method: &Method, now: Instant) -> bool {
        matches!(*method, Method::GET | Method::HEAD)
            || self.term.as_ref().is_none_or(|term| term.holds(now))
    }
}

/// When each watch may begin next, by its path.
#[derive(Debug, Default)]
struct Pace {
    next: Mutex<BTreeMap<String, Instant>>,
}

impl Pace {
    fn wait(&self, path: &str, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.get(path).copied().unwrap_or(now).max(now);
        next.insert(path.to_owned(), due + PAUSE);
        due.duration_since(now)
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let gate = self.clone();
        Gated { inner, gate }
    }
}

struct Gated<S> {
    inner: S,
    gate: Gate,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let query = request.uri().query().unwrap_or_default();
        let wait = match query.contains("watch=true") {
            true => self.gate.pace.wait(request.uri().path(), Instant::now()),
            false => Duration::ZERO,
        };
        let (gate, method) = (self.gate.clone(), request.method().clone());
        // It is sent when it is polled first.
        let answer = self.inner.call(request);
        Box::pin(async move {
            if !wait.is_zero() {
                sleep(wait).await;
            }
            match gate.may_pass(&method, Instant::now()) {
                true => answer.await,
                false => Err(NotLeading.into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_led_reads_and_changes_nothing() {
        let now = Instant::now();
        let gate = |term| Gate {
            term,
            pace: Arc::default(),
        };
        let led = gate(Some(Arc::default()));
        assert!(led.may_pass(&Method::GET, now));
        for method in [Method::PATCH, Method::POST, Method::PUT, Method::DELETE] {
            assert!(!led.may_pass(&method, now), "{method}");
            assert!(gate(None).may_pass(&method, now), "{method}");
        }
    }

    #[test]
    fn a_watch_begins_once_in_a_second_and_others_do_not_wait_for_it() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.wait("/pods", now), Duration::ZERO);
        assert_eq!(pace.wait("/secrets", now), Duration::ZERO);
        assert_eq!(pace.wait("/pods", now), PAUSE);
        let later = now + PAUSE * 2 + Duration::from_millis(1);
        assert_eq!(pace.wait("/pods", later), Duration::ZERO);
    }
}
