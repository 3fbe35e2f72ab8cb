//! What is recorded of a request.

/// A request that came to the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method; `WATCH` for a GET that watches.
    pub verb: String,
    /// Path and query.
    pub path: String,
    /// What was answered; nothing where no answer came through.
    pub status: Option<u16>,
}

impl Request {
    /// What patterns are looked for in: `VERB PATH?QUERY`.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.verb, self.path)
    }

    /// Whether it was to change an object. Reviews of rights and tokens change none, and neither
    /// does what runs dry.
    #[must_use]
    pub fn is_write(&self) -> bool {
        let is_review = [
            "/authorization.k8s.io/",
            "/authentication.k8s.io/",
            "/token",
        ]
        .iter()
        .any(|part| self.path.contains(part));
        !is_review
            && !matches!(self.verb.as_str(), "GET" | "WATCH" | "HEAD" | "OPTIONS")
            && !self.path.contains("dryRun=All")
    }
}
