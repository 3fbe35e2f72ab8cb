//! Logs: to standard error, as text or as one JSON object a line.

use tracing_subscriber::EnvFilter;

/// Starts logging. A second call does nothing.
pub fn init(level: &str, as_json: bool) {
    let filter = EnvFilter::try_from_env("CAUSEWAY_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // That a line cannot be logged would be printed, and printing to a pipe that nobody reads ends the thread.
        .log_internal_errors(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // An error means that somebody (a test) has set a subscriber already.
    let _ = if as_json {
        builder.json().try_init()
    } else {
        builder.with_target(false).try_init()
    };
}
