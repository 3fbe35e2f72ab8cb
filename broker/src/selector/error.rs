//! Why a text is not a selector.

/// Why a text is not a selector: one variant per cause.
///
/// `position` is the byte offset in the expression, after a conversion prefix if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// The text is longer than [`MAX_LENGTH`](super::MAX_LENGTH).
    #[error("selector of {seen} bytes exceeds the limit of {limit}")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
        /// The length of the text in bytes.
        seen: usize,
    },
    /// Nothing but blanks and comments.
    #[error("selector is empty")]
    Empty,
    /// A character that starts no token.
    #[error("unexpected character {character:?} at offset {position}")]
    UnexpectedCharacter {
        /// The character.
        character: char,
        /// Where it stands.
        position: usize,
    },
    /// A string literal without its closing quote.
    #[error("string literal at offset {position} is not closed")]
    UnterminatedString {
        /// Where the literal starts.
        position: usize,
    },
    /// A block comment without its end.
    #[error("comment at offset {position} is not closed")]
    UnterminatedComment {
        /// Where the comment starts.
        position: usize,
    },
    /// Digits that form no number.
    #[error("malformed number at offset {position}")]
    MalformedNumber {
        /// Where the number starts.
        position: usize,
    },
    /// An integer beyond 64 bits or a float beyond a double.
    #[error("number at offset {position} is out of range")]
    NumberOutOfRange {
        /// Where the number starts.
        position: usize,
    },
    /// Parentheses, prefix operators or chained comparisons beyond
    /// [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("selector nests deeper than {limit} at offset {position}")]
    TooDeep {
        /// The limit.
        limit: usize,
        /// Where the limit is exceeded.
        position: usize,
    },
    /// Operands and operators beyond [`MAX_NODES`](super::MAX_NODES).
    #[error("selector has more than {limit} operands and operators at offset {position}")]
    TooManyNodes {
        /// The limit.
        limit: usize,
        /// Where the limit is exceeded.
        position: usize,
    },
    /// A token that cannot stand here.
    #[error("expected {expected} at offset {position}")]
    UnexpectedToken {
        /// What could stand here.
        expected: &'static str,
        /// Where the token starts.
        position: usize,
    },
    /// The text ends too early.
    #[error("expected {expected} at the end")]
    UnexpectedEnd {
        /// What is missing.
        expected: &'static str,
    },
    /// `XPATH` or `XQUERY`.
    #[error("xpath and xquery are not supported (offset {position})")]
    XmlQuery {
        /// Where the keyword stands.
        position: usize,
    },
    /// A number or string where a condition is needed.
    #[error("expression at offset {position} is not a condition")]
    NotACondition {
        /// Where the expression starts.
        position: usize,
    },
    /// A condition, or a literal of the wrong type, as operand of an order comparison or `LIKE`.
    #[error("expression at offset {position} cannot be compared this way")]
    NotComparable {
        /// Where the expression starts.
        position: usize,
    },
    /// `NULL` as operand of `=` or `<>`: only `IS NULL` asks for it.
    #[error("null at offset {position} can only be tested with is null")]
    ComparedWithNull {
        /// Where the literal stands.
        position: usize,
    },
    /// A condition as operand of arithmetic.
    #[error("expression at offset {position} is not a number")]
    NotArithmetic {
        /// Where the expression starts.
        position: usize,
    },
    /// Something else than a property on the left of `IN`.
    #[error("left side of in at offset {position} is not a property")]
    NotAProperty {
        /// Where the expression starts.
        position: usize,
    },
    /// An `ESCAPE` string of none or several characters.
    #[error("escape at offset {position} is not one character")]
    EscapeLength {
        /// Where the string stands.
        position: usize,
    },
}
