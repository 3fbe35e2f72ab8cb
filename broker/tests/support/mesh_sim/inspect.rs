//! A look at the bytes that leave a broker.

use causeway_broker::mesh::forward::SetForm;
use causeway_broker::mesh::frame::{
    FLAG_MARKED, FWD_HEAD_LEN, FrameType, HEADER_LEN, Header, PayloadKind, TAIL_HEAD_LEN, TailHead,
};
use causeway_broker::mesh::ids::ConnId;

use super::oracle::Note;
use super::world::World;

impl World {
    /// What leaves a broker: notes each message, and checks that a data frame stands behind all
    /// control its sender knew when it queued the frame (I9).
    pub fn inspect(&mut self, at: usize, conn: ConnId, mut batch: &[u8]) {
        while let Some(header) = Header::decode(batch) {
            let whole = HEADER_LEN + usize::try_from(header.len).unwrap_or(usize::MAX);
            let Some(body) = batch.get(HEADER_LEN..whole) else {
                return self
                    .oracle
                    .fail("frames", None, "a batch ends within a frame".to_owned());
            };
            let kind = FrameType::from_code(header.code);
            if kind == Some(FrameType::Lsa) {
                self.watch.lsa(whole);
            }
            match kind {
                Some(FrameType::Lsa | FrameType::Int | FrameType::IntSnap) => {
                    if let Some(serving) = self.serving(at, conn) {
                        serving.unsaid.pop_front();
                    }
                }
                Some(FrameType::Fwd) => self.inspect_fwd(at, conn, header.flags, body),
                _ => {}
            }
            batch = &batch[whole..];
        }
    }

    fn inspect_fwd(&mut self, at: usize, conn: ConnId, flags: u8, body: &[u8]) {
        let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        let form = SetForm {
            kind: body[14],
            count: word(16),
            base: word(18),
        };
        let (hops, tail_at) = (word(12), FWD_HEAD_LEN + form.byte_len().unwrap_or(0));
        let Ok(tail) = TailHead::decode(&body[tail_at..]) else {
            return;
        };
        let is_marked = flags & FLAG_MARKED != 0;
        let payload = body.get(tail_at + TAIL_HEAD_LEN..tail_at + TAIL_HEAD_LEN + 8);
        let message = payload
            .filter(|_| tail.kind == PayloadKind::Topic)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u64::from_be_bytes);
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let Some(link) = broker.link_over(conn) else {
            return;
        };
        let side = &mut broker.links[link.index()];
        let (to, barrier) = (
            side.peer,
            side.barriers
                .remove(&(tail.origin.0, tail.epoch.0, tail.seq)),
        );
        let unsaid = broker.serving.get(&conn);
        let unsaid = unsaid.and_then(|one| one.unsaid.front());
        let unsaid = unsaid.map_or(u64::MAX, |(number, _)| *number);
        if let Some(message) = message {
            self.oracle.message(message).sent.push((at, to));
            self.oracle.message(message).is_marked |= is_marked;
            let note = Note::Sent {
                message,
                from: at,
                to,
                is_marked,
                hops,
            };
            self.oracle.note(self.clock.now(), note);
        }
        if let Some((over, queued)) = barrier
            && over == conn
            && unsaid <= queued
        {
            let what = format!("{at} sent it before control frame {unsaid} of {queued}");
            self.oracle.fail("I9", message, what);
        }
    }
}
