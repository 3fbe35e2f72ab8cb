//! The operator's own pages: `/healthz`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// What the pages tell.
#[derive(Clone)]
pub struct Pages {
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Whether the API server has answered and every store is filled, or another process acts.
    pub is_ready: Arc<AtomicBool>,
}

/// Serves the pages until the process ends.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(address: SocketAddr, pages: Pages) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(pages);
    axum::serve(listener, router).await
}

async fn ready(State(pages): State<Pages>) -> (StatusCode, &'static str) {
    match pages.is_ready.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ok\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "not every store is filled yet\n",
        ),
    }
}

async fn metrics(State(pages): State<Pages>) -> ([(&'static str, &'static str); 1], String) {
    let kind = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
    (kind, pages.metrics.text())
}
