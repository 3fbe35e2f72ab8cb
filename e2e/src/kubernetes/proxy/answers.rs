//! What the proxy itself answers.

use serde_json::json;

/// How an API server ends a watch whose version is too old.
pub(super) fn too_old() -> String {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "metadata": {},
        "message": "a test says: too old resource version", "reason": "Expired", "code": 410,
    });
    let event = json!({"type": "ERROR", "object": status});
    format!("{WATCH}{event}\n")
}

/// The head of the answer to a watch.
pub(super) const WATCH: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";

/// What an API server says with a status.
pub(super) fn refusal(status: u16) -> String {
    let (words, reason) = match status {
        409 => ("Conflict", "Conflict"),
        410 => ("Gone", "Expired"),
        429 => ("Too Many Requests", "TooManyRequests"),
        503 => ("Service Unavailable", "ServiceUnavailable"),
        _ => ("Internal Server Error", "InternalError"),
    };
    let body = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "metadata": {},
        "message": format!("a test refuses this: {words}"), "reason": reason, "code": status,
    });
    let body = body.to_string();
    let wait = if status == 429 {
        "Retry-After: 1\r\n"
    } else {
        ""
    };
    format!(
        "HTTP/1.1 {status} {words}\r\nContent-Type: application/json\r\n{wait}\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
