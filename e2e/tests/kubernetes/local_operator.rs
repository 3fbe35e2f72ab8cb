//! The operator as a process with the rights of an account and no others.

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::proxy::Proxy;
use causeway_e2e::kubernetes::{Cluster, Level, Operator};
use causeway_e2e::wait::{self, PATIENCE};

use super::{countries, print};

const NAMESPACE: &str = "account-operator";

/// The token of an account that may do everything in its namespace.
fn account(cluster: &Cluster) -> Result<String> {
    cluster.kubectl(&["create", "namespace", NAMESPACE])?;
    let here = format!("--namespace={NAMESPACE}");
    cluster.kubectl(&["create", "serviceaccount", "operator", &here])?;
    let subject = format!("--serviceaccount={NAMESPACE}:operator");
    let role = "--clusterrole=cluster-admin";
    cluster.kubectl(&["create", "rolebinding", "operator", role, &subject, &here])?;
    cluster.account_token(NAMESPACE, "operator")
}

#[test]
fn an_operator_behind_the_proxy_acts_as_the_account_whose_token_the_proxy_has() -> Result<()> {
    let cluster = Cluster::shared(Level::ControlPlane)?;
    cluster.apply(&print(&["crds"])?, &["--force-conflicts"])?;
    let proxy = Proxy::start(&cluster, Some(&account(&cluster)?))?;
    let here = format!("--namespace={NAMESPACE}");
    cluster.apply(&countries()?, &[&here])?;
    let operator = Operator::launch(&cluster, proxy.kubeconfig(), "ie", NAMESPACE, &[])?;
    let deployed = wait::until("a Deployment", PATIENCE, || {
        let writes = proxy.writes_since(0);
        let mut writes = writes.iter().filter(|one| one.status == Some(201));
        Ok(writes
            .any(|one| one.path.contains("/deployments/"))
            .then_some(()))
    });
    deployed.with_context(|| operator.log())?;
    let outside: Vec<_> = proxy.writes_since(0);
    let outside = outside
        .iter()
        .find(|one| !one.path.contains(NAMESPACE) && one.status.is_some_and(|code| code < 400));
    ensure!(outside.is_none(), "{outside:?}");
    operator.stop()
}
