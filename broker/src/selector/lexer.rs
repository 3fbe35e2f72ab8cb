//! Text to tokens, and tokens to the normal form of the text.
//!
//! Accepts any text and never looks beyond it; knows nothing of the grammar.

use super::MAX_LENGTH;
use super::error::SelectorError;

/// A reserved word, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    And,
    Between,
    Escape,
    False,
    In,
    Is,
    Like,
    Not,
    Null,
    Or,
    True,
    XPath,
    XQuery,
}

const KEYWORDS: [(&str, Keyword); 13] = [
    ("AND", Keyword::And),
    ("BETWEEN", Keyword::Between),
    ("ESCAPE", Keyword::Escape),
    ("FALSE", Keyword::False),
    ("IN", Keyword::In),
    ("IS", Keyword::Is),
    ("LIKE", Keyword::Like),
    ("NOT", Keyword::Not),
    ("NULL", Keyword::Null),
    ("OR", Keyword::Or),
    ("TRUE", Keyword::True),
    ("XPATH", Keyword::XPath),
    ("XQUERY", Keyword::XQuery),
];

/// An operator or a punctuation mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Open,
    Close,
    Comma,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// What a token is; texts borrow from the source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TokenKind<'t> {
    Identifier(&'t str),
    Keyword(Keyword),
    /// What stands between the quotes, doubled quotes still doubled.
    Text(&'t str),
    /// At most 2^63, so that the smallest long can be written.
    Integer(u64),
    /// Finite.
    Double(f64),
    Symbol(Symbol),
}

/// A token and the text it was read from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind<'t>,
    pub(super) position: usize,
    lexeme: &'t str,
}

/// Splits `text` into tokens, dropping blanks and comments.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, SelectorError> {
    let mut lexer = Lexer { text, position: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let position = lexer.position;
        let Some(first) = lexer.peek(0) else {
            return Ok(tokens);
        };
        let kind = lexer.token(first)?;
        let lexeme = lexer.since(position);
        tokens.push(Token {
            kind,
            position,
            lexeme,
        });
    }
}

struct Lexer<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Lexer<'t> {
    fn token(&mut self, first: u8) -> Result<TokenKind<'t>, SelectorError> {
        match first {
            b'\'' => self.string(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) => self.number(),
            byte if starts_identifier(byte) => Ok(self.word()),
            byte => self.symbol(byte),
        }
    }

    fn skip_blanks(&mut self) -> Result<(), SelectorError> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r' | b'\x0c'), _) => self.position += 1,
                (Some(b'-'), Some(b'-')) => self.take_while(|byte| byte != b'\n' && byte != b'\r'),
                (Some(b'/'), Some(b'*')) => self.skip_block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_block_comment(&mut self) -> Result<(), SelectorError> {
        let position = self.position;
        let body = self.text.get(position + 2..).unwrap_or_default();
        let length = body
            .find("*/")
            .ok_or(SelectorError::UnterminatedComment { position })?;
        self.position += 2 + length + 2;
        Ok(())
    }

    fn string(&mut self) -> Result<TokenKind<'t>, SelectorError> {
        let position = self.position;
        self.position += 1;
        loop {
            self.take_while(|byte| byte != b'\'');
            match (self.peek(0), self.peek(1)) {
                (None, _) => return Err(SelectorError::UnterminatedString { position }),
                (_, Some(b'\'')) => self.position += 2,
                _ => break,
            }
        }
        let content = self.since(position + 1);
        self.position += 1;
        Ok(TokenKind::Text(content))
    }

    fn word(&mut self) -> TokenKind<'t> {
        let position = self.position;
        self.take_while(continues_identifier);
        let word = self.since(position);
        KEYWORDS
            .iter()
            .find(|(text, _)| text.eq_ignore_ascii_case(word))
            .map_or(TokenKind::Identifier(word), |&(_, keyword)| {
                TokenKind::Keyword(keyword)
            })
    }

    fn number(&mut self) -> Result<TokenKind<'t>, SelectorError> {
        let position = self.position;
        let kind = if self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X')) {
            self.position += 2;
            let digits = self.digits(|byte| byte.is_ascii_hexdigit());
            integer(digits, 16, position)?
        } else {
            self.decimal(position)?
        };
        match self.peek(0) {
            Some(byte) if continues_identifier(byte) || byte == b'.' => {
                Err(SelectorError::MalformedNumber { position })
            }
            _ => Ok(kind),
        }
    }

    fn decimal(&mut self, position: usize) -> Result<TokenKind<'t>, SelectorError> {
        let digits = self.digits(|byte| byte.is_ascii_digit());
        let mut is_integer = true;
        if self.peek(0) == Some(b'.') {
            is_integer = false;
            self.position += 1;
            self.digits(|byte| byte.is_ascii_digit());
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            is_integer = false;
            self.position += 1;
            if matches!(self.peek(0), Some(b'+' | b'-')) {
                self.position += 1;
            }
            self.digits(|byte| byte.is_ascii_digit());
        }
        if !is_integer {
            return double(self.since(position), position);
        }
        if matches!(self.peek(0), Some(b'l' | b'L')) {
            self.position += 1;
        }
        let is_octal = digits.len() > 1 && digits.starts_with('0');
        integer(digits, if is_octal { 8 } else { 10 }, position)
    }

    fn symbol(&mut self, first: u8) -> Result<TokenKind<'t>, SelectorError> {
        let (symbol, length) = match (first, self.peek(1)) {
            (b'<', Some(b'>')) => (Symbol::NotEqual, 2),
            (b'<', Some(b'=')) => (Symbol::LessEqual, 2),
            (b'>', Some(b'=')) => (Symbol::GreaterEqual, 2),
            (b'<', _) => (Symbol::Less, 1),
            (b'>', _) => (Symbol::Greater, 1),
            (b'=', _) => (Symbol::Equal, 1),
            (b'(', _) => (Symbol::Open, 1),
            (b')', _) => (Symbol::Close, 1),
            (b',', _) => (Symbol::Comma, 1),
            (b'+', _) => (Symbol::Plus, 1),
            (b'-', _) => (Symbol::Minus, 1),
            (b'*', _) => (Symbol::Star, 1),
            (b'/', _) => (Symbol::Slash, 1),
            (b'%', _) => (Symbol::Percent, 1),
            _ => return Err(self.unexpected_character()),
        };
        self.position += length;
        Ok(TokenKind::Symbol(symbol))
    }

    fn unexpected_character(&self) -> SelectorError {
        let rest = self.text.get(self.position..).unwrap_or_default();
        SelectorError::UnexpectedCharacter {
            character: rest.chars().next().unwrap_or_default(),
            position: self.position,
        }
    }

    fn digits(&mut self, is_digit: fn(u8) -> bool) -> &'t str {
        let position = self.position;
        self.take_while(is_digit);
        self.since(position)
    }

    fn take_while(&mut self, accepts: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&accepts) {
            self.position += 1;
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.position + ahead).copied()
    }

    fn since(&self, position: usize) -> &'t str {
        self.text.get(position..self.position).unwrap_or_default()
    }
}

fn integer<'t>(digits: &str, radix: u32, position: usize) -> Result<TokenKind<'t>, SelectorError> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(SelectorError::MalformedNumber { position });
    }
    match u64::from_str_radix(digits, radix) {
        Ok(value) if value <= i64::MIN.unsigned_abs() => Ok(TokenKind::Integer(value)),
        _ => Err(SelectorError::NumberOutOfRange { position }),
    }
}

fn double<'t>(text: &str, position: usize) -> Result<TokenKind<'t>, SelectorError> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(TokenKind::Double(value)),
        Ok(_) => Err(SelectorError::NumberOutOfRange { position }),
        Err(_) => Err(SelectorError::MalformedNumber { position }),
    }
}

const fn starts_identifier(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$'
}

const fn continues_identifier(byte: u8) -> bool {
    starts_identifier(byte) || byte.is_ascii_digit()
}

/// The normal form of a text: one blank between tokens, keywords and numbers in upper case, no
/// comments.
///
/// Blanks are left out where the form would exceed [`MAX_LENGTH`], so that a text which was
/// accepted is accepted again in its normal form.
pub(super) fn normalise(tokens: &[Token<'_>]) -> String {
    let spaced = join(tokens, separates_words);
    if spaced.len() <= MAX_LENGTH {
        return spaced;
    }
    join(tokens, |_, left, right| merges(left, right))
}

type NeedsBlank = fn(Option<TokenKind<'_>>, TokenKind<'_>, TokenKind<'_>) -> bool;

fn join(tokens: &[Token<'_>], needs_blank: NeedsBlank) -> String {
    let mut text = String::new();
    let mut before_last = None;
    let mut last = None;
    for token in tokens {
        if last.is_some_and(|last| needs_blank(before_last, last, token.kind)) {
            text.push(' ');
        }
        match token.kind {
            TokenKind::Identifier(_) | TokenKind::Text(_) => text.push_str(token.lexeme),
            _ => text.extend(token.lexeme.chars().map(|c| c.to_ascii_uppercase())),
        }
        before_last = last;
        last = Some(token.kind);
    }
    text
}

/// Whether the two tokens would be read as something else without a blank.
fn merges(left: TokenKind<'_>, right: TokenKind<'_>) -> bool {
    let minus = TokenKind::Symbol(Symbol::Minus);
    (is_word(left) && is_word(right)) || (left == minus && right == minus)
}

/// Whether a reader expects a blank: not inside parentheses, not after a sign.
fn separates_words(
    before: Option<TokenKind<'_>>,
    left: TokenKind<'_>,
    right: TokenKind<'_>,
) -> bool {
    match (left, right) {
        (TokenKind::Symbol(Symbol::Open), _)
        | (_, TokenKind::Symbol(Symbol::Close | Symbol::Comma)) => false,
        (TokenKind::Symbol(Symbol::Plus | Symbol::Minus), _)
            if !before.is_some_and(ends_operand) =>
        {
            merges(left, right)
        }
        _ => true,
    }
}

fn ends_operand(kind: TokenKind<'_>) -> bool {
    match kind {
        TokenKind::Keyword(keyword) => {
            matches!(keyword, Keyword::True | Keyword::False | Keyword::Null)
        }
        TokenKind::Symbol(symbol) => symbol == Symbol::Close,
        _ => true,
    }
}

const fn is_word(kind: TokenKind<'_>) -> bool {
    !matches!(kind, TokenKind::Symbol(_) | TokenKind::Text(_))
}
