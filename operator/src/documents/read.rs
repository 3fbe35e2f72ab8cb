//! Files to objects: parse, check against the schema, decode, apply the rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::core::cel::{ErrorKind, ValidationErrors};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::parse;
use super::problem::{Problem, Severity, Source};
use super::schema_walk::{self, Repair, Violation};
use super::schemas::Schemas;
use super::tree::{self, Mark, Node};
use crate::api::network::UNKNOWN_END;
use crate::api::{API_VERSION, BrokerNetwork, BrokerUser, GROUP};

/// A document that can say where its fields stand.
#[derive(Debug, Clone)]
pub struct Object<T> {
    /// What it says.
    pub value: T,
    source: Arc<Source>,
    root: Arc<Node>,
    label: String,
    is_secret: bool,
}

impl<T> Object<T> {
    /// A problem of a field of this document.
    #[must_use]
    pub fn problem(
        &self,
        severity: Severity,
        path: &str,
        reason: String,
        help: Option<String>,
    ) -> Problem {
        Problem {
            severity,
            reason,
            source: Arc::clone(&self.source),
            at: self.root.locate(path),
            document: self.label.clone(),
            path: path.to_owned(),
            help,
            is_secret: self.is_secret,
            rule: None,
        }
    }
}

/// What Secrets and ConfigMaps hold: bytes by key.
pub type Data = BTreeMap<String, Vec<u8>>;

impl Object<Data> {
    /// The path of a key, in the first of these fields that holds it.
    #[must_use]
    pub fn key_path(&self, fields: [&str; 2], key: &str) -> String {
        let holds = |field: &&str| self.root.field(field).and_then(|node| node.field(key));
        let field = fields.into_iter().find(|field| holds(field).is_some());
        tree::field_path(field.unwrap_or(fields[0]), key)
    }
}

/// Everything the files hold.
#[derive(Debug, Default)]
pub struct Documents {
    /// Networks by name.
    pub networks: BTreeMap<String, Object<BrokerNetwork>>,
    /// Users by the name of their object.
    pub users: BTreeMap<String, Object<BrokerUser>>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Object<Data>>,
    /// ConfigMaps by name.
    pub config_maps: BTreeMap<String, Object<Data>>,
    /// Kind and name of every document, those included that could not be decoded, with its file and line.
    pub labels: BTreeMap<String, String>,
    /// What is wrong, in the order of the files.
    pub problems: Vec<Problem>,
}

impl Documents {
    /// Whether anything forbids going on.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }
}

/// Reads files; what is wrong with one document does not hide what is wrong with another.
#[must_use]
pub fn read(sources: &[Arc<Source>]) -> Documents {
    let mut documents = Documents::default();
    let mut schemas = Schemas::new();
    for source in sources {
        let parsed = parse::parse(&source.text);
        let mut found: Vec<Problem> = parsed
            .errors
            .iter()
            .map(|(error, at)| bare(source, *at, error.to_string()))
            .collect();
        if parsed.documents.is_empty() && parsed.errors.is_empty() {
            found.push(bare(
                source,
                Mark::default(),
                "holds no document".to_owned(),
            ));
        }
        for root in parsed.documents {
            let mut reader = Reader {
                schemas: &mut schemas,
                source: Arc::clone(source),
                root: Arc::new(root),
                label: String::new(),
                is_secret: false,
                problems: Vec::new(),
            };
            reader.document(&mut documents);
            found.append(&mut reader.problems);
        }
        found.sort_by_key(|problem| problem.at.offset);
        documents.problems.append(&mut found);
    }
    documents
}

fn bare(source: &Arc<Source>, at: Mark, reason: String) -> Problem {
    Problem {
        severity: Severity::Error,
        reason,
        source: Arc::clone(source),
        at,
        document: String::new(),
        path: String::new(),
        help: None,
        is_secret: false,
        rule: None,
    }
}

struct Reader<'a> {
    schemas: &'a mut Schemas,
    source: Arc<Source>,
    root: Arc<Node>,
    label: String,
    is_secret: bool,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn document(&mut self, documents: &mut Documents) {
        let root = Arc::clone(&self.root);
        let text = |name| root.field(name).and_then(Node::text);
        let Some(kind) = text("kind") else {
            self.add("", "a document needs apiVersion and kind".to_owned(), None);
            return;
        };
        let version = text("apiVersion").unwrap_or_default();
        let name = root
            .field("metadata")
            .and_then(|metadata| metadata.field("name"));
        let name = name.and_then(Node::raw).unwrap_or_default();
        self.label = format!("{kind}/{name}");
        self.is_secret = kind == "Secret";
        if !self.is_ours(kind, version) {
            return;
        }
        let line = root.locate("metadata.name").line;
        let place = format!("{}:{line}", self.source.name);
        let first = documents.labels.get(&self.label);
        if let Some(first) = first.filter(|_| !name.is_empty()) {
            self.add(
                "metadata.name",
                format!("{kind} {name} is declared twice; the first is at {first}"),
                None,
            );
            return;
        }
        if !name.is_empty() {
            documents.labels.insert(self.label.clone(), place);
        }
        let name = name.to_owned();
        match kind {
            "BrokerNetwork" => {
                let network = self.object::<BrokerNetwork>(kind);
                documents
                    .networks
                    .extend(network.map(|object| (name, object)));
            }
            "BrokerUser" => {
                let user = self.object::<BrokerUser>(kind);
                documents.users.extend(user.map(|object| (name, object)));
            }
            "Secret" => documents.secrets.extend(
                self.data(kind, "stringData", "data")
                    .map(|data| (name, data)),
            ),
            _ => documents.config_maps.extend(
                self.data(kind, "data", "binaryData")
                    .map(|data| (name, data)),
            ),
        }
    }

    /// Whether the document is for us; others are passed over with a note.
    fn is_ours(&mut self, kind: &str, version: &str) -> bool {
        let group = version.split('/').next().unwrap_or_default();
        match (kind, version) {
            ("BrokerNetwork" | "BrokerUser", API_VERSION) | ("Secret" | "ConfigMap", "v1") => true,
            _ if group == GROUP || kind == "BrokerNetwork" || kind == "BrokerUser" => {
                let is_version = kind == "BrokerNetwork" || kind == "BrokerUser";
                let path = if is_version { "apiVersion" } else { "kind" };
                let help = format!("{API_VERSION} has the kinds BrokerNetwork and BrokerUser");
                self.add(
                    path,
                    format!("there is no {kind} in {version:?}"),
                    Some(help),
                );
                false
            }
            _ => {
                self.note(format!("{kind} is not used here and is passed over"));
                false
            }
        }
    }

    /// Checks against the schema, decodes as far as that goes, and applies the rules: a typo in one place
    /// does not hide what is wrong elsewhere.
    fn object<T: DeserializeOwned + Serialize>(&mut self, kind: &str) -> Option<Object<T>> {
        let violations = self.walk(kind)?;
        let mut json = self.root.to_json();
        for violation in &violations {
            match &violation.repair {
                Repair::None => {}
                Repair::Text(text) => tree::mend(&mut json, &violation.path, Some(text.clone())),
                Repair::Drop => tree::mend(&mut json, &violation.path, None),
            }
        }
        let value: T = match serde_json::from_value(json) {
            Ok(value) => value,
            Err(error) => {
                if violations.is_empty() {
                    self.add("", error.to_string(), None);
                }
                return None;
            }
        };
        // Rules about what had to be left out would only confuse.
        if violations
            .iter()
            .all(|violation| violation.repair != Repair::Drop)
        {
            let object = serde_json::to_value(&value).unwrap_or_default();
            let outcome = self.schemas.validate(kind, &object);
            self.rules(outcome, violations.is_empty());
        }
        Some(self.finish(value))
    }

    fn rules(&mut self, outcome: Result<(), ValidationErrors>, fits: bool) {
        for error in outcome
            .err()
            .map(ValidationErrors::into_vec)
            .unwrap_or_default()
        {
            // A rule that trips over what the schema has refused already says nothing new.
            let is_new = fits || matches!(error.kind, ErrorKind::ValidationFailure);
            if is_new && error.message != UNKNOWN_END {
                self.add(&error.field_path, error.message, None);
            }
        }
    }

    /// What the schema of the kind forbids; nothing where there is no schema.
    fn walk(&mut self, kind: &str) -> Option<Vec<Violation>> {
        let root = Arc::clone(&self.root);
        let mut violations = schema_walk::walk(&root, self.schemas.shape(kind)?, "");
        if self.is_secret {
            violations.iter_mut().for_each(hide);
        }
        for found in violations.clone() {
            self.push(
                Severity::Error,
                found.at,
                found.path,
                found.reason,
                found.help,
            );
        }
        Some(violations)
    }

    /// The bytes of a Secret or ConfigMap; clear text wins over encoded.
    fn data(&mut self, kind: &str, clear: &str, encoded: &str) -> Option<Object<Data>> {
        if !self.walk(kind)?.is_empty() {
            return None;
        }
        let mut data = Data::new();
        let root = Arc::clone(&self.root);
        for (field, is_encoded) in [(encoded, true), (clear, false)] {
            let Some(tree::Value::Map(pairs)) = root.field(field).map(|node| &node.value) else {
                continue;
            };
            for pair in pairs {
                let Some(text) = pair.value.text() else {
                    continue;
                };
                match is_encoded.then(|| STANDARD.decode(text.trim())) {
                    None => drop(data.insert(pair.key.clone(), text.as_bytes().to_vec())),
                    Some(Ok(bytes)) => drop(data.insert(pair.key.clone(), bytes)),
                    Some(Err(_)) => {
                        let help = "clear text belongs under stringData".to_owned();
                        let path = tree::field_path(field, &pair.key);
                        let help = (kind == "Secret").then_some(help);
                        self.add(&path, "is not base64".to_owned(), help);
                    }
                }
            }
        }
        self.problems.is_empty().then(|| self.finish(data))
    }

    fn finish<T>(&self, value: T) -> Object<T> {
        Object {
            value,
            source: Arc::clone(&self.source),
            root: Arc::clone(&self.root),
            label: self.label.clone(),
            is_secret: self.is_secret,
        }
    }

    fn add(&mut self, path: &str, reason: String, help: Option<String>) {
        self.push(
            Severity::Error,
            self.root.locate(path),
            path.to_owned(),
            reason,
            help,
        );
    }

    fn note(&mut self, reason: String) {
        self.push(
            Severity::Note,
            self.root.locate("kind"),
            String::new(),
            reason,
            None,
        );
    }

    fn push(
        &mut self,
        severity: Severity,
        at: Mark,
        path: String,
        reason: String,
        help: Option<String>,
    ) {
        self.problems.push(Problem {
            severity,
            reason,
            source: Arc::clone(&self.source),
            at,
            document: self.label.clone(),
            path,
            help,
            is_secret: self.is_secret,
            rule: None,
        });
    }
}

/// Takes the value out of what is said about it.
fn hide(violation: &mut Violation) {
    if let Repair::Text(_) = violation.repair {
        violation.reason = "expected text, found an unquoted value of another type".to_owned();
        violation.help = Some("put the value into quotes".to_owned());
    }
}
