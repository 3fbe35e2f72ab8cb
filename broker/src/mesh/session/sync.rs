//! What a connection owes to its peer while both compare what they store (R1). Answers are made one
//! part at a time, the next only while little control waits, so that answering never fills a link.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::mesh::ids::ClaimId;

/// Control that may wait on a connection before answers pause.
pub(in crate::mesh) const ROOM: usize = 256 * 1024;

/// Something that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mesh) enum Answer {
    /// What is stored, from the claim after this one.
    Digest(Option<ClaimId>),
    /// The LSA of a claim.
    Lsa(ClaimId),
    /// All entries of a claim.
    Entries(ClaimId),
    /// Parts of entries that were cut already.
    Parts(ClaimId, VecDeque<Bytes>),
    /// The report of a claim.
    Report(ClaimId),
    /// The end mark.
    Synced,
}

/// How far the comparison has come.
#[derive(Debug, Default)]
pub(in crate::mesh) struct Sync {
    answers: VecDeque<Answer>,
    sent: usize,
    waits_for_room: bool,
    /// SYNCED was sent.
    pub(in crate::mesh) has_sent: bool,
    /// SYNCED was received.
    pub(in crate::mesh) has_received: bool,
    /// The own end mark was sent.
    pub(in crate::mesh) has_asked: bool,
}

impl Sync {
    /// Adds something that was asked for; the same question twice is one.
    pub(in crate::mesh) fn owe(&mut self, answer: Answer) {
        if !self.answers.contains(&answer) {
            self.answers.push_back(answer);
        }
    }

    /// Puts the rest of an answer back to the front.
    pub(in crate::mesh) fn rest(&mut self, answer: Answer) {
        self.answers.push_front(answer);
    }

    /// The next answer, if there is one and room for it.
    pub(in crate::mesh) fn next(&mut self) -> Option<Answer> {
        if self.waits_for_room || self.sent >= ROOM {
            None
        } else {
            self.answers.pop_front()
        }
    }

    /// Counts what was sent.
    pub(in crate::mesh) const fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// True when room has to be asked for, once.
    pub(in crate::mesh) const fn asks_room(&mut self) -> bool {
        let asks = self.sent >= ROOM && !self.waits_for_room;
        self.waits_for_room |= asks;
        asks
    }

    /// There is room again.
    pub(in crate::mesh) const fn room(&mut self) {
        self.sent = 0;
        self.waits_for_room = false;
    }
}
