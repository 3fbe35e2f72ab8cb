//! A collective expands to what MCollective's documentation asks for.

use crate::api::network::Collective;
use crate::model::ValidEntry;

/// The entries of one collective.
#[must_use]
pub fn entries(collective: &Collective) -> Vec<ValidEntry> {
    let (servers, admins) = (
        sorted(&[&collective.servers]),
        sorted(&[&collective.admins]),
    );
    let both = sorted(&[&collective.servers, &collective.admins]);
    let rows = [
        (true, "nodes", &servers, &admins, &both),
        (true, "reply.>", &admins, &servers, &both),
        (false, "*.agent", &servers, &admins, &both),
        (false, "agents", &servers, &admins, &both),
        (false, "registration.agent", &servers, &servers, &both),
    ];
    rows.into_iter()
        .map(|(is_queue, rest, read, write, admin)| ValidEntry {
            is_queue,
            pattern: format!("{}.{rest}", collective.name),
            read: read.clone(),
            write: write.clone(),
            admin: admin.clone(),
            collective: Some(collective.name.clone()),
        })
        .collect()
}

fn sorted(lists: &[&Vec<String>]) -> Vec<String> {
    let mut groups: Vec<String> = lists.iter().flat_map(|list| list.iter().cloned()).collect();
    groups.sort();
    groups.dedup();
    groups
}
