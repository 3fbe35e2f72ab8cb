//! DNS messages: reads one question, writes the answer.

use std::net::Ipv4Addr;

/// Bytes before the question.
const HEADER: usize = 12;

/// The longest answer that needs no other protocol than UDP.
const LIMIT: usize = 512;

/// One answer: pointer to the question's name, A, IN, five seconds, four bytes.
const RECORD: [u8; 12] = [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4];

/// Answers for the names of this server and recursion, which clients ask for.
const RESPONSE: u16 = 0x8580;

/// No such name.
const NAME_ERROR: u16 = 3;

/// Type of an IPv4 address.
const A: u16 = 1;

/// Answers a question with what `lookup` knows of the name; nothing when it is no question.
pub(super) fn answer(
    query: &[u8],
    lookup: impl Fn(&str) -> Option<Vec<Ipv4Addr>>,
) -> Option<Vec<u8>> {
    let is_question = query.get(2)? & 0x80 == 0 && query.get(4..6)? == [0, 1];
    let (name, end) = name(query)?;
    let kind = u16::from_be_bytes(query.get(end..end + 2)?.try_into().ok()?);
    let question = query.get(HEADER..end + 4)?;
    if !is_question {
        return None;
    }
    let found = lookup(&name.to_ascii_lowercase());
    let code = if found.is_none() { NAME_ERROR } else { 0 };
    let room = (LIMIT - HEADER - question.len()) / (RECORD.len() + 4);
    // Who asks for another type learns that the name exists.
    let mut addresses = found.filter(|_| kind == A).unwrap_or_default();
    addresses.truncate(room);
    let mut bytes = query[..2].to_vec();
    bytes.extend((RESPONSE | code).to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(u16::try_from(addresses.len()).ok()?.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(question);
    for address in addresses {
        bytes.extend(RECORD);
        bytes.extend(address.octets());
    }
    Some(bytes)
}

/// The name in question, and where it ends.
fn name(query: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        match length {
            0 => return Some((labels.join("."), at)),
            1..64 => labels.push(std::str::from_utf8(query.get(at..at + length)?).ok()?),
            _ => return None,
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let mut query = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap_or(63));
            query.extend(label.bytes());
        }
        query.extend([0, 0, kind, 0, 1]);
        query
    }

    fn ask(name: &str, kind: u8) -> Option<Vec<u8>> {
        let known = |name: &str| (name == "here.local").then(|| vec![Ipv4Addr::new(10, 1, 2, 3)]);
        answer(&question(name, kind), known)
    }

    #[test]
    fn a_known_name_is_answered_with_its_address_in_any_case() {
        let answer = ask("Here.LOCAL", 1).unwrap_or_default();
        assert_eq!(answer[..8], [7, 9, 0x85, 0x80, 0, 1, 0, 1]);
        assert!(answer.ends_with(&[0, 4, 10, 1, 2, 3]));
    }

    #[test]
    fn an_unknown_name_does_not_exist_and_a_known_one_has_no_other_type() {
        let unknown = ask("there.local", 1).unwrap_or_default();
        assert_eq!(unknown[2..8], [0x85, 0x83, 0, 1, 0, 0]);
        let other = ask("here.local", 28).unwrap_or_default();
        assert_eq!(other[2..8], [0x85, 0x80, 0, 1, 0, 0]);
    }

    #[test]
    fn what_is_cut_short_or_no_question_is_not_answered() {
        let whole = question("here.local", 1);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], |_| None), None);
        }
        let mut response = whole;
        response[2] = 0x80;
        assert_eq!(answer(&response, |_| None), None);
    }
}
