//! Whose the Secret of a generated password is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

/// The kind of the objects that own such Secrets.
pub const KIND: &str = "BrokerUser";

/// Whose a Secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The user's.
    Ours,
    /// The user's, and others claim it as well, given as "Kind/name".
    Shared(String),
    /// That of an earlier user of the name, which is being removed.
    Former,
    /// Somebody else's, or nobody's.
    Foreign(Option<String>),
}

/// Whose a Secret with these owners is; `uid` and `name` are those of the user.
#[must_use]
pub fn holder(owners: &[OwnerReference], uid: &str, name: &str) -> Holder {
    let controller = owners.iter().find(|owner| owner.controller == Some(true));
    let Some(controller) = controller else {
        return Holder::Foreign(None);
    };
    if controller.uid != uid {
        return match controller.kind == KIND && controller.name == name {
            true => Holder::Former,
            false => Holder::Foreign(Some(words(controller))),
        };
    }
    let others: Vec<String> = owners
        .iter()
        .filter(|owner| owner.uid != uid)
        .map(words)
        .collect();
    match others.is_empty() {
        true => Holder::Ours,
        false => Holder::Shared(others.join(", ")),
    }
}

fn words(owner: &OwnerReference) -> String {
    format!("{}/{}", owner.kind, owner.name)
}
