//! What was written, what it means, and where it runs.

pub mod declared;
pub mod placement;
pub mod secret;
pub mod valid;

pub use declared::Declared;
pub use placement::{ListenerKind, Placement};
pub use secret::SecretText;
pub use valid::{
    Credential, Group, ValidEntry, ValidLink, ValidNetwork, ValidSite, ValidTls, ValidUser,
};
