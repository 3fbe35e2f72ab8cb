//! The language where strings are read as numbers and booleans.

use super::super::Conversion;
use super::{Message, Property, check_table};

fn message() -> Message {
    Message::default()
        .with("count", "07")
        .with("n", "10")
        .with("r", "10.5")
        .with("neg", "-3")
        .with("plus", "+3")
        .with("exp", "1e3")
        .with("huge", "99999999999999999999")
        .with("overflow", "1e999")
        .with("long", "10000000000")
        .with("blank", " 10")
        .with("hex", "0x10")
        .with("suffix", "10L")
        .with("nan", "NaN")
        .with("inf", "Infinity")
        .with("s", "abc")
        .with("empty", "")
        .with("yes", "TRUE")
        .with("no", "false")
        .with("JMSPriority", Property::Int(4))
        .with("JMSRedelivered", Property::Bool(false))
        .with("JMSTimestamp", Property::Long(1_700_000_000_000))
        .with("d", Property::Double(2.5))
}

#[test]
fn strings_are_read_as_what_they_meet() {
    let rows = check_table(TABLE, Conversion::ConvertStrings, &message());
    assert!(rows >= 90, "{rows}");
}

const TABLE: &str = r"
    n = 10 => true
    10 = n => true
    n <> 10 => false
    n = 10.0 => true
    n = '10' => true
    n = '10.0' => false
    n = 11 => false
    n > 9 => true
    9 < n => true
    n > 9.5 => true
    n >= 10 => true
    n < 10 => false
    n BETWEEN 5 AND 15 => true
    n NOT BETWEEN 5 AND 15 => false
    count = 7 => true
    count = '7' => false
    count = '07' => true
    count < 8 => true
    r > 10 => true
    r < 11 => true
    r = 10 => false
    r = 10.5 => true
    neg = -3 => true
    neg < 0 => true
    plus = 3 => true
    exp = 1000 => true
    exp > 999 => true
    long = 10000000000 => true
    huge > 1 => true
    huge > long => true
    overflow > 1 => false
    blank = 10 => false
    blank <> 10 => true
    hex = 16 => false
    suffix = 10 => false
    nan = 1 => false
    nan <> 1 => true
    inf > 1 => false
    s = 10 => false
    s <> 10 => true
    s > 10 => false
    s <= 10 => false
    s NOT BETWEEN 1 AND 2 => false
    empty = 0 => false
    empty > 0 => false
    n > r => false
    n < r => true
    n < s => true
    n = n => true
    yes = TRUE => true
    yes <> TRUE => false
    yes = FALSE => false
    TRUE = yes => true
    no = FALSE => true
    no = TRUE => false
    no <> TRUE => true
    s = TRUE => false
    s = FALSE => true
    n = TRUE => false
    yes > 0 => false
    yes => false
    NOT yes => true
    yes AND yes = TRUE => false
    JMSPriority = 4 => true
    JMSPriority = '4' => true
    JMSPriority = '4.0' => true
    JMSPriority = 'x' => false
    JMSPriority <> 'x' => true
    JMSPriority > 3 => true
    JMSPriority < n => true
    JMSPriority = TRUE => false
    JMSRedelivered = FALSE => true
    JMSRedelivered = 'false' => true
    JMSRedelivered = 'False' => true
    JMSRedelivered = 'true' => false
    JMSRedelivered = no => true
    NOT JMSRedelivered => true
    JMSTimestamp > 1600000000000 => true
    JMSTimestamp = '1700000000000' => true
    d = '2.5' => true
    d > neg => true
    n * 2 = 20 => true
    n - 1 = 9 => true
    n / 4 = 2.5 => true
    n % 3 = 1 => true
    -n = -10 => true
    -neg = 3 => true
    +n = 10 => true
    1 + n = 11 => true
    n + 1 = 101 => true
    n + 1 = '101' => true
    n + r = '1010.5' => true
    n * r = 105 => true
    s * 2 = 2 => unknown
    1 + s = 1 => unknown
    -s = 1 => unknown
    s * 2 IS NULL => true
    yes * 1 = 1 => unknown
    JMSPriority + n = 14 => true
    m = 1 => unknown
    m * 2 = 2 => unknown
    m = TRUE => unknown
    m = 'x' => unknown
    n LIKE '1_' => true
    JMSPriority LIKE '4' => false
    n IN ('10', '11') => true
    n IN ('10.0') => false
    JMSPriority IN ('4') => unknown
";

#[test]
fn rows_with_a_string_literal_in_order_are_refused_in_both_modes() {
    for conversion in [Conversion::Strict, Conversion::ConvertStrings] {
        assert!(super::super::Selector::parse("'5' < n", conversion).is_err());
    }
}
