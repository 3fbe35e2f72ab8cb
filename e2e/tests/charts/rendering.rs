//! Calling Helm.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::{Helm, helm};
use causeway_e2e::process::{Finished, Folder, run};
use causeway_e2e::wait::PATIENCE;
use serde_json::{Value, json};

use super::{documents, source};

/// A chart with a Helm that is to render it.
pub struct Chart {
    helm: PathBuf,
    path: PathBuf,
    folder: Folder,
}

impl Chart {
    /// One of `charts/`.
    pub fn new(version: Helm, name: &str) -> Result<Self> {
        Self::at(version, source("charts").join(name))
    }

    /// Any chart.
    pub fn at(version: Helm, path: PathBuf) -> Result<Self> {
        Ok(Self {
            helm: helm(version)?,
            path,
            folder: Folder::new()?,
        })
    }

    /// `helm VERB` with values and further arguments.
    pub fn call(&self, verb: &[&str], values: &Value, more: &[&str]) -> Result<Finished> {
        let file = self.folder.path().join("values.json");
        std::fs::write(&file, values.to_string())?;
        let mut command = Command::new(&self.helm);
        command
            .args(verb)
            .arg(&self.path)
            .arg("--values")
            .arg(&file)
            .args(more)
            .env_remove("KUBECONFIG");
        for (name, folder) in [
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_DATA_HOME", "data"),
        ] {
            command.env(name, self.folder.path().join(folder));
        }
        run(&mut command, PATIENCE)
    }

    /// What a release `causeway` in namespace `causeway` is made of.
    pub fn render(&self, values: &Value) -> Result<Vec<Value>> {
        self.render_with(values, &[])
    }

    /// The same with further arguments of `helm template`.
    pub fn render_with(&self, values: &Value, more: &[&str]) -> Result<Vec<Value>> {
        let mut arguments = vec!["--namespace", "causeway"];
        arguments.extend(more);
        let finished = self.call(&["template", "causeway"], values, &arguments)?;
        documents(&finished.success("helm template")?.stdout)
    }

    /// What Helm says when it refuses values.
    pub fn refusal(&self, values: &Value, more: &[&str]) -> Result<String> {
        let finished = self.call(&["template", "causeway"], values, more)?;
        ensure!(
            finished.code != Some(0),
            "{values} was taken:\n{}",
            finished.stdout
        );
        Ok(finished.stderr)
    }
}

/// The objects of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let is_wanted = |object: &&Value| object["kind"] == kind;
    objects.iter().filter(is_wanted).collect()
}

/// The only object of a kind.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    let found = of_kind(objects, kind);
    ensure!(found.len() == 1, "{} of kind {kind}", found.len());
    found.first().copied().context("one was counted")
}

/// The least values that the operator's chart takes.
pub fn ie() -> Value {
    json!({"sites": ["ie"]})
}

/// A chart around another one, as users build them, in a folder.
pub fn umbrella(folder: &Path, name: &str) -> Result<PathBuf> {
    let parent = folder.join("umbrella");
    copy(
        &source("charts").join(name),
        &parent.join("charts").join(name),
    )?;
    let chart = json!({
        "apiVersion": "v2", "name": "umbrella", "version": "1.0.0",
        "dependencies": [{"name": name, "version": "0.1.0", "condition": format!("{name}.enabled")}],
    });
    std::fs::write(parent.join("Chart.yaml"), chart.to_string())?;
    Ok(parent)
}

/// A copy of a chart in a folder that renders its notes as an object, since `helm template` prints none.
pub fn noted(folder: &Path, name: &str) -> Result<PathBuf> {
    let chart = folder.join(name);
    copy(&source("charts").join(name), &chart)?;
    std::fs::rename(chart.join("templates/NOTES.txt"), chart.join("notes.txt"))?;
    let object = r#"apiVersion: v1
kind: Notes
metadata: {name: notes}
text: {{ tpl (.Files.Get "notes.txt") . | toJson }}
"#;
    std::fs::write(chart.join("templates/notes.yaml"), object)?;
    Ok(chart)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
