//! The charts, the plain manifests, and what monitoring reads: rendered by the real tools, compared with each other and
//! with real brokers.

mod accepted;
mod argocd;
mod copies;
mod monitoring;
mod network;
mod objects;
mod operator;
mod rendering;
mod rights;
mod scrape;
mod values;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize as _;
use serde_json::Value;

/// A file or folder of the source tree.
fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The text of a file of the source tree.
fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(source(path)).with_context(|| path.to_owned())
}

/// The files of a folder of the source tree, in order.
fn list(folder: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(source(folder)).with_context(|| folder.to_owned())?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The documents of a YAML text, without empty ones.
fn documents(text: &str) -> Result<Vec<Value>> {
    let all = serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).context("YAML"))
        .collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().filter(|value| !value.is_null()).collect())
}

/// `KIND NAME` of an object.
fn title(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!(
        "{} {}",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    )
}
