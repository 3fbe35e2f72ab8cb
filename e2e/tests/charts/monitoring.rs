//! Rules, dashboards and their pages.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::promtool;
use causeway_e2e::process::{Finished, run};
use causeway_e2e::wait::PATIENCE;
use serde_json::Value;

use super::{documents, list, read, source};

const RULES: &str = "deploy/monitoring/rules.yaml";
const RUNBOOKS: &str = "https://github.com/causeway-mq/causeway/blob/main/docs/runbooks/";

fn call_promtool(arguments: &[&str]) -> Result<Finished> {
    let mut command = Command::new(promtool()?);
    command
        .args(arguments)
        .current_dir(source("deploy/monitoring"));
    run(&mut command, PATIENCE)
}

/// All alerts.
fn alerts() -> Result<Vec<Value>> {
    let rules = documents(&read(RULES)?)?;
    let groups = rules.first().context("rules")?["groups"].clone();
    let groups = groups.as_array().context("groups")?.clone();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().cloned());
    Ok(rules.flatten().collect())
}

#[test]
fn rules_are_in_order_and_fire_as_their_tests_say() -> Result<()> {
    call_promtool(&["check", "rules", "rules.yaml"])?.success("promtool check rules")?;
    for path in list("deploy/monitoring/tests")? {
        let path = path.display().to_string();
        call_promtool(&["test", "rules", &path])?.success("promtool test rules")?;
    }
    Ok(())
}

#[test]
fn every_alert_has_a_test_a_severity_and_a_page_with_four_parts() -> Result<()> {
    let tests = list("deploy/monitoring/tests")?;
    let tests = tests
        .iter()
        .map(std::fs::read_to_string)
        .collect::<std::io::Result<String>>()?;
    let mut pages = BTreeSet::new();
    for alert in alerts()? {
        let name = alert["alert"].as_str().context("a name")?;
        ensure!(tests.contains(name), "no test of {name}");
        let severity = alert["labels"]["severity"].as_str().unwrap_or_default();
        ensure!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}: {severity}"
        );
        let url = alert["annotations"]["runbook_url"]
            .as_str()
            .unwrap_or_default();
        ensure!(url == format!("{RUNBOOKS}{name}.md"), "{name}: {url}");
        let page = read(&format!("docs/runbooks/{name}.md"))?;
        ensure!(
            page.starts_with(&format!("# {name}\n")),
            "title of {name}.md"
        );
        for part in [
            "## Meaning",
            "## Impact",
            "## What to look at",
            "## How to end it",
        ] {
            ensure!(page.contains(part), "{name}.md has no {part}");
        }
        pages.insert(format!("{name}.md"));
    }
    for page in list("docs/runbooks")? {
        let name = page
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        ensure!(
            pages.contains(name),
            "docs/runbooks/{name} is about no alert"
        );
    }
    Ok(())
}

#[test]
fn rules_and_dashboards_name_documented_metrics_only() -> Result<()> {
    let page = documented(|_| true)?;
    for (place, expression) in expressions()? {
        for name in metrics_in(&expression) {
            ensure!(
                page.contains(&name),
                "{place} names {name}, docs/monitoring.md does not"
            );
        }
    }
    Ok(())
}

#[test]
fn what_kube_state_metrics_shows_is_documented() -> Result<()> {
    let file = documents(&read("deploy/monitoring/kube-state-metrics.yaml")?)?;
    let mut shown = BTreeSet::new();
    let resources = file.first().context("a file")?["spec"]["resources"].clone();
    for resource in resources.as_array().context("resources")? {
        let prefix = resource["metricNamePrefix"].as_str().context("a prefix")?;
        for metric in resource["metrics"].as_array().context("metrics")? {
            shown.insert(format!(
                "{prefix}_{}",
                metric["name"].as_str().context("a name")?
            ));
        }
    }
    let page = documented(|section| section.contains("kube-state-metrics"))?;
    let ours = page
        .into_iter()
        .filter(|name| name.starts_with("causeway_"));
    ensure!(ours.collect::<BTreeSet<_>>() == shown, "{shown:?}");
    Ok(())
}

/// The metrics in the tables of docs/monitoring.md, of the sections that are wanted.
pub fn documented(wanted: impl Fn(&str) -> bool) -> Result<BTreeSet<String>> {
    let page = read("docs/monitoring.md")?;
    let mut section = String::new();
    let mut names = BTreeSet::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        }
        let first = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split(" |").next());
        if let Some(cell) = first.filter(|_| wanted(&section)) {
            let ours = cell.split('`').filter(|word| word.contains('_'));
            names.extend(ours.map(str::to_owned));
        }
    }
    Ok(names)
}

/// Every expression of a rule or a dashboard, with where it stands.
pub fn expressions() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for alert in alerts()? {
        let text = |key: &str| alert[key].as_str().unwrap_or_default().to_owned();
        found.push((text("alert"), text("expr")));
    }
    for path in list("deploy/monitoring/dashboards")? {
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        let place = path.display().to_string();
        collect(&board, &place, &mut found);
    }
    ensure!(found.len() > 50, "{} expressions", found.len());
    Ok(found)
}

fn collect(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| match value.as_str() {
            Some(text) if key == "expr" || key == "query" => {
                found.push((place.to_owned(), text.to_owned()));
            }
            _ => collect(value, place, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, place, found)),
        _ => {}
    }
}

/// Names of metrics in an expression, without what a histogram appends.
pub fn metrics_in(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| {
        ["causeway_", "process_", "kube_"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
    });
    ours.map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

#[test]
fn names_of_metrics_are_found_in_expressions() {
    let expression = "sum by (site) (rate(causeway_link_rtt_seconds_bucket{link=\"a-b\"}[5m])) > causeway_link_up";
    let names: Vec<String> = metrics_in(expression).into_iter().collect();
    assert_eq!(names, ["causeway_link_rtt_seconds", "causeway_link_up"]);
}
