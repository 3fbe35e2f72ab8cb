//! The language without conversion of strings.

use super::super::Conversion;
use super::{Message, Property, check_table};

fn message() -> Message {
    Message::default()
        .with("i", Property::Int(10))
        .with("n", Property::Int(-3))
        .with("zero", Property::Int(0))
        .with("max", Property::Int(i32::MAX))
        .with("l", Property::Long(10_000_000_000))
        .with("top", Property::Long(i64::MAX))
        .with("d", Property::Double(2.5))
        .with("nan", Property::Double(f64::NAN))
        .with("t", Property::Bool(true))
        .with("f", Property::Bool(false))
        .with("s", "abc")
        .with("empty", "")
        .with("num", "10")
        .with("word", "true")
        .with("quote", "it's")
        .with("lines", "one\ntwo")
        .with("umlaut", "aäb")
        .with("emoji", "😀")
        .with("private", "\u{e000}")
        .with("percent", "50%")
        .with("under", "a_b")
        .with("_x$1", Property::Int(1))
        .with("mc", Property::Int(7))
        .with("id", Property::Int(2))
}

#[test]
fn literals_are_read_as_their_type() {
    let rows = check_table(LITERALS, Conversion::Strict, &message());
    assert!(rows >= 40, "{rows}");
}

const LITERALS: &str = r"
    TRUE => true
    FALSE => false
    NULL => unknown
    true => true
    fAlSe => false
    i = 10 => true
    i = 10L => true
    i = 10l => true
    i = 0xA => true
    i = 0Xa => true
    i = 012 => true
    i = 10. => true
    i = 10.0 => true
    i = 1E1 => true
    i = 1e+1 => true
    i = 100e-1 => true
    i = .1E2 => true
    i = 1.E1 => true
    i = 10.5 => false
    d = 2.5 => true
    d = 25E-1 => true
    d = 2 => false
    zero = 0 => true
    zero = 00 => true
    zero = 0x0 => true
    zero = 0.0 => true
    zero = -0.0 => true
    zero = 0L => true
    n = -3 => true
    n = - 3 => true
    n = -3.0 => true
    n = +-3 => true
    n = -(3) => true
    n = - -3 => false
    max = 2147483647 => true
    max = 0x7FFFFFFF => true
    max < 2147483648 => true
    top = 9223372036854775807 => true
    top > -9223372036854775808 => true
    top = 0x7FFFFFFFFFFFFFFF => true
    top = 0777777777777777777777 => true
    s = 'abc' => true
    s = 'ABC' => false
    empty = '' => true
    s = '' => false
    quote = 'it''s' => true
    quote = 'its' => false
    lines = 'one two' => false
    umlaut = 'aäb' => true
    _x$1 = 1 => true
    S = 'abc' => unknown
";

#[test]
fn comparisons_follow_the_types_of_both_sides() {
    let rows = check_table(COMPARISONS, Conversion::Strict, &message());
    assert!(rows >= 70, "{rows}");
}

const COMPARISONS: &str = r"
    i = i => true
    i <> i => false
    i = n => false
    i <> n => true
    10 = i => true
    9 < i => true
    i < 10 => false
    i <= 10 => true
    i > 10 => false
    i >= 10 => true
    i > 9 => true
    i > 9.5 => true
    i < 10.5 => true
    i < l => true
    l > i => true
    l > 2.5 => true
    l = 10000000000 => true
    l = 1E10 => true
    d > 2 => true
    d < 3 => true
    d < l => true
    n < zero => true
    n < -2 => true
    nan = nan => false
    nan <> nan => true
    nan < 1 => false
    nan >= 1 => false
    i = 'abc' => false
    i <> 'abc' => true
    i = '10' => false
    num = 10 => false
    num <> 10 => true
    num > 5 => false
    num < 5 => false
    5 < num => false
    s = t => false
    s <> t => true
    s = TRUE => false
    word = TRUE => false
    word <> TRUE => true
    i = TRUE => false
    i <> TRUE => true
    TRUE = 1 => false
    1 = TRUE => false
    t = TRUE => true
    TRUE = t => true
    t = FALSE => false
    t <> FALSE => true
    f = FALSE => true
    f <> t => true
    f = f => true
    t < f => false
    f < t => false
    t >= t => false
    t > 0 => false
    s < num => false
    num < s => true
    s >= s => true
    s > empty => true
    umlaut > s => true
    emoji < private => true
    private < emoji => false
    emoji = '😀' => true
    emoji <> private => true
    (i = 10) = TRUE => true
    (i = 11) = FALSE => true
    i = 10 = TRUE => true
    i = 10 = t => true
    i = 10 <> f => true
    TRUE = TRUE => true
    TRUE <> FALSE => true
    t = (s = 'abc') => true
    t = NOT f => true
    f = NOT t => true
    t = NOT i = 10 => false
    i=10 => true
    i<>10 => false
    i>=10 => true
";

#[test]
fn logic_has_three_values() {
    let rows = check_table(LOGIC, Conversion::Strict, &message());
    assert!(rows >= 70, "{rows}");
}

const LOGIC: &str = r"
    t => true
    f => false
    m => unknown
    s => false
    i => false
    word => false
    (t) => true
    NOT t => false
    NOT f => true
    NOT m => unknown
    NOT s => true
    NOT i => true
    NOT NOT t => true
    not Not m => unknown
    NOT (t) => false
    NOT i = 10 => false
    NOT i = 11 => true
    NOT (i = 11) => true
    NOT m = 1 => unknown
    NOT i > 10 => true
    NOT i + 1 > 10 => false
    NOT i IS NULL => true
    NOT m IS NULL => false
    NOT s LIKE 'a%' => false
    NOT i BETWEEN 1 AND 5 => true
    NOT s IN ('x') => true
    NOT f AND f => false
    NOT (f AND f) => true
    NOT t OR t => true
    NOT (t OR t) => false
    t AND t => true
    t AND f => false
    f AND t => false
    f AND f => false
    t AND m => unknown
    m AND t => unknown
    f AND m => false
    m AND f => false
    m AND m => unknown
    t OR t => true
    t OR f => true
    f OR t => true
    f OR f => false
    t OR m => true
    m OR t => true
    f OR m => unknown
    m OR f => unknown
    m OR m => unknown
    t AND t AND f => false
    t AND m AND f => false
    f OR m OR t => true
    t OR f AND f => true
    f AND f OR t => true
    (t OR f) AND f => false
    f AND (f OR t) => false
    t and f or t AND t => true
    s AND t => false
    s OR t => true
    NULL AND TRUE => unknown
    NULL OR TRUE => true
    NULL AND FALSE => false
    NOT NULL => unknown
    m = 1 => unknown
    1 = m => unknown
    m <> 1 => unknown
    m = m => unknown
    m <> m => unknown
    m < 1 => unknown
    1 >= m => unknown
    s = m => unknown
    t = m => unknown
    m = TRUE => unknown
    (m = 1) = TRUE => unknown
    m = 1 OR t => true
    m = 1 AND f => false
    NOT (m = 1 AND f) => true
    i = 10 AND s = 'abc' OR m > 5 => true
";

#[test]
fn tests_for_null_are_never_unknown() {
    let rows = check_table(NULLS, Conversion::Strict, &message());
    assert!(rows >= 14, "{rows}");
}

const NULLS: &str = r"
    m IS NULL => true
    m IS NOT NULL => false
    i IS NULL => false
    i IS NOT NULL => true
    i is Not null => true
    empty IS NULL => false
    f IS NULL => false
    NULL IS NULL => true
    (m + 1) IS NULL => true
    m + 1 IS NULL => true
    i + 1 IS NULL => false
    i + s IS NULL => true
    (m = 1) IS NULL => true
    m = 1 IS NULL => true
    m IS NULL IS NULL => false
    m IS NULL = TRUE => true
    'x' IS NOT NULL => true
";

#[test]
fn arithmetic_promotes_and_wraps() {
    let rows = check_table(ARITHMETIC, Conversion::Strict, &message());
    assert!(rows >= 50, "{rows}");
}

const ARITHMETIC: &str = r"
    i + 1 = 11 => true
    i - 1 = 9 => true
    i -1 = 9 => true
    i-1 = 9 => true
    i * 2 = 20 => true
    i / 4 = 2.5 => true
    i % 3 = 1 => true
    i % 2.5 = 0 => true
    n % 2 = -1 => true
    1 + 2 * 3 = 7 => true
    (1 + 2) * 3 = 9 => true
    10 - 2 - 3 = 5 => true
    10 - (2 - 3) = 11 => true
    24 / 4 / 2 = 3 => true
    24 / (4 / 2) = 12 => true
    2 * 3 % 4 = 2 => true
    2 + 3 - 1 = 4 => true
    -i = -10 => true
    -i + 10 = 0 => true
    - - i = 10 => true
    -(i + 1) = -11 => true
    +i = 10 => true
    + + i = 10 => true
    -n = 3 => true
    2 - -2 = 4 => true
    2 * -3 = -6 => true
    max + 1 = -2147483648 => true
    max + 1 < 0 => true
    max + 1L < 0 => true
    max + 2147483648 > 0 => true
    max * 2 = -2 => true
    top + 1 < 0 => true
    top + i < 0 => true
    top + 1.0 > 0 => true
    l + i = 10000000010 => true
    l - i = 9999999990 => true
    l * 2 = 20000000000 => true
    d + d = 5 => true
    d * 2 = 5 => true
    d - 0.5 = 2 => true
    1 / 0 > 1000 => true
    0 / 0 = 0 / 0 => false
    1 % 0 = 0 => false
    mc-id = 5 => true
    mc_id = 5 => unknown
    m + 1 = 1 => unknown
    1 + m = 1 => unknown
    -m = 1 => unknown
    m * 0 = 0 => unknown
    t + 1 = 2 => unknown
    -t = 1 => unknown
    i + num = 20 => unknown
    num * 2 = 20 => unknown
    num - 1 = 9 => unknown
    -num = -10 => unknown
    +num = '10' => true
    s + 'd' = 'abcd' => true
    s + 1 = 'abc1' => true
    s + l = 'abc10000000000' => true
    s + d = 'abc2.5' => true
    s + 1.0 = 'abc1.0' => true
    s + t = 'abctrue' => true
    s + m = 'abc' => unknown
    m + s = 'abc' => unknown
    1 + s = '1abc' => unknown
    'x' + s + empty + 1 = 'xabc1' => true
    '' + i = '10' => true
    i + 1 + 1 > i + 1 => true
";

#[test]
fn lists_ranges_and_patterns_select() {
    let rows = check_table(SETS, Conversion::Strict, &message());
    assert!(rows >= 60, "{rows}");
}

const SETS: &str = r"
    s IN ('abc') => true
    s IN ('a', 'abc', 'z') => true
    s IN ('z', 'abc', 'a') => true
    s IN ('a', 'b') => false
    s NOT IN ('a', 'b') => true
    s NOT IN ('a', 'abc') => false
    s in ('abc','abc') => true
    (s) IN ('abc') => true
    quote IN ('it''s') => true
    empty IN ('') => true
    m IN ('a') => unknown
    m NOT IN ('a') => unknown
    i IN ('10') => unknown
    i NOT IN ('10') => unknown
    t IN ('true') => unknown
    i BETWEEN 10 AND 20 => true
    i BETWEEN 1 AND 10 => true
    i BETWEEN 11 AND 20 => false
    i BETWEEN 20 AND 1 => false
    i NOT BETWEEN 1 AND 10 => false
    i NOT BETWEEN 11 AND 20 => true
    i between 9.5 and 10.5 => true
    i BETWEEN n AND l => true
    i BETWEEN 5 + 5 AND 2 * 5 => true
    i BETWEEN 1 AND 20 AND t => true
    i BETWEEN 1 AND 20 OR f => true
    7 BETWEEN n AND i => true
    m BETWEEN 1 AND 2 => unknown
    m NOT BETWEEN 1 AND 2 => unknown
    i BETWEEN m AND 20 => unknown
    i BETWEEN m AND 5 => false
    i BETWEEN 20 AND m => false
    i NOT BETWEEN 20 AND m => true
    i NOT BETWEEN m AND 20 => unknown
    num BETWEEN 1 AND 20 => false
    num NOT BETWEEN 1 AND 20 => false
    nan BETWEEN 1 AND 2 => false
    nan NOT BETWEEN 1 AND 2 => false
    s BETWEEN num AND s => true
    s LIKE 'abc' => true
    s LIKE 'ab' => false
    s LIKE 'a%' => true
    s LIKE '%c' => true
    s LIKE '%b%' => true
    s LIKE '%' => true
    s LIKE '%%' => true
    s LIKE '_b_' => true
    s LIKE '___' => true
    s LIKE '__' => false
    s LIKE '____' => false
    s LIKE 'A%' => false
    s LIKE 'a%c' => true
    s LIKE 'a%b' => false
    s LIKE '' => false
    s LIKE 'abc%' => true
    s LIKE 'ab%bc' => false
    s LIKE 'a.c' => false
    s LIKE '.*' => false
    s NOT LIKE 'a%' => false
    s NOT LIKE 'b%' => true
    empty LIKE '' => true
    empty LIKE '%' => true
    empty LIKE '_' => false
    lines LIKE 'one%two' => true
    lines LIKE 'one_two' => true
    umlaut LIKE 'a_b' => true
    emoji LIKE '_' => true
    percent LIKE '50!%' ESCAPE '!' => true
    percent LIKE '5!%' ESCAPE '!' => false
    percent LIKE '%!%' escape '!' => true
    under LIKE 'a!_b' ESCAPE '!' => true
    s LIKE 'a!_c' ESCAPE '!' => false
    s LIKE 'a!bc' ESCAPE '!' => false
    quote LIKE 'it''''s' => false
    quote LIKE 'it''s' => true
    m LIKE '%' => unknown
    m NOT LIKE '%' => unknown
    i LIKE '10' => false
    i NOT LIKE '10' => true
    t LIKE 'true' => false
    10 LIKE '10' => false
    'abc' LIKE 'a%' => true
    s + 'd' LIKE '%cd' => true
    -m LIKE '%' => unknown
";
