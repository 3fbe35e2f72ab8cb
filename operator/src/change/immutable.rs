//! What may not change at all: the rules that the API server applies to an update.

use kube::core::cel::ValidationErrors;

use crate::api::BrokerUser;
use crate::api::network::Site;
use crate::finding::{Finding, Subject};
use crate::model::Declared;

/// What the schema says of an id that changes.
const ID: &str = "sites[].id is immutable";

/// Every field of the new documents that cannot be applied over the old ones.
#[must_use]
pub fn refusals(old: &Declared, new: &Declared) -> Vec<Finding> {
    let network = new.network.validate_cel_update(&old.network);
    let mut findings = told(&Subject::Network, network);
    // The rule of the schema does not say which site it is about.
    let ids = ids(old, new);
    if !ids.is_empty() {
        findings.retain(|finding| !finding.reason.starts_with(ID));
        findings.extend(ids);
    }
    for (name, spec) in &new.users {
        let Some(before) = old.users.get(name) else {
            continue;
        };
        let before = BrokerUser::new(name, before.clone());
        let after = BrokerUser::new(name, spec.clone());
        let subject = Subject::User(name.clone());
        findings.extend(told(&subject, after.validate_cel_update(&before)));
    }
    findings
}

/// The sites whose id becomes another one, or none.
fn ids(old: &Declared, new: &Declared) -> Vec<Finding> {
    let before = &old.network.spec.sites;
    let sites = new.network.spec.sites.iter().enumerate();
    let finding = |(index, site): (usize, &Site)| {
        let before = before.iter().find(|before| before.name == site.name)?;
        let id = before.id.filter(|_| before.id != site.id)?;
        let name = &site.name;
        let change = match site.id {
            Some(other) => format!("become {other}"),
            None => "be taken away".to_owned(),
        };
        let path = format!("spec.sites[{index}].id");
        let reason = format!("{ID}: that of site {name} is {id} and cannot {change}");
        Some(Finding::error(Subject::Network, path, reason))
    };
    sites.filter_map(finding).collect()
}

fn told(subject: &Subject, outcome: Result<(), ValidationErrors>) -> Vec<Finding> {
    let errors = outcome.err().map(ValidationErrors::into_vec);
    let errors = errors.into_iter().flatten();
    errors
        .map(|error| Finding::error(subject.clone(), error.field_path, error.message))
        .collect()
}
