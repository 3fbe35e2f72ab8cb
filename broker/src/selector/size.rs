//! How much memory a selector takes.

use super::Selector;
use super::ast::{Expression, Literal};

/// What an allocation takes beside what is asked for.
const BLOCK: usize = 24;

impl Selector {
    /// About how many bytes it takes, its text included. Clones take nothing.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of_val(&*self.0) + 2 * BLOCK + self.0.text.len() + below(&self.0.expression)
    }
}

/// What hangs on a node, without the node itself.
fn below(node: &Expression) -> usize {
    match node {
        Expression::Literal(Literal::Text(text)) => string(text),
        Expression::Literal(_) => 0,
        Expression::Property(name) => string(name),
        Expression::Negate(operand)
        | Expression::Not(operand)
        | Expression::IsNull { operand, .. } => boxed(operand),
        Expression::Like {
            operand, pattern, ..
        } => boxed(operand) + pattern.size(),
        Expression::Arithmetic { first, rest } => {
            let parts = rest.iter().map(|(_, part)| below(part)).sum::<usize>();
            boxed(first) + BLOCK + size_of_val(&**rest) + parts
        }
        Expression::And(parts) | Expression::Or(parts) => {
            BLOCK + size_of_val(&**parts) + parts.iter().map(below).sum::<usize>()
        }
        Expression::Compare { sides, .. } => {
            BLOCK + size_of_val(&**sides) + below(&sides.0) + below(&sides.1)
        }
        Expression::Between { operands, .. } => {
            let (value, least, most) = &**operands;
            BLOCK + size_of_val(&**operands) + below(value) + below(least) + below(most)
        }
        Expression::In { name, texts, .. } => {
            let texts =
                BLOCK + size_of_val(&**texts) + texts.iter().map(|one| string(one)).sum::<usize>();
            string(name) + texts
        }
    }
}

fn boxed(node: &Expression) -> usize {
    BLOCK + size_of_val(node) + below(node)
}

const fn string(text: &str) -> usize {
    BLOCK + text.len()
}

#[cfg(test)]
mod tests {
    use crate::selector::{Conversion, Selector};

    fn size(text: &str) -> usize {
        let parsed = Selector::parse(text, Conversion::ConvertStrings);
        parsed.expect("a selector").size()
    }

    #[test]
    fn a_selector_counts_what_it_is_made_of_and_not_only_its_text() {
        let list = |count: usize| {
            let texts: Vec<String> = (100..100 + count).map(|text| format!("'{text}'")).collect();
            format!("a IN ({})", texts.join(","))
        };
        assert!(size(&list(100)) - size(&list(50)) >= 50 * (16 + 24 + 3));
        assert!(size("a = 1 AND b = 2 AND c = 3") > size("a = 1 AND b = 2") + 100);
        assert!(size("a LIKE 'xxxxxxxxxx%'") >= size("a LIKE 'x%'") + 2 * 9);
    }
}
