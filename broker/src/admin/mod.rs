//! The admin listener: `/metrics`, `/healthz`, `/readyz`, `/status`. Read only, no secret in any
//! answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Admin").finish_non_exhaustive()
    }
}

/// Serves until cancelled.
pub async fn serve(listener: TcpListener, admin: Admin, cancel: CancellationToken) {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(admin);
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { cancel.cancelled().await });
    if let Err(error) = served.await {
        tracing::error!(%error, "admin listener ended");
    }
}

async fn ready(State(admin): State<Admin>) -> Response {
    if admin.is_ready.load(Ordering::Acquire) {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    if let Some(bytes) = resident_bytes() {
        admin.broker.metrics.memory_bytes.set(bytes);
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, admin.broker.metrics.render()).into_response()
}

async fn status(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    if !may_read(&admin, &headers) {
        return (StatusCode::UNAUTHORIZED, "a bearer token is needed\n").into_response();
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
