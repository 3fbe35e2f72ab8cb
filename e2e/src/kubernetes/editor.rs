//! Somebody else who changes objects, faster than a `kubectl` for each change.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::access::{Access, rest};
use super::cluster::Cluster;

/// Who asks the API server as administrator, one connection for each request.
#[derive(Debug, Clone)]
pub struct Editor {
    access: Access,
}

impl Cluster {
    /// Somebody who changes objects.
    ///
    /// # Errors
    /// The cluster does not say how to reach it.
    pub fn editor(&self) -> Result<Editor> {
        Ok(Editor {
            access: self.access(None)?,
        })
    }
}

impl Editor {
    /// The object or the list at a path.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.access.get(path)
    }

    /// Merges something into the object at a path.
    ///
    /// # Errors
    /// It is refused.
    pub fn merge(&self, path: &str, patch: &Value) -> Result<Value> {
        self.access.merge(path, patch)
    }

    /// Replaces the value at a place of the object at a path; false where the API server refuses that.
    ///
    /// # Errors
    /// It does not answer.
    pub fn replace(&self, path: &str, place: &str, value: &Value) -> Result<bool> {
        let patch = json!([{"op": "replace", "path": place, "value": value}]);
        let kind = "application/json-patch+json";
        Ok(self.send("PATCH", path, kind, &patch)?.0 < 300)
    }

    /// Makes an object below the path of its kind; false where the API server refuses it.
    ///
    /// # Errors
    /// It does not answer.
    pub fn create(&self, path: &str, object: &Value) -> Result<bool> {
        Ok(self.send("POST", path, "application/json", object)?.0 < 300)
    }

    /// Removes the object at a path.
    ///
    /// # Errors
    /// There is none.
    pub fn delete(&self, path: &str) -> Result<()> {
        let (status, answer) = self.send("DELETE", path, "application/json", &json!({}))?;
        ensure!(status < 300, "DELETE {path}: {answer}");
        Ok(())
    }

    fn send(&self, verb: &str, path: &str, kind: &str, body: &Value) -> Result<(u16, Value)> {
        let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        let body = body.to_string();
        let (head, mut answer) = self.access.send(verb, path, headers, body.as_bytes())?;
        let status = head.second()?.parse().context("no status")?;
        let answer = serde_json::from_slice(&rest(&mut answer)).unwrap_or_default();
        Ok((status, answer))
    }
}
