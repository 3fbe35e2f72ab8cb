//! What goes wrong: broken frames, which close the connection, and refused requests, which mostly
//! do not.

/// A frame that breaks the protocol. Fatal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The command line is longer than any command.
    #[error("the command line is longer than {limit} bytes")]
    CommandTooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// No such command.
    #[error("unknown command")]
    UnknownCommand,
    /// An HTTP request.
    #[error("this looks like HTTP; this port speaks STOMP")]
    LooksLikeHttp,
    /// A TLS handshake on a connection without TLS.
    #[error("this looks like TLS; this port speaks STOMP in clear, stomps has a port of its own")]
    LooksLikeTls,
    /// A header line is too long.
    #[error("a header line is longer than {limit} bytes")]
    LineTooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// All header lines together are too long.
    #[error("the headers are longer than {limit} bytes")]
    HeadersTooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// Too many headers.
    #[error("more than {limit} headers")]
    TooManyHeaders {
        /// Headers allowed.
        limit: usize,
    },
    /// A header line without a colon.
    #[error("a header line has no colon")]
    HeaderWithoutColon,
    /// A header that is not UTF-8.
    #[error("a header is not UTF-8")]
    HeaderNotUtf8,
    /// An escape that does not exist in 1.1 and 1.2.
    #[error("a header has an undefined escape")]
    UndefinedEscape,
    /// `content-length` is not a plain number, or occurs twice.
    #[error("content-length must be one unsigned decimal number")]
    BadContentLength,
    /// The frame is larger than allowed.
    #[error("the frame is larger than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The byte behind the body is not NUL.
    #[error("the body is not followed by NUL")]
    NoNulAfterBody,
    /// The first frame is not CONNECT or STOMP.
    #[error("the first frame must be CONNECT")]
    NotConnected,
    /// CONNECT on an open connection.
    #[error("already connected")]
    AlreadyConnected,
    /// A command that only servers send.
    #[error("a client may not send this command")]
    ServerCommand,
    /// No version in common.
    #[error("Supported protocol versions are 1.0, 1.1, 1.2")]
    NoCommonVersion,
    /// A `heart-beat` header that is not two unsigned integers.
    #[error("heart-beat must be two unsigned integers")]
    BadHeartBeat,
    /// A large frame that did not become whole in time while memory was short.
    #[error("memory for large frames is short, and this one was not whole in time")]
    TooSlow,
}

impl FrameError {
    /// A header that goes with the ERROR.
    pub(super) const fn extra_header(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::NoCommonVersion => Some(("version", "1.0,1.1,1.2")),
            _ => None,
        }
    }

    /// Label of `causeway_frame_errors_total`; stable.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::CommandTooLong { .. } => "command_too_long",
            Self::UnknownCommand => "unknown_command",
            Self::LooksLikeHttp => "http",
            Self::LooksLikeTls => "tls_on_plain_port",
            Self::LineTooLong { .. } => "line_too_long",
            Self::HeadersTooLong { .. } => "headers_too_long",
            Self::TooManyHeaders { .. } => "too_many_headers",
            Self::HeaderWithoutColon => "header_without_colon",
            Self::HeaderNotUtf8 => "header_not_utf8",
            Self::UndefinedEscape => "undefined_escape",
            Self::BadContentLength => "bad_content_length",
            Self::TooLarge { .. } => "too_large",
            Self::NoNulAfterBody => "no_nul_after_body",
            Self::NotConnected => "not_connected",
            Self::AlreadyConnected => "already_connected",
            Self::ServerCommand => "server_command",
            Self::NoCommonVersion => "no_common_version",
            Self::BadHeartBeat => "bad_heart_beat",
            Self::TooSlow => "too_slow",
        }
    }
}

/// A request that was not carried out. The connection stays open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// SEND or SUBSCRIBE without a destination.
    #[error("{0} received without a Destination specified!")]
    NoDestination(&'static str),
    /// A destination without one of the known prefixes.
    #[error(
        "Illegal destination name: [{0}] -- ActiveMQ STOMP destinations must begin with one of: \
         /queue/ /topic/ /temp-queue/ /temp-topic/"
    )]
    IllegalDestination(String),
    /// A name that is empty, too long, or has too many parts.
    #[error("Illegal destination name: [{0}] -- {1}")]
    BadName(String, &'static str),
    /// The user lacks a right: user, verb, destination.
    #[error("User {user} is not authorized to {verb}: {destination}")]
    NotAuthorized {
        /// The user's name.
        user: String,
        /// `read from`, `write to` or `create`.
        verb: &'static str,
        /// The destination, in JMS form.
        destination: String,
    },
    /// A header whose value is not what it must be.
    #[error("The {name} header has an unusable value [{value}]: it must be {allowed}")]
    BadHeader {
        /// The header.
        name: &'static str,
        /// Its value, or the beginning of it.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A property that does not fit into a message.
    #[error("The [{0}] header is too long for a property")]
    PropertyTooLong(String),
    /// A header that must be there.
    #[error("{0} received without a {1} header")]
    MissingHeader(&'static str, &'static str),
    /// A selector that does not parse.
    #[error("Invalid selector: {0}")]
    BadSelector(String),
    /// An id that another subscription of the connection has.
    #[error("There already is a subscription for id [{0}]")]
    DuplicateSubscription(String),
    /// UNSUBSCRIBE that names nothing.
    #[error("No subscription matched.")]
    NoSubscription,
    /// Too many subscriptions.
    #[error("too many subscriptions on this connection (limits.subscriptions)")]
    TooManySubscriptions,
    /// All subscriptions together take as much memory as they may.
    #[error("the broker has no memory left for this subscription (limits.subscription_memory)")]
    NoMemoryForSubscription,
    /// ACK or NACK of something that is not in the client's hands.
    #[error("Unexpected {command} received for message-id [{id}]")]
    UnexpectedAck {
        /// `ACK` or `NACK`.
        command: &'static str,
        /// What the client named.
        id: String,
    },
    /// An unknown transaction, or BEGIN of a known one.
    #[error("Invalid transaction id: {0}")]
    InvalidTransaction(String),
    /// A transaction that grew too large; it is rolled back.
    #[error(
        "transaction {0} is larger than allowed and was rolled back (limits.transaction_frames, limits.transaction_bytes)"
    )]
    TransactionTooLarge(String),
    /// A durable subscription that cannot be made.
    #[error("Invalid Subscription: {0}")]
    InvalidSubscription(&'static str),
    /// A durable subscription that somebody consumes from.
    #[error("Durable consumer is in use for client: {client_id} and subscriptionName: {name}")]
    DurableInUse {
        /// The client id.
        client_id: String,
        /// The subscription's name.
        name: String,
    },
    /// As many durable subscriptions as are allowed.
    #[error(
        "too many durable subscriptions (limits.durable_subscriptions, limits.durable_subscriptions_per_user)"
    )]
    TooManyDurables,
    /// A limit is reached and the policy is to refuse.
    #[error("{destination} is full: the message was refused")]
    Full {
        /// The destination, in JMS form.
        destination: String,
    },
    /// NACK came with 1.1.
    #[error("NACK received but connection is in v1.0 mode.")]
    NoNack,
    /// As many transactions are open as are allowed.
    #[error("too many open transactions on this connection")]
    TooManyTransactions,
    /// As many destinations as are allowed exist.
    #[error("too many destinations (limits.destinations)")]
    TooManyDestinations,
    /// A connection made as many temporary destinations as it may.
    #[error("too many temporary destinations on this connection (limits.temporary_destinations)")]
    TooManyTemporaries,
    /// A temporary destination that is gone, or of another connection.
    #[error("Cannot use {0}: it does not exist or belongs to another connection")]
    NoSuchTemporary(String),
    /// An id that is too long.
    #[error("the {0} header is longer than allowed")]
    IdTooLong(&'static str),
}

impl Refusal {
    /// A header that has that value and must be something else.
    pub(super) fn bad_header(name: &'static str, value: &str, allowed: &'static str) -> Self {
        Self::BadHeader {
            name,
            value: shorten(value),
            allowed,
        }
    }
}

/// As much of what a client wrote as is worth repeating to it.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Why a frame was not carried out: it is broken, or what it asks for is refused.
#[derive(Debug)]
pub(super) enum Failure {
    /// Fatal.
    Broken(FrameError),
    /// The connection stays.
    Refused(Refusal),
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Self::Broken(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
