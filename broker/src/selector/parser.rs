//! Tokens to a tree, by operator precedence.
//!
//! Whatever can be known without a message is refused here, so that evaluation cannot fail.
//! Recursion follows parentheses and prefix operators only and is bounded by
//! [`MAX_DEPTH`](super::MAX_DEPTH).

use super::MAX_NODES;
use super::ast::{Comparison, Expression, Literal};
use super::error::SelectorError;
use super::lexer::{Keyword, Symbol, Token, TokenKind};
use super::like::Pattern;
use super::number::{Arithmetic, Number};
use super::parsed::{Parsed, deeper, integer, number};

type Result<T> = std::result::Result<T, SelectorError>;

/// How tightly an operator binds.
mod power {
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const EQUALITY: u8 = 3;
    pub(super) const COMPARISON: u8 = 4;
    pub(super) const SUM: u8 = 5;
    pub(super) const PRODUCT: u8 = 6;
}

/// Builds the tree of a whole selector.
pub(super) fn parse(tokens: &[Token<'_>]) -> Result<Expression> {
    if tokens.is_empty() {
        return Err(SelectorError::Empty);
    }
    let mut parser = Parser {
        tokens,
        next: 0,
        nodes: 0,
    };
    let parsed = parser.expression(power::OR, 0)?;
    if parser.peek().is_some() {
        return Err(parser.unexpected("an operator or the end"));
    }
    Ok(parsed.condition()?.expression)
}

/// An operator between two operands or behind one.
#[derive(Clone, Copy)]
enum Infix {
    Or,
    And,
    Equality(Comparison),
    Is,
    Order(Comparison),
    Not,
    Like,
    Between,
    In,
    Arithmetic(Arithmetic),
}

impl Infix {
    const fn of(kind: TokenKind<'_>) -> Option<Self> {
        Some(match kind {
            TokenKind::Keyword(Keyword::Or) => Self::Or,
            TokenKind::Keyword(Keyword::And) => Self::And,
            TokenKind::Keyword(Keyword::Is) => Self::Is,
            TokenKind::Keyword(Keyword::Not) => Self::Not,
            TokenKind::Keyword(Keyword::Like) => Self::Like,
            TokenKind::Keyword(Keyword::Between) => Self::Between,
            TokenKind::Keyword(Keyword::In) => Self::In,
            TokenKind::Symbol(Symbol::Equal) => Self::Equality(Comparison::Equal),
            TokenKind::Symbol(Symbol::NotEqual) => Self::Equality(Comparison::NotEqual),
            TokenKind::Symbol(Symbol::Less) => Self::Order(Comparison::Less),
            TokenKind::Symbol(Symbol::LessEqual) => Self::Order(Comparison::LessEqual),
            TokenKind::Symbol(Symbol::Greater) => Self::Order(Comparison::Greater),
            TokenKind::Symbol(Symbol::GreaterEqual) => Self::Order(Comparison::GreaterEqual),
            TokenKind::Symbol(Symbol::Plus) => Self::Arithmetic(Arithmetic::Add),
            TokenKind::Symbol(Symbol::Minus) => Self::Arithmetic(Arithmetic::Subtract),
            TokenKind::Symbol(Symbol::Star) => Self::Arithmetic(Arithmetic::Multiply),
            TokenKind::Symbol(Symbol::Slash) => Self::Arithmetic(Arithmetic::Divide),
            TokenKind::Symbol(Symbol::Percent) => Self::Arithmetic(Arithmetic::Remainder),
            _ => return None,
        })
    }

    const fn power(self) -> u8 {
        match self {
            Self::Or => power::OR,
            Self::And => power::AND,
            Self::Equality(_) | Self::Is => power::EQUALITY,
            Self::Order(_) | Self::Not | Self::Like | Self::Between | Self::In => power::COMPARISON,
            Self::Arithmetic(Arithmetic::Add | Arithmetic::Subtract) => power::SUM,
            Self::Arithmetic(_) => power::PRODUCT,
        }
    }

    /// Whether the right side is an operand.
    const fn is_binary(self) -> bool {
        matches!(
            self,
            Self::Or | Self::And | Self::Equality(_) | Self::Order(_) | Self::Arithmetic(_)
        )
    }

    /// Refuses what cannot be an operand.
    fn check(self, operand: Parsed) -> Result<Parsed> {
        match self {
            Self::Or | Self::And => operand.condition(),
            Self::Equality(_) => operand.equality_operand(),
            Self::Order(_) => operand.ordered_operand(),
            Self::Arithmetic(_) => operand.arithmetic_operand(),
            Self::Is | Self::Not | Self::Like | Self::Between | Self::In => Ok(operand),
        }
    }

    /// Both operands as one, the left one checked before.
    fn join(self, left: Parsed, right: Parsed) -> Result<Parsed> {
        let right = self.check(right)?;
        match self {
            Self::Or => Ok(left.or(right)),
            Self::And => Ok(left.and(right)),
            Self::Equality(comparison) => left.equality(comparison, right),
            Self::Order(comparison) => Ok(left.compare(comparison, right)),
            Self::Arithmetic(operator) => Ok(left.arithmetic(operator, right)),
            Self::Is | Self::Not | Self::Like | Self::Between | Self::In => Ok(left),
        }
    }
}

struct Parser<'t> {
    tokens: &'t [Token<'t>],
    next: usize,
    nodes: usize,
}

impl<'t> Parser<'t> {
    /// Reads an operand and every operator behind it that binds at least as tightly as `minimum`.
    ///
    /// Left sides wait in a list and not on the stack.
    fn expression(&mut self, minimum: u8, depth: usize) -> Result<Parsed> {
        let mut waiting: Vec<(Parsed, Infix)> = Vec::new();
        let mut current = self.operand(depth)?;
        loop {
            let infix = self.infix(minimum)?;
            let power = infix.map_or(0, Infix::power);
            while let Some((left, infix)) = waiting.pop_if(|(_, infix)| infix.power() >= power) {
                current = infix.join(left, current)?;
            }
            match infix {
                None => return Ok(current),
                Some(infix) if infix.is_binary() => {
                    waiting.push((infix.check(current)?, infix));
                    current = self.operand(depth)?;
                }
                Some(infix) => current = self.postfix(current, infix, depth)?,
            }
        }
    }

    /// The next operator, if it binds tightly enough.
    fn infix(&mut self, minimum: u8) -> Result<Option<Infix>> {
        let infix = self.peek().and_then(|token| Infix::of(token.kind));
        let infix = infix.filter(|infix| infix.power() >= minimum);
        if infix.is_some() {
            self.count_node()?;
            self.next += 1;
        }
        Ok(infix)
    }

    /// The operators whose right side is not an operand.
    fn postfix(&mut self, left: Parsed, infix: Infix, depth: usize) -> Result<Parsed> {
        match infix {
            Infix::Not if self.accept(Keyword::Like) => self.like(left, true),
            Infix::Not if self.accept(Keyword::Between) => self.between(left, true, depth),
            Infix::Not if self.accept(Keyword::In) => self.one_of(left, true),
            Infix::Like => self.like(left, false),
            Infix::Between => self.between(left, false, depth),
            Infix::In => self.one_of(left, false),
            Infix::Is => {
                let negated = self.accept(Keyword::Not);
                self.expect_keyword(Keyword::Null, "null or not null")?;
                left.null_test(negated)
            }
            _ => Err(self.unexpected("like, between or in")),
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Parsed> {
        let Some(&Token { kind, position, .. }) = self.peek() else {
            return Err(self.unexpected("an operand"));
        };
        match kind {
            TokenKind::Symbol(Symbol::Open) => self.parenthesised(position, depth),
            TokenKind::Symbol(Symbol::Plus) => self.positive(position, depth),
            TokenKind::Symbol(Symbol::Minus) => self.negative(position, depth),
            TokenKind::Keyword(Keyword::Not) => self.not(position, depth),
            _ => self.leaf(kind, position),
        }
    }

    fn leaf(&mut self, kind: TokenKind<'_>, position: usize) -> Result<Parsed> {
        let expression = match kind {
            TokenKind::Identifier(name) => Expression::Property(name.into()),
            TokenKind::Text(raw) => Expression::Literal(Literal::Text(unquote(raw).into())),
            TokenKind::Double(value) => number(Number::Double(value)),
            TokenKind::Integer(value) => integer(value, false, position)?,
            TokenKind::Keyword(Keyword::True) => Expression::Literal(Literal::Bool(true)),
            TokenKind::Keyword(Keyword::False) => Expression::Literal(Literal::Bool(false)),
            TokenKind::Keyword(Keyword::Null) => Expression::Literal(Literal::Null),
            TokenKind::Keyword(Keyword::XPath | Keyword::XQuery) => {
                return Err(SelectorError::XmlQuery { position });
            }
            _ => return Err(self.unexpected("an operand")),
        };
        self.count_node()?;
        self.next += 1;
        Ok(Parsed::leaf(expression, position))
    }

    fn parenthesised(&mut self, position: usize, depth: usize) -> Result<Parsed> {
        self.next += 1;
        let inner = self.expression(power::OR, deeper(depth, position)?)?;
        self.expect(Symbol::Close, "an operator or a closing parenthesis")?;
        inner.nested(position)
    }

    /// NOT takes the whole comparison behind it: `NOT a = 1` is `NOT (a = 1)`.
    fn not(&mut self, position: usize, depth: usize) -> Result<Parsed> {
        self.count_node()?;
        self.next += 1;
        let inner = self.expression(power::EQUALITY, deeper(depth, position)?)?;
        inner.negated_condition(position)
    }

    fn positive(&mut self, position: usize, depth: usize) -> Result<Parsed> {
        self.next += 1;
        let inner = self.operand(deeper(depth, position)?)?;
        inner.arithmetic_operand()?.nested(position)
    }

    /// A minus before a number belongs to the literal: only so the smallest long can be written.
    fn negative(&mut self, position: usize, depth: usize) -> Result<Parsed> {
        self.count_node()?;
        self.next += 1;
        let literal = match self.peek().map(|token| token.kind) {
            Some(TokenKind::Integer(value)) => integer(value, true, position)?,
            Some(TokenKind::Double(value)) => number(Number::Double(-value)),
            _ => {
                let inner = self.operand(deeper(depth, position)?)?;
                return inner.negated_number(position);
            }
        };
        self.next += 1;
        Ok(Parsed::leaf(literal, position))
    }

    fn like(&mut self, left: Parsed, negated: bool) -> Result<Parsed> {
        let left = left.like_operand()?;
        let (text, _) = self.string()?;
        let escape = self.escape()?;
        Ok(left.map(|operand| Expression::Like {
            operand: Box::new(operand),
            pattern: Pattern::new(&text, escape),
            negated,
        }))
    }

    fn escape(&mut self) -> Result<Option<char>> {
        if !self.accept(Keyword::Escape) {
            return Ok(None);
        }
        let (text, position) = self.string()?;
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => Ok(Some(character)),
            _ => Err(SelectorError::EscapeLength { position }),
        }
    }

    fn between(&mut self, left: Parsed, negated: bool, depth: usize) -> Result<Parsed> {
        let left = left.ordered_operand()?;
        let low = self.expression(power::SUM, depth)?.ordered_operand()?;
        self.expect_keyword(Keyword::And, "and")?;
        let high = self.expression(power::SUM, depth)?.ordered_operand()?;
        Ok(left.between(low, high, negated))
    }

    fn one_of(&mut self, left: Parsed, negated: bool) -> Result<Parsed> {
        let position = left.position;
        let Expression::Property(name) = left.expression else {
            return Err(SelectorError::NotAProperty { position });
        };
        self.expect(Symbol::Open, "an opening parenthesis")?;
        let mut texts = Vec::new();
        loop {
            self.count_node()?;
            texts.push(self.string()?.0.into_boxed_str());
            if self
                .peek()
                .is_none_or(|token| token.kind != TokenKind::Symbol(Symbol::Comma))
            {
                break;
            }
            self.next += 1;
        }
        self.expect(Symbol::Close, "a comma or a closing parenthesis")?;
        texts.sort_unstable();
        let expression = Expression::In {
            name,
            texts,
            negated,
        };
        Ok(Parsed::leaf(expression, position))
    }

    /// A string literal and where it stands.
    fn string(&mut self) -> Result<(String, usize)> {
        match self.peek() {
            Some(&Token {
                kind: TokenKind::Text(raw),
                position,
                ..
            }) => {
                self.next += 1;
                Ok((unquote(raw), position))
            }
            _ => Err(self.unexpected("a string literal")),
        }
    }

    fn accept(&mut self, keyword: Keyword) -> bool {
        let is_next = self
            .peek()
            .is_some_and(|token| token.kind == TokenKind::Keyword(keyword));
        self.next += usize::from(is_next);
        is_next
    }

    fn expect_keyword(&mut self, keyword: Keyword, expected: &'static str) -> Result<()> {
        if self.accept(keyword) {
            return Ok(());
        }
        Err(self.unexpected(expected))
    }

    fn expect(&mut self, symbol: Symbol, expected: &'static str) -> Result<()> {
        match self.peek() {
            Some(token) if token.kind == TokenKind::Symbol(symbol) => {
                self.next += 1;
                Ok(())
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn peek(&self) -> Option<&'t Token<'t>> {
        self.tokens.get(self.next)
    }

    fn count_node(&mut self) -> Result<()> {
        if self.nodes >= MAX_NODES {
            return Err(SelectorError::TooManyNodes {
                limit: MAX_NODES,
                position: self.peek().map_or(0, |token| token.position),
            });
        }
        self.nodes += 1;
        Ok(())
    }

    fn unexpected(&self, expected: &'static str) -> SelectorError {
        match self.peek() {
            Some(token) => SelectorError::UnexpectedToken {
                expected,
                position: token.position,
            },
            None => SelectorError::UnexpectedEnd { expected },
        }
    }
}

fn unquote(raw: &str) -> String {
    raw.replace("''", "'")
}
