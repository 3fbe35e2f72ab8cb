//! What accounts asked of an API server, by its audit log.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::cluster::Cluster;

/// The log, below the cluster's folder.
const LOG: &str = "audit.log";

/// What is logged, below the cluster's folder.
const POLICY: &str = "audit.json";

/// A request of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// The verb that the account needs the right for.
    pub verb: String,
    /// `GROUP/RESOURCE`, or `GROUP/RESOURCE/SUBRESOURCE`; the core group is empty.
    pub resource: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object; empty for lists.
    pub name: String,
    /// What was answered.
    pub code: u64,
}

impl Asked {
    /// Whether the account may not do that.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        self.code == 403
    }

    /// Whether it changed something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch") && self.code < 300
    }

    /// The rights that it took, by resource and verb: what applies an object that was not there creates it.
    #[must_use]
    pub fn rights(&self) -> BTreeSet<(String, String)> {
        let right = |verb: &str| (self.resource.clone(), verb.to_owned());
        let mut rights = BTreeSet::from([right(&self.verb)]);
        if self.verb == "patch" && self.code == 201 {
            rights.insert(right("create"));
        }
        rights
    }
}

/// Arguments of the API server that make it log the requests of accounts, and their policy.
pub(super) fn arguments(folder: &Path) -> Result<Vec<String>> {
    let policy = folder.join(POLICY);
    std::fs::write(&policy, policy_of_accounts().to_string())?;
    Ok(vec![
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", folder.join(LOG).display()),
    ])
}

fn policy_of_accounts() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
            {"level": "None"},
        ],
    })
}

impl Cluster {
    /// All requests about objects that an account has made so far, in their order.
    ///
    /// # Errors
    /// The cluster is not one of ours.
    pub fn requests_of(&self, namespace: &str, account: &str) -> Result<Vec<Asked>> {
        let path = self.folder().join(LOG);
        let log = std::fs::read_to_string(&path).context("no audit log")?;
        Ok(asked(
            &log,
            &format!("system:serviceaccount:{namespace}:{account}"),
        ))
    }
}

fn asked(log: &str, user: &str) -> Vec<Asked> {
    let mut known = BTreeSet::new();
    // The last line may be half written.
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events = events.filter(|event| event["user"]["username"] == user);
    // A watch is logged when it begins and when it ends.
    let events = events.filter(|event| known.insert(event["auditID"].to_string()));
    events.filter_map(|event| one(&event)).collect()
}

fn one(event: &Value) -> Option<Asked> {
    let object = event.get("objectRef")?;
    let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
    let mut resource = format!("{}/{}", text("apiGroup"), text("resource"));
    if let Some(part) = object["subresource"].as_str() {
        resource = format!("{resource}/{part}");
    }
    Some(Asked {
        verb: event["verb"].as_str()?.to_owned(),
        resource,
        namespace: text("namespace"),
        name: text("name"),
        code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "system:serviceaccount:a:operator";

    fn event(id: &str, user: &str, verb: &str, code: u64) -> String {
        json!({
            "auditID": id, "verb": verb, "user": {"username": user},
            "objectRef": {"resource": "deployments", "apiGroup": "apps", "namespace": "a",
                "name": "x", "subresource": "status"},
            "responseStatus": {"code": code},
        })
        .to_string()
    }

    #[test]
    fn requests_of_one_account_are_told_once_each_and_half_a_line_is_none() {
        let log = [
            event("1", USER, "watch", 200),
            event("1", USER, "watch", 200),
            event("2", "system:serviceaccount:b:operator", "get", 200),
            event("3", USER, "patch", 201),
            "{\"auditID\"".to_owned(),
        ];
        let found = asked(&log.join("\n"), USER);
        let verbs: Vec<&str> = found.iter().map(|one| one.verb.as_str()).collect();
        assert_eq!(verbs, ["watch", "patch"]);
        assert_eq!(found[0].resource, "apps/deployments/status");
        let rights: Vec<String> = found[1]
            .rights()
            .into_iter()
            .map(|(_, verb)| verb)
            .collect();
        assert_eq!(rights, ["create", "patch"]);
        assert!(found[1].is_write() && !found[0].is_write());
    }
}
