//! The admin listener: `/metrics`, `/healthz`, `/readyz`, `/status`. Read only, no secret in any
//! answer.

pub mod question;
pub mod serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::question::Question;
use crate::broker::Broker;
use crate::config::file::StatusAccess;

/// Adds the parts of `/status` that the broker itself does not know.
pub type StatusParts = dyn Fn(&mut serde_json::Value) + Send + Sync;

/// What the pages read.
#[derive(Clone)]
pub struct Admin {
    /// The broker.
    pub broker: Arc<Broker>,
    /// True while clients are accepted.
    pub is_ready: Arc<AtomicBool>,
    /// Links, sites, listeners.
    pub parts: Arc<StatusParts>,
    /// Ends answers that wait.
    pub cancel: CancellationToken,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Admin").finish_non_exhaustive()
    }
}

/// Serves until cancelled.
pub async fn serve(listener: TcpListener, admin: Admin) {
    let (broker, cancel) = (admin.broker.clone(), admin.cancel.clone());
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(admin);
    let limit = move || broker.config().limits.admin_connections;
    serve::serve(&listener, router, limit, cancel).await;
}

/// Serves until cancelled while the broker is not there yet: alive, and not ready.
pub async fn serve_waiting(listener: &TcpListener, limit: usize, cancel: CancellationToken) {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async || not_ready()));
    serve::serve(listener, router, move || limit, cancel).await;
}

fn not_ready() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
}

async fn ready(State(admin): State<Admin>) -> Response {
    if admin.is_ready.load(Ordering::Acquire) {
        "ready\n".into_response()
    } else {
        not_ready()
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    if let Some(bytes) = resident_bytes() {
        admin.broker.metrics.memory_bytes.set(bytes);
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, admin.broker.metrics.render()).into_response()
}

async fn status(
    State(admin): State<Admin>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if !may_read(&admin, &headers) {
        return (StatusCode::UNAUTHORIZED, "a bearer token is needed\n").into_response();
    }
    let question = match Question::parse(query.as_deref().unwrap_or_default()) {
        Ok(question) => question,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    if let Some(known) = question.since {
        tokio::select! {
            () = admin.broker.changes.wait(known, question.wait) => {}
            () = admin.cancel.cancelled() => {}
        }
    }
    let mut value = admin.broker.status();
    (admin.parts)(&mut value);
    axum::Json(value).into_response()
}

fn may_read(admin: &Admin, headers: &HeaderMap) -> bool {
    let config = admin.broker.config();
    let is_open = config
        .broker
        .listeners
        .admin
        .as_ref()
        .is_some_and(|listener| listener.status == StatusAccess::Open);
    if is_open {
        return true;
    }
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match (&config.secrets.admin_token, given) {
        (Some(token), Some(given)) => token.as_bytes().ct_eq(given.as_bytes()).into(),
        _ => false,
    }
}

fn resident_bytes() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * i64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::config::test_support;

    async fn page() -> (SocketAddr, Arc<Broker>, CancellationToken) {
        let config = Arc::new(test_support::config(&test_support::files()));
        let broker = Arc::new(Broker::new(config, 1, [0; 16]));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let cancel = CancellationToken::new();
        let admin = Admin {
            broker: broker.clone(),
            is_ready: Arc::default(),
            parts: Arc::new(|_| {}),
            cancel: cancel.clone(),
        };
        tokio::spawn(serve(listener, admin));
        (address, broker, cancel)
    }

    async fn get(address: SocketAddr, path: &str, token: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer).await;
        read.expect("an answer");
        answer
    }

    #[tokio::test]
    async fn a_question_with_a_revision_is_answered_when_something_changes() {
        let (address, broker, cancel) = page().await;
        let now = get(address, "/status", "t").await;
        assert!(now.contains(r#""revision":1,"#), "{now}");
        let asked = "/status?since=1&wait=30s";
        let waiting = tokio::spawn(async move { get(address, asked, "t").await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!waiting.is_finished(), "answered without a change");
        broker.changes.note();
        let changed = waiting.await.expect("answered");
        assert!(changed.contains(r#""revision":2,"#), "{changed}");
        let late = get(address, asked, "t").await;
        assert!(late.contains(r#""revision":2,"#), "{late}");
        let asked = "/status?since=2&wait=30s";
        let waiting = tokio::spawn(async move { get(address, asked, "t").await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
        let last = waiting.await.expect("answered");
        assert!(last.contains(r#""revision":2,"#), "{last}");
    }

    #[tokio::test]
    async fn the_page_wants_its_token_and_questions_that_make_sense() {
        let (address, _broker, cancel) = page().await;
        let refused = get(address, "/status", "x").await;
        assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        let strange = get(address, "/status?since=x", "t").await;
        assert!(strange.starts_with("HTTP/1.1 400"), "{strange}");
        let metrics = get(address, "/metrics", "x").await;
        assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
        cancel.cancel();
    }
}
