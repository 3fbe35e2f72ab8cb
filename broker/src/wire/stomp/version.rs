//! The three versions and how one is agreed on.

/// A STOMP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.0: no escapes, no heart-beats, no NACK.
    V10,
    /// 1.1.
    V11,
    /// 1.2.
    V12,
}

impl Version {
    /// The number as it stands in headers.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::V10 => "1.0",
            Self::V11 => "1.1",
            Self::V12 => "1.2",
        }
    }

    /// The highest version that the client's `accept-version` and we have in common; an absent
    /// header means 1.0.
    #[must_use]
    pub fn negotiate(accept_version: Option<&str>) -> Option<Self> {
        let Some(list) = accept_version else {
            return Some(Self::V10);
        };
        list.split(',')
            .filter_map(|text| match text.trim() {
                "1.0" => Some(Self::V10),
                "1.1" => Some(Self::V11),
                "1.2" => Some(Self::V12),
                _ => None,
            })
            .max()
    }
}

/// Agreed heart-beats of one connection, in milliseconds; 0 = none in that direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeartBeat {
    /// We send something at least so often.
    pub send_ms: u64,
    /// The client promised to send something at least so often.
    pub expect_ms: u64,
}

impl HeartBeat {
    /// Agrees by the specification: in each direction the larger of offer and wish, none when
    /// either is 0. `None` when the header is not two unsigned integers.
    #[must_use]
    pub fn negotiate(header: Option<&str>, can_send_ms: u64, want_ms: u64) -> Option<Self> {
        let (client_sends, client_wants) = match header {
            None => (0, 0),
            Some(text) => {
                let (sends, wants) = text.split_once(',')?;
                (unsigned(sends.trim())?, unsigned(wants.trim())?)
            }
        };
        let agree = |offer: u64, wish: u64| {
            if offer == 0 || wish == 0 {
                0
            } else {
                offer.max(wish)
            }
        };
        Some(Self {
            send_ms: agree(can_send_ms, client_wants),
            expect_ms: agree(client_sends, want_ms),
        })
    }
}

fn unsigned(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More than a day is a day: the arithmetic of timers stays far from its limits.
    Some(
        text.parse::<u64>()
            .map_or(86_400_000, |value| value.min(86_400_000)),
    )
}

#[cfg(test)]
mod tests {
    use super::{HeartBeat, Version};

    #[test]
    fn the_highest_common_version_is_chosen() {
        let rows = [
            (None, Some(Version::V10)),
            (Some("1.0"), Some(Version::V10)),
            (Some("1.0,1.1,1.2"), Some(Version::V12)),
            (Some("1.1, 2.0"), Some(Version::V11)),
            (Some("2.0"), None),
            (Some(""), None),
        ];
        for (header, expected) in rows {
            assert_eq!(Version::negotiate(header), expected, "{header:?}");
        }
    }

    #[test]
    fn heart_beats_are_the_larger_of_offer_and_wish() {
        let agreed = |header| HeartBeat::negotiate(Some(header), 1000, 10_000);
        assert_eq!(
            agreed("30500,29500"),
            Some(HeartBeat {
                send_ms: 29_500,
                expect_ms: 30_500
            })
        );
        assert_eq!(
            agreed("500,500"),
            Some(HeartBeat {
                send_ms: 1000,
                expect_ms: 10_000
            })
        );
        assert_eq!(agreed("0,0"), Some(HeartBeat::default()));
        assert_eq!(agreed("-1,5"), None);
        assert_eq!(agreed("5"), None);
        assert_eq!(
            HeartBeat::negotiate(None, 1000, 10_000),
            Some(HeartBeat::default())
        );
    }
}
