//! Raw bytes in, raw bytes out.
