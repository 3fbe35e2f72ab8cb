//! What has one source and several places is the same in all of them.

use anyhow::{Context, Result, ensure};

use super::{documents, list, read};

/// What makes the copies.
const HELP: &str = "run deploy/sync.sh";

fn same(source: &str, copy: &str) -> Result<()> {
    ensure!(
        read(source)? == read(copy)?,
        "{copy} differs from {source}: {HELP}"
    );
    Ok(())
}

/// The names of the files of two folders are the same, and what is in them.
fn same_folders(source: &str, copy: &str) -> Result<()> {
    let names = |folder: &str| -> Result<Vec<String>> {
        let names = list(folder)?.into_iter();
        names
            .map(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                Ok(name.context("a name")?.to_owned())
            })
            .collect()
    };
    ensure!(
        names(source)? == names(copy)?,
        "{copy} has other files than {source}: {HELP}"
    );
    for name in names(source)? {
        same(&format!("{source}/{name}"), &format!("{copy}/{name}"))?;
    }
    Ok(())
}

#[test]
fn the_chart_has_the_definitions_rules_and_dashboards_of_their_sources() -> Result<()> {
    same_folders("crds", "charts/causeway/files/crds")?;
    same_folders(
        "deploy/monitoring/dashboards",
        "charts/causeway/files/monitoring/dashboards",
    )?;
    for name in ["rules.yaml", "kube-state-metrics.yaml"] {
        same(
            &format!("deploy/monitoring/{name}"),
            &format!("charts/causeway/files/monitoring/{name}"),
        )?;
    }
    Ok(())
}

#[test]
fn the_file_for_kubectl_has_both_definitions() -> Result<()> {
    let published = documents(&read("deploy/crds/causeway.yaml")?)?;
    let mut sources = documents(&read("crds/brokernetworks.yaml")?)?;
    sources.extend(documents(&read("crds/brokerusers.yaml")?)?);
    ensure!(
        published == sources,
        "deploy/crds/causeway.yaml is old: {HELP}"
    );
    Ok(())
}

#[test]
fn charts_manifests_and_crates_have_one_version() -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    for chart in ["causeway", "causeway-network"] {
        let chart = documents(&read(&format!("charts/{chart}/Chart.yaml"))?)?;
        let chart = chart.first().context("a chart")?;
        ensure!(chart["appVersion"] == version, "{chart}");
    }
    let deployment = read("deploy/base/deployment.yaml")?;
    for image in ["causeway/causeway", "causeway/causeway-broker"] {
        ensure!(
            deployment.contains(&format!("{image}:{version}")),
            "{image}"
        );
    }
    Ok(())
}
