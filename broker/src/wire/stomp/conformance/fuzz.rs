//! Arbitrary bytes, from seeds that a failure prints: never a panic, never more memory than the
//! limits allow, and what was accepted comes out as it went in.

use super::super::client::{self, Frame};
use super::super::encode::{self, Escaping, Presentation};
use super::{Decoder, Limits, Wire};
use crate::model::{HeaderBlockBuf, Kind, MessageView};

/// A small generator of numbers; the same seed gives the same numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const PIECES: [&[u8]; 26] = [
    b"SEND",
    b"SUBSCRIBE",
    b"ACK",
    b"BEGIN",
    b"COMMIT",
    b"MESSAGE",
    b"\n",
    b"\n",
    b"\n\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\0\n",
    b":",
    b"destination:/queue/a\n",
    b"destination:/temp-queue/a\n",
    b"content-length:3\n",
    b"content-length:-1\n",
    b"id:1\n",
    b"transaction:t\n",
    b"receipt:\\c\n",
    b"\\x",
    b"x:\\n\n",
    b"\xff\xfe",
    b"abcdefghijklmnopqrstuvwxyz",
    b"\xf0\x9f\x98\x80",
];

fn bytes(numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + numbers.below(30) {
        if numbers.below(3) == 0 {
            bytes.extend_from_slice(b"SEND\ndestination:/queue/a\nx:1\n\nbody\0");
        } else {
            bytes.extend_from_slice(numbers.pick(&PIECES));
        }
    }
    bytes
}

const LIMITS: Limits = Limits {
    line: 64,
    header_block: 256,
    headers: 8,
    frame: 512,
};

#[test]
fn any_bytes_mean_the_same_in_one_piece_and_in_many() {
    for seed in 1..4000 {
        let mut numbers = Numbers(seed);
        let bytes = bytes(&mut numbers);
        let version = numbers.pick(&["1.0", "1.1", "1.2"]);
        let (mut whole, mut pieces) = (Wire::open(version), Wire::open(version));
        for wire in [&mut whole, &mut pieces] {
            wire.decoder.set_limits(LIMITS);
        }
        whole.feed(&bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(1 + numbers.below(rest.len()));
            pieces.feed(piece);
            rest = later;
            let held = pieces.buffer.len();
            assert!(
                pieces.sink.is_closed || held <= LIMITS.frame + 1,
                "seed {seed} holds {held}"
            );
        }
        assert_eq!(pieces.events(), whole.events(), "seed {seed}");
        assert_eq!(pieces.sink.is_closed, whole.sink.is_closed, "seed {seed}");
        assert_eq!(pieces.said(), whole.said(), "seed {seed}");
    }
}

fn text(numbers: &mut Numbers) -> String {
    const CHARACTERS: [char; 12] = [
        'a', 'b', '-', ' ', ':', '\\', '\n', '\r', 'é', '😀', 'n', 'c',
    ];
    let length = numbers.below(6);
    (0..length).map(|_| numbers.pick(&CHARACTERS)).collect()
}

#[test]
fn a_1_2_client_reads_the_properties_that_a_1_2_client_sent() {
    for seed in 1..4000 {
        let mut numbers = Numbers(seed);
        let mut frame = Frame::new("SEND").with("destination", "/topic/a");
        let mut expected: Vec<(String, String)> = Vec::new();
        for index in 0..numbers.below(5) {
            let (name, value) = (
                format!("p{index}{}", text(&mut numbers)),
                text(&mut numbers),
            );
            frame = frame.with(&name, &value);
            expected.push((name, value));
        }
        let mut wire = Wire::open("1.2");
        wire.feed(frame.encode());
        assert!(wire.session.is_open(), "seed {seed}: {}", wire.said());
        let mut out = Vec::new();
        encode::prefix(Some("s"), Some(seed), Escaping::V12, &mut out);
        encode::tail(
            &wire.last(),
            Escaping::V12,
            &Presentation::default(),
            &mut out,
        );
        let read = client::take_frame(&mut out).expect("a frame of ours");
        let read = read.expect("a whole frame").headers;
        assert_eq!(read[7..], expected, "seed {seed}");
    }
}

#[test]
fn one_tail_serves_all_versions_exactly_when_it_says_so() {
    for seed in 1..4000 {
        let mut numbers = Numbers(seed);
        let mut block = HeaderBlockBuf::default();
        for _ in 0..numbers.below(3) {
            assert!(block.push(&text(&mut numbers), &text(&mut numbers)));
        }
        let view = MessageView {
            headers: block.block(),
            ..MessageView::new(Kind::Topic, "a", "1", b"body")
        };
        let tails = [Escaping::V10, Escaping::V11, Escaping::V12].map(|escaping| {
            let mut out = Vec::new();
            encode::tail(&view, escaping, &Presentation::default(), &mut out);
            let blank = memchr::memmem::find(&out, b"\n\n").expect("no blank line");
            assert_eq!(&out[blank..], b"\n\nbody\0\n", "seed {seed}");
            out
        });
        let is_equal = tails[0] == tails[1] && tails[1] == tails[2];
        assert!(is_equal || encode::differs_by_version(&view), "seed {seed}");
    }
}

#[test]
fn an_endless_stream_of_junk_is_ended_early() {
    for seed in 1..500 {
        let mut numbers = Numbers(seed);
        let junk: Vec<u8> = (0..4096)
            .map(|_| u8::try_from(1 + numbers.below(255)).unwrap_or(1))
            .collect();
        let mut decoder = Decoder::new(LIMITS);
        let ended = junk
            .iter()
            .enumerate()
            .find(|(end, _)| decoder.decode(&junk[..=*end]).is_err());
        let at = ended.map(|(end, _)| end);
        assert!(
            at.is_some_and(|at| at <= LIMITS.frame),
            "seed {seed}: {at:?}"
        );
    }
}
