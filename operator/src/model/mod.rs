//! What was written, what it means, and where it runs.

pub mod cluster;
pub mod declared;
pub mod observed;
pub mod placement;
pub mod plan;
pub mod secret;
pub mod valid;

pub use declared::Declared;
pub use placement::{ListenerKind, Placement};
pub use secret::SecretText;
pub use valid::{
    Credential, Group, ValidEntry, ValidLink, ValidNetwork, ValidSite, ValidTls, ValidUser,
};
