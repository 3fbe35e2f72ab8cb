//! Every condition with every reason: what has happened, what the status says, what tools make of it.

mod certificates;
mod links;
mod ready;
mod stalls;

use serde_json::json;

use super::world::World;

pub use certificates::CERTIFICATES;
pub use links::LINKS_AND_PEERS;
pub use ready::READY;
pub use stalls::{CAUSES, STALLS};

/// What happened after all was well, the words that the status holds, and the verdict.
pub type Row = (
    &'static str,
    fn(&mut World),
    &'static [&'static str],
    &'static str,
);

/// The own end of the link of this cluster.
fn state(world: &mut World, state: &str) {
    world.answer(|page| page["links"][0]["state"] = json!(state));
}
