//! Tests of the codec.

use bytes::Bytes;

use super::*;
use crate::mesh::forward::{DSet, SetForm};
use crate::mesh::ids::{Bid, Epoch, Sid};
use crate::mesh::messages::{Hello, Ping};

/// A small generator, so that every run tests the same bytes.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

fn tail_head() -> TailHead {
    TailHead {
        origin: Sid(7),
        class: 3,
        kind: PayloadKind::Topic,
        label: 2,
        flags: TF_RELIABLE | TF_PERSISTENT,
        epoch: Epoch(1_700_000_000_000),
        seq: 42,
        ttl_ms: 5000,
        payload_len: 0,
    }
}

fn set(sids: &[u16]) -> DSet {
    sids.iter().map(|sid| Sid(*sid)).collect()
}

/// One frame as bytes.
fn fwd(lseq: u64, dset: &DSet, payload: &[u8]) -> Vec<u8> {
    let tail = tail_head().with_payload(&[payload]);
    let mut out = Vec::new();
    encode_fwd(
        FwdHead {
            lseq,
            age_ms: 12,
            hops: 3,
            is_marked: true,
        },
        dset,
        &tail,
        &mut out,
    );
    out
}

/// Runs bytes through header, admission and reassembly as a read loop does.
fn read(bytes: &[u8], limits: Limits) -> Result<Vec<FwdFrame>, FrameError> {
    let mut reassembly = Reassembly::new(limits.fwd);
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Some(header) = Header::decode(rest) {
        let admission = limits.admit(header, Phase::Up)?;
        let len = usize::try_from(header.len).unwrap();
        let Some(body) = rest.get(HEADER_LEN..HEADER_LEN + len) else {
            break;
        };
        rest = &rest[HEADER_LEN + len..];
        match admission {
            Admission::Take(FrameType::Fwd) => {
                frames.extend(reassembly.fwd(header.flags, Bytes::copy_from_slice(body))?);
            }
            Admission::Take(FrameType::Cont) => frames.extend(reassembly.cont(body)?),
            Admission::Take(FrameType::Lack) => {
                decode_lack(body)?;
            }
            Admission::Take(_) | Admission::Skip => {}
        }
    }
    Ok(frames)
}

const LIMITS: Limits = Limits::for_client_frame(1024 * 1024);

#[test]
fn a_frame_comes_out_as_it_went_in() {
    for sids in [
        vec![1],
        vec![1, 2, 70, 9000, 65_535],
        (1..400).collect::<Vec<u16>>(),
    ] {
        let dset = set(&sids);
        let frames = read(&fwd(1, &dset, b"payload"), LIMITS).unwrap();
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].dset, dset);
        assert_eq!(
            frames[0].head,
            FwdHead {
                lseq: 1,
                age_ms: 12,
                hops: 3,
                is_marked: true
            }
        );
        assert_eq!(
            frames[0].tail_head,
            TailHead {
                payload_len: 7,
                ..tail_head()
            }
        );
        assert_eq!(frames[0].payload(), "payload");
    }
}

#[test]
fn the_overhead_is_sixty_bytes_and_two_per_destination() {
    assert_eq!(fwd(1, &set(&[1, 900, 40_000]), b"").len(), 60 + 6);
    // Dense sites: a bitmap is shorter.
    let dense: Vec<u16> = (64..256).collect();
    assert_eq!(fwd(1, &set(&dense), b"").len(), 60 + 3 * 8);
}

#[test]
fn a_long_frame_is_cut_and_put_together_again() {
    let payload = vec![9; 700_000];
    let bytes = fwd(1, &set(&[4]), &payload);
    let mut sizes = Vec::new();
    let mut rest = &bytes[..];
    while let Some(header) = Header::decode(rest) {
        sizes.push((header.code, header.len));
        rest = &rest[HEADER_LEN + usize::try_from(header.len).unwrap()..];
    }
    assert_eq!(sizes.len(), 3);
    assert_eq!(sizes[0], (0x20, 256 * 1024));
    assert_eq!(sizes[1], (0x21, 256 * 1024));
    let frames = read(&bytes, LIMITS).unwrap();
    assert_eq!(frames[0].payload(), payload);
}

#[test]
fn a_ping_may_stand_between_the_parts_but_no_other_frame() {
    let bytes = fwd(1, &set(&[4]), &vec![9; 300_000]);
    let first = HEADER_LEN + CUT;
    let mut with_ping = bytes[..first].to_vec();
    encode_control(
        FrameType::Ping,
        &Ping {
            id: 1,
            interval_ms: 1000,
            renew: true,
        },
        &mut with_ping,
    );
    with_ping.extend_from_slice(&bytes[first..]);
    assert_eq!(read(&with_ping, LIMITS).unwrap().len(), 1);

    let mut with_fwd = bytes[..first].to_vec();
    with_fwd.extend(fwd(2, &set(&[4]), b""));
    assert_eq!(read(&with_fwd, LIMITS), Err(FrameError::Interleaved));
}

#[test]
fn numbers_have_no_gaps() {
    let mut bytes = fwd(1, &set(&[4]), b"");
    bytes.extend(fwd(3, &set(&[4]), b""));
    assert_eq!(
        read(&bytes, LIMITS),
        Err(FrameError::SequenceGap {
            expected: 2,
            got: 3
        })
    );
}

#[test]
fn every_malformed_set_has_its_own_error() {
    // Offsets in the frame: 8 + 14 form, 8 + 16 count, 8 + 18 base, 8 + 20 members.
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fwd(1, &set(&[5, 900]), b"");
        change(&mut bytes);
        read(&bytes, LIMITS)
    };
    assert_eq!(with(&|b| b[22] = 7), Err(FrameError::UnknownSetForm(7)));
    assert_eq!(with(&|b| b[29] = 0), Err(FrameError::ZeroMember));
    assert_eq!(with(&|b| b[28] = 200), Err(FrameError::UnsortedSet));
    assert_eq!(
        with(&|b| b.copy_within(28..30, 30)),
        Err(FrameError::RepeatedMember(5))
    );
    assert_eq!(with(&|b| b[24..26].fill(0)), Err(FrameError::EmptySet));
    assert_eq!(
        with(&|b| b[24..26].fill(0xff)),
        Err(FrameError::TooManyMembers(65_535))
    );
    assert_eq!(with(&|b| b[25] = 20), Err(FrameError::Truncated));
}

#[test]
fn sets_above_the_limits_are_refused() {
    let list = SetForm {
        kind: 0,
        count: 4097,
        base: 0,
    };
    assert_eq!(
        DSet::decode(list, &[0; 2 * 4097]),
        Err(FrameError::TooManyMembers(4097))
    );
    let words = SetForm {
        kind: 1,
        count: 1025,
        base: 0,
    };
    assert_eq!(
        DSet::decode(words, &[0; 8 * 1025]),
        Err(FrameError::TooManyWords(1025))
    );
    let beyond = SetForm {
        kind: 1,
        count: 2,
        base: 1023,
    };
    assert_eq!(
        DSet::decode(beyond, &[1; 16]),
        Err(FrameError::WordsOutOfRange)
    );
    let dense = SetForm {
        kind: 1,
        count: 65,
        base: 1,
    };
    assert_eq!(
        DSet::decode(dense, &[0xff; 8 * 65]),
        Err(FrameError::TooManyMembers(4160))
    );
}

#[test]
fn a_payload_of_another_length_than_declared_ends_the_connection() {
    let mut bytes = fwd(1, &set(&[4]), b"abc");
    bytes.push(b'd');
    let len = u32::try_from(bytes.len() - HEADER_LEN).unwrap();
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    let error = read(&bytes, LIMITS).unwrap_err();
    assert_eq!(
        error,
        FrameError::LengthMismatch {
            declared: 3,
            received: 4
        }
    );
    assert_eq!(error.reason(), Reason::Protocol);
}

#[test]
fn a_frame_above_the_limit_is_refused_by_what_it_declares() {
    let bytes = fwd(1, &set(&[4]), &vec![0; 2 * 1024 * 1024]);
    let error = read(&bytes[..HEADER_LEN + CUT], LIMITS).unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { limit, .. } if limit == LIMITS.fwd));
    assert_eq!(error.reason(), Reason::TooLarge);
}

#[test]
fn each_phase_takes_only_its_own_frames() {
    let admit = |kind, len, phase| LIMITS.admit(Header::new(kind, 0, len), phase);
    assert_eq!(
        admit(FrameType::Auth, 100, Phase::PreAuth),
        Ok(Admission::Take(FrameType::Auth))
    );
    let early = FrameError::WrongPhase {
        kind: FrameType::Fwd,
        phase: Phase::Sync,
    };
    assert_eq!(admit(FrameType::Fwd, 100, Phase::Sync), Err(early));
    assert!(admit(FrameType::Hello, 100, Phase::Up).is_err());
    assert!(admit(FrameType::Lsa, 100, Phase::Hello).is_err());
    assert!(admit(FrameType::Lsa, CONTROL_LIMIT, Phase::Sync).is_ok());
    assert!(admit(FrameType::Lsa, CONTROL_LIMIT + 1, Phase::Up).is_err());
    assert!(admit(FrameType::Auth, PRE_AUTH_LIMIT + 1, Phase::PreAuth).is_err());
}

#[test]
fn unknown_types_are_skipped_above_0x80_only() {
    let header = |code, flags| Header {
        len: 4,
        code,
        flags,
    };
    assert_eq!(
        LIMITS.admit(header(0x90, 0), Phase::Up),
        Ok(Admission::Skip)
    );
    assert_eq!(
        LIMITS.admit(header(0x30, 0), Phase::Up),
        Err(FrameError::UnknownType(0x30))
    );
    assert_eq!(
        LIMITS.admit(header(0x12, FLAG_LZ4), Phase::Up),
        Err(FrameError::Compressed)
    );
}

#[test]
fn a_continuation_needs_a_beginning() {
    let mut bytes = Vec::new();
    Header::new(FrameType::Cont, 0, 3).encode(&mut bytes);
    bytes.extend_from_slice(b"abc");
    assert_eq!(read(&bytes, LIMITS), Err(FrameError::ContWithoutFwd));
}

#[test]
fn acknowledgements_and_control_frames_survive_the_wire() {
    let mut bytes = Vec::new();
    encode_lack(77, &mut bytes);
    assert_eq!(Header::decode(&bytes).unwrap().code, 0x22);
    assert_eq!(decode_lack(&bytes[HEADER_LEN..]), Ok(77));
    assert_eq!(decode_lack(&[1, 2]), Err(FrameError::LackLength(2)));

    let hello = Hello {
        proto_min: 1,
        network: "n".into(),
        ..Default::default()
    };
    bytes.clear();
    encode_control(FrameType::Hello, &hello, &mut bytes);
    assert_eq!(
        decode_control(FrameType::Hello, &bytes[HEADER_LEN..]),
        Ok(hello)
    );
    let damaged = decode_control::<Hello>(FrameType::Hello, &[0xff, 0xff]);
    assert_eq!(damaged, Err(FrameError::Undecodable(FrameType::Hello)));
}

#[test]
fn a_transfer_head_survives_the_wire() {
    let head = TransferHead {
        owner: Bid([1; 16]),
        to: Bid([2; 16]),
        to_epoch: 9,
        stream_epoch: 3,
        stream: 4,
        seq: 5,
        moves: 6,
        flags: XF_LEARNED | XF_REDELIVERED,
        grant: 7,
        term: 8,
    };
    assert_eq!(TransferHead::decode(&head.encode()), Ok(head));
    assert_eq!(TransferHead::decode(&[0; 79]), Err(FrameError::Truncated));
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    let mut random = Lcg(1);
    let whole = fwd(1, &set(&[3, 9, 700]), &vec![1; 300]);
    for round in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 7 {
            let at = random.below(bytes.len());
            bytes[at] = u8::try_from(random.below(256)).unwrap();
        }
        bytes.truncate(random.below(bytes.len()) + 1);
        let _ = read(&bytes, LIMITS);
        let noise: Vec<u8> = (0..random.below(120))
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect();
        let _ = read(&noise, LIMITS);
        let _ = decode_fwd(0, &Bytes::from(noise.clone()));
        let _ = decode_control::<Hello>(FrameType::Hello, &noise);
        let _ = TransferHead::decode(&noise);
    }
}
