//! The set of destinations of a frame.

use bytes::{Buf, BufMut};

use crate::mesh::frame::FrameError;
use crate::mesh::ids::Sid;

/// Members held without allocation.
const INLINE: usize = 14;
/// Members a set may have.
pub const MAX_MEMBERS: usize = 4096;
/// Words a bitmap may have.
pub const MAX_WORDS: usize = 1024;

/// Form of a set on the wire: `dkind`, `dcount`, `dbase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetForm {
    /// 0 list, 1 bitmap.
    pub kind: u8,
    /// Members of a list, words of a bitmap.
    pub count: u16,
    /// First word of a bitmap.
    pub base: u16,
}

impl SetForm {
    /// Bytes of the members on the wire.
    ///
    /// # Errors
    /// An unknown form, no members, or too many.
    pub fn byte_len(self) -> Result<usize, FrameError> {
        let count = usize::from(self.count);
        match self.kind {
            0 | 1 if count == 0 => Err(FrameError::EmptySet),
            0 if count > MAX_MEMBERS => Err(FrameError::TooManyMembers(count)),
            0 => Ok(2 * count),
            1 if count > MAX_WORDS => Err(FrameError::TooManyWords(count)),
            1 => Ok(8 * count),
            other => Err(FrameError::UnknownSetForm(other)),
        }
    }
}

/// Sids in ascending order without repeats. Up to 14 of them need no allocation.
#[derive(Clone, Default)]
pub struct DSet {
    len: u8,
    inline: [u16; INLINE],
    spilled: Vec<u16>,
}

impl DSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            len: 0,
            inline: [0; INLINE],
            spilled: Vec::new(),
        }
    }

    /// The set of one site.
    #[must_use]
    pub fn of(sid: Sid) -> Self {
        let mut set = Self::new();
        set.push_last(sid.0);
        set
    }

    /// Members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Sid> + '_ {
        self.as_slice().iter().map(|sid| Sid(*sid))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// True for the empty set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// True when the site is a member.
    #[must_use]
    pub fn contains(&self, sid: Sid) -> bool {
        self.as_slice().binary_search(&sid.0).is_ok()
    }

    /// True when both have a member in common.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.iter().any(|sid| other.contains(sid))
    }

    /// Bytes kept outside the value itself.
    #[must_use]
    pub fn heap_len(&self) -> usize {
        2 * self.spilled.capacity()
    }

    /// Removes all members and keeps the room.
    pub fn clear(&mut self) {
        self.len = 0;
        self.spilled.clear();
    }

    /// Adds a site; false when it was there.
    pub fn insert(&mut self, sid: Sid) -> bool {
        let Err(at) = self.as_slice().binary_search(&sid.0) else {
            return false;
        };
        if self.spilled.is_empty() && usize::from(self.len) < INLINE {
            let len = usize::from(self.len);
            self.inline.copy_within(at..len, at + 1);
            self.inline[at] = sid.0;
            self.len += 1;
        } else {
            self.spill();
            self.spilled.insert(at, sid.0);
        }
        true
    }

    /// Removes a site; false when it was not there.
    pub fn remove(&mut self, sid: Sid) -> bool {
        let Ok(at) = self.as_slice().binary_search(&sid.0) else {
            return false;
        };
        if self.spilled.is_empty() {
            let len = usize::from(self.len);
            self.inline.copy_within(at + 1..len, at);
            self.len -= 1;
        } else {
            self.spilled.remove(at);
        }
        true
    }

    /// Adds a site above every member.
    pub(super) fn push_last(&mut self, sid: u16) {
        if self.spilled.is_empty() && usize::from(self.len) < INLINE {
            self.inline[usize::from(self.len)] = sid;
            self.len += 1;
        } else {
            self.spill();
            self.spilled.push(sid);
        }
    }

    fn spill(&mut self) {
        if self.spilled.is_empty() {
            self.spilled
                .extend_from_slice(&self.inline[..usize::from(self.len)]);
            self.len = 0;
        }
    }

    fn as_slice(&self) -> &[u16] {
        if self.spilled.is_empty() {
            &self.inline[..usize::from(self.len)]
        } else {
            &self.spilled
        }
    }

    /// The shorter form on the wire.
    #[must_use]
    pub fn form(&self) -> SetForm {
        let members = self.as_slice();
        let count = u16::try_from(members.len()).unwrap_or(u16::MAX);
        let list = SetForm {
            kind: 0,
            count,
            base: 0,
        };
        let (Some(first), Some(last)) = (members.first(), members.last()) else {
            return list;
        };
        let (base, words) = (first / 64, last / 64 - first / 64 + 1);
        if 8 * usize::from(words) < 2 * members.len() {
            SetForm {
                kind: 1,
                count: words,
                base,
            }
        } else {
            list
        }
    }

    /// Appends the members in that form, which is the one [`Self::form`] gave.
    pub fn encode(&self, form: SetForm, out: &mut impl BufMut) {
        let members = self.as_slice();
        if form.kind == 0 {
            members.iter().for_each(|sid| out.put_u16(*sid));
            return;
        }
        let mut at = 0;
        for word in form.base..form.base.saturating_add(form.count) {
            let mut bits = 0_u64;
            while let Some(sid) = members.get(at)
                && sid / 64 == word
            {
                bits |= 1 << (sid % 64);
                at += 1;
            }
            out.put_u64(bits);
        }
    }

    /// Reads members. `bytes` are those of [`SetForm::byte_len`].
    ///
    /// # Errors
    /// Whatever section 4.5 of the design refuses.
    pub fn decode(form: SetForm, bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() != form.byte_len()? {
            return Err(FrameError::Truncated);
        }
        let set = match form.kind {
            0 => Self::decode_list(bytes)?,
            _ => Self::decode_bitmap(form, bytes)?,
        };
        match set.as_slice().first() {
            None => Err(FrameError::EmptySet),
            Some(0) => Err(FrameError::ZeroMember),
            Some(_) => Ok(set),
        }
    }

    fn decode_list(mut bytes: &[u8]) -> Result<Self, FrameError> {
        let mut set = Self::new();
        let mut last = None;
        while bytes.has_remaining() {
            let sid = bytes.get_u16();
            if last == Some(sid) {
                return Err(FrameError::RepeatedMember(sid));
            }
            if last.is_some_and(|last| last > sid) {
                return Err(FrameError::UnsortedSet);
            }
            last = Some(sid);
            set.push_last(sid);
        }
        Ok(set)
    }

    fn decode_bitmap(form: SetForm, mut bytes: &[u8]) -> Result<Self, FrameError> {
        if usize::from(form.base) + usize::from(form.count) > MAX_WORDS {
            return Err(FrameError::WordsOutOfRange);
        }
        let mut set = Self::new();
        for word in form.base..form.base.saturating_add(form.count) {
            let mut bits = bytes.get_u64();
            while bits != 0 {
                let bit = u16::try_from(bits.trailing_zeros()).unwrap_or(0);
                set.push_last(64 * word + bit);
                bits &= bits - 1;
            }
            if set.len() > MAX_MEMBERS {
                return Err(FrameError::TooManyMembers(set.len()));
            }
        }
        Ok(set)
    }
}

impl FromIterator<Sid> for DSet {
    fn from_iter<I: IntoIterator<Item = Sid>>(sids: I) -> Self {
        let mut set = Self::new();
        for sid in sids {
            set.insert(sid);
        }
        set
    }
}

impl PartialEq for DSet {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for DSet {}

impl std::fmt::Debug for DSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.as_slice()).finish()
    }
}
