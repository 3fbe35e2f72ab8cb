//! The one source of chance in the control plane: xoshiro256**, seeded once, so that a run can be
//! repeated. Nothing secret is made here; nonces come with a connection.

use std::time::Duration;

/// A generator whose output never changes between releases.
#[derive(Debug, Clone)]
pub struct Random([u64; 4]);

impl Random {
    /// A generator started by `SplitMix64` from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }))
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        let state = &mut self.0;
        let result = state[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        result
    }

    /// A number that is not 0.
    pub fn name(&mut self) -> u64 {
        self.number().max(1)
    }

    /// Uniform in 0…`most` (full jitter).
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        // The bias of the remainder is far below what jitter is for.
        Duration::from_nanos(self.number() % nanos.saturating_add(1).max(1))
    }

    /// A time within 10 % of the given one.
    pub fn about(&mut self, time: Duration) -> Duration {
        time - time / 10 + self.up_to(time / 5)
    }
}

#[cfg(test)]
mod tests {
    use super::Random;
    use std::time::Duration;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (mut first, mut second) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| first.number() == second.number()));
        assert_ne!(Random::new(8).number(), Random::new(7).number());
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let mut random = Random::new(1);
        let second = Duration::from_secs(1);
        for _ in 0..1000 {
            assert!(random.up_to(second) <= second);
            let about = random.about(second);
            assert!(about >= second * 9 / 10 && about <= second * 11 / 10);
        }
        assert_eq!(random.up_to(Duration::ZERO), Duration::ZERO);
    }
}
