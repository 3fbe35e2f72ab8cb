//! Fields that only brokers may set (R22), and the class of a message (R21).

/// Header names that are a broker's own, beside those that start with `causeway`.
const RESERVED: [&str; 2] = ["JMSXUserID", "breadcrumbId"];
/// The reserved word; one of `-`, `_`, `.` follows it.
const PREFIX: &str = "causeway";

/// The class of every message while there are no traffic rules. Rule: R21.
pub const CLASS: u16 = 0;

/// True for a header that is removed from what clients and foreign brokers send: custody, routes
/// and rights travel in typed fields only. Rule: R22.
#[must_use]
pub fn is_reserved(header: &str) -> bool {
    let rest = header.get(PREFIX.len()..).filter(|_| {
        header.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    });
    rest.is_some_and(|rest| rest.starts_with(['-', '_', '.']))
        || RESERVED.iter().any(|name| header.eq_ignore_ascii_case(name))
}
