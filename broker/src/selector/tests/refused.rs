//! Texts that are no selectors, and what their authors are told.

use super::super::{Conversion, Selector, SelectorError};
use super::rows;

#[test]
fn what_is_no_selector_is_refused_with_its_cause() {
    let rows = rows(TABLE);
    assert!(rows.len() >= 75, "{}", rows.len());
    for (text, expected) in rows {
        for conversion in [Conversion::Strict, Conversion::ConvertStrings] {
            let Err(error) = Selector::parse(text, conversion) else {
                panic!("{text} is accepted");
            };
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }
}

const TABLE: &str = r"
     => selector is empty
    -- only a note => selector is empty
    /* note */ => selector is empty
    # => unexpected character '#' at offset 0
    a = 1; => unexpected character ';' at offset 5
    ä = 1 => unexpected character 'ä' at offset 0
    a == 1 => expected an operand at offset 3
    a != 1 => unexpected character '!' at offset 2
    a = :x => unexpected character ':' at offset 4
    a.b = 1 => unexpected character '.' at offset 1
    a = . => unexpected character '.' at offset 4
    a & b => unexpected character '&' at offset 2
    a = 'x => string literal at offset 4 is not closed
    a = 'x'' => string literal at offset 4 is not closed
    a = ' => string literal at offset 4 is not closed
    a = 1 /* note => comment at offset 6 is not closed
    a = 1 /*/ => comment at offset 6 is not closed
    a = 1x => malformed number at offset 4
    a = 1.5f => malformed number at offset 4
    a = 1.2.3 => malformed number at offset 4
    a = 5E => malformed number at offset 4
    a = 5E+ => malformed number at offset 4
    a = 0x => malformed number at offset 4
    a = 0xG => malformed number at offset 4
    a = 0x1FL => malformed number at offset 4
    a = 089 => malformed number at offset 4
    a = 10AND b => malformed number at offset 4
    a = 9223372036854775808 => number at offset 4 is out of range
    a = 0x8000000000000000 => number at offset 4 is out of range
    a = 99999999999999999999 => number at offset 4 is out of range
    a = -9223372036854775809 => number at offset 5 is out of range
    a = - 9223372036854775809 => number at offset 6 is out of range
    a = -0x8000000000000001 => number at offset 5 is out of range
    a = 1E999 => number at offset 4 is out of range
    a = => expected an operand at the end
    = 1 => expected an operand at offset 0
    a = 1 AND => expected an operand at the end
    AND a => expected an operand at offset 0
    NOT => expected an operand at the end
    a b => expected an operator or the end at offset 2
    a = 1 2 => expected an operator or the end at offset 6
    a = 'x' 'y' => expected an operator or the end at offset 8
    a = 1) => expected an operator or the end at offset 5
    (a = 1 => expected an operator or a closing parenthesis at the end
    (a = 1 b) => expected an operator or a closing parenthesis at offset 7
    () => expected an operand at offset 1
    a NOT => expected like, between or in at the end
    a NOT = 1 => expected like, between or in at offset 6
    a IS => expected null or not null at the end
    a IS 1 => expected null or not null at offset 5
    a IS NOT 1 => expected null or not null at offset 9
    a IS TRUE => expected null or not null at offset 5
    a LIKE => expected a string literal at the end
    a LIKE 1 => expected a string literal at offset 7
    a LIKE b => expected a string literal at offset 7
    a LIKE 'x' ESCAPE => expected a string literal at the end
    a LIKE 'x' ESCAPE 1 => expected a string literal at offset 18
    a LIKE 'x' ESCAPE '' => escape at offset 18 is not one character
    a LIKE 'x' ESCAPE 'ab' => escape at offset 18 is not one character
    a IN => expected an opening parenthesis at the end
    a IN 'x' => expected an opening parenthesis at offset 5
    a IN () => expected a string literal at offset 6
    a IN (1) => expected a string literal at offset 6
    a IN ('x' => expected a comma or a closing parenthesis at the end
    a IN ('x',) => expected a string literal at offset 10
    a IN ('x' 'y') => expected a comma or a closing parenthesis at offset 10
    a IN ('x', 1) => expected a string literal at offset 11
    a BETWEEN 1 => expected and at the end
    a BETWEEN 1 OR 2 => expected and at offset 12
    a BETWEEN 1 AND => expected an operand at the end
    xpath 'x' => xpath and xquery are not supported (offset 0)
    XPATH '//a' => xpath and xquery are not supported (offset 0)
    a = 1 AND XQUERY 'x' => xpath and xquery are not supported (offset 10)
    'x' => expression at offset 0 is not a condition
    5 => expression at offset 0 is not a condition
    a + 1 => expression at offset 0 is not a condition
    -a => expression at offset 0 is not a condition
    NOT 5 => expression at offset 4 is not a condition
    NOT 'x' => expression at offset 4 is not a condition
    NOT a + 1 => expression at offset 4 is not a condition
    a AND 5 => expression at offset 6 is not a condition
    'x' OR a => expression at offset 0 is not a condition
    a > 'x' => expression at offset 4 cannot be compared this way
    'x' <= a => expression at offset 0 cannot be compared this way
    a < TRUE => expression at offset 4 cannot be compared this way
    FALSE >= a => expression at offset 0 cannot be compared this way
    a > NULL => expression at offset 4 cannot be compared this way
    a < b < c => expression at offset 0 cannot be compared this way
    a BETWEEN 'x' AND 'y' => expression at offset 10 cannot be compared this way
    a BETWEEN 1 AND 'y' => expression at offset 16 cannot be compared this way
    a BETWEEN TRUE AND 1 => expression at offset 10 cannot be compared this way
    'a' BETWEEN 1 AND 2 => expression at offset 0 cannot be compared this way
    TRUE LIKE 'x' => expression at offset 0 cannot be compared this way
    a LIKE 'x' LIKE 'y' => expression at offset 0 cannot be compared this way
    a = NULL => null at offset 4 can only be tested with is null
    NULL <> a => null at offset 0 can only be tested with is null
    TRUE + 1 = 2 => expression at offset 0 is not a number
    1 + TRUE = 2 => expression at offset 4 is not a number
    -TRUE = 1 => expression at offset 1 is not a number
    +(a = 1) => expression at offset 1 is not a number
    1 + NOT a = 2 => expression at offset 4 is not a number
    5 IN ('x') => left side of in at offset 0 is not a property
    'x' IN ('x') => left side of in at offset 0 is not a property
    a + 'x' IN ('x') => left side of in at offset 0 is not a property
    like = 1 => expected an operand at offset 0
    escape = 1 => expected an operand at offset 0
";

#[test]
fn position_is_counted_behind_the_conversion_prefix() {
    let text = "convert_string_expressions:a = #";
    let expected = SelectorError::UnexpectedCharacter {
        character: '#',
        position: 4,
    };
    assert_eq!(Selector::parse(text, Conversion::Strict), Err(expected));
}

#[test]
fn a_second_conversion_prefix_is_refused() {
    let text = "convert_string_expressions:convert_string_expressions:a = 1";
    let expected = SelectorError::UnexpectedCharacter {
        character: ':',
        position: 26,
    };
    assert_eq!(Selector::parse(text, Conversion::Strict), Err(expected));
}
