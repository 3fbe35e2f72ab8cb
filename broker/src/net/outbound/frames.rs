//! The frames in a buffer: where each ends, and which may be dropped.

use std::collections::VecDeque;

use prometheus::IntCounter;

use super::State;

/// Ends of frames in a buffer, and whether each is a topic message, which may be dropped.
pub(super) type Marks = VecDeque<(usize, bool)>;

/// Where topic messages are counted, each once: only here is known what became of them.
#[derive(Debug)]
pub struct Counters {
    /// Written to the client.
    pub written: IntCounter,
    /// Dropped because the client reads too slowly.
    pub dropped: IntCounter,
    /// Lost because the client was gone before they were written.
    pub lost: IntCounter,
}

/// Topic messages whose frames end at `written` or before, and those behind.
pub(super) fn count_messages(marks: &Marks, written: usize) -> (u64, u64) {
    let messages = marks.iter().filter(|(_, is_message)| *is_message);
    messages.fold((0, 0), |(before, behind), (end, _)| match *end <= written {
        true => (before + 1, behind),
        false => (before, behind + 1),
    })
}

pub(super) fn append(state: &mut State, parts: &[&[u8]], is_droppable: bool) {
    let before = state.pending.len();
    for part in parts {
        state.pending.extend_from_slice(part);
    }
    finish_append(state, before, is_droppable);
}

pub(super) fn finish_append(state: &mut State, before: usize, is_droppable: bool) {
    state.appended_total += (state.pending.len() - before) as u64;
    let end = state.pending.len();
    state.marks.push_back((end, is_droppable));
}

/// Removes droppable frames from the oldest on until at most `target` bytes are pending.
pub(super) fn drop_oldest(state: &mut State, target: usize) -> u64 {
    let mut kept = Vec::with_capacity(target.min(state.pending.len()));
    let mut marks = VecDeque::with_capacity(state.marks.len());
    let mut surplus = state.pending.len().saturating_sub(target);
    let (mut start, mut dropped) = (0, 0);
    let mut removed_before = 0_u64;
    let first_position = state.appended_total - state.pending.len() as u64;
    let mut auto = state.auto_acks.iter_mut().peekable();
    for (end, is_droppable) in state.marks.drain(..) {
        let size = end - start;
        while auto
            .peek()
            .is_some_and(|auto| auto.end <= first_position + end as u64)
        {
            if let Some(auto) = auto.next()
                && auto.end > first_position
            {
                auto.end -= removed_before;
            }
        }
        if is_droppable && surplus > 0 {
            surplus = surplus.saturating_sub(size);
            dropped += 1;
            removed_before += size as u64;
        } else {
            kept.extend_from_slice(&state.pending[start..end]);
            marks.push_back((kept.len(), is_droppable));
        }
        start = end;
    }
    state.appended_total -= removed_before;
    state.pending = kept;
    state.marks = marks;
    dropped
}
