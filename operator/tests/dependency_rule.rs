//! Pure modules decide; they reach neither sockets nor files, take no time and draw no numbers.

use std::path::{Path, PathBuf};

/// Modules that only decide.
const PURE: [&str; 38] = [
    "api",
    "change",
    "client/declared.rs",
    "client/describe",
    "client/describe.rs",
    "documents",
    "dump/redact.rs",
    "finding.rs",
    "kube_io/compare.rs",
    "labels.rs",
    "lint",
    "local/events.rs",
    "local/plan.rs",
    "local/progress.rs",
    "local/slots.rs",
    "local/table.rs",
    "model",
    "names.rs",
    "network/assemble.rs",
    "network/authority.rs",
    "network/build",
    "network/credentials.rs",
    "network/load.rs",
    "network/placement.rs",
    "network/plan.rs",
    "network/references.rs",
    "network/status",
    "network/validate",
    "render",
    "rights.rs",
    "rule.rs",
    "settings.rs",
    "topology",
    "user/events.rs",
    "user/ownership.rs",
    "user/password.rs",
    "user/status.rs",
    "user/view.rs",
];

/// What they must not name.
const FORBIDDEN: [&str; 11] = [
    "tokio",
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "kube::Client",
    "HashMap",
];

fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in path.read_dir().expect("the folder can be read") {
            sources(&entry.expect("the entry can be read").path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
}

#[test]
fn pure_modules_name_nothing_that_acts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in PURE {
        let mut files = Vec::new();
        sources(&root.join(module), &mut files);
        assert!(!files.is_empty(), "{module} has no sources");
        for file in files {
            let text = std::fs::read_to_string(&file).expect("the file can be read");
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in FORBIDDEN {
                    let place = format!("{}:{}", file.display(), number + 1);
                    assert!(
                        !code.contains(word),
                        "{place} names {word}, but {module} only decides"
                    );
                }
            }
        }
    }
}

#[test]
fn types_of_the_documents_import_nothing_of_ours_but_themselves() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("the file can be read");
        assert!(
            !text.contains("use crate::"),
            "{}: api imports api only",
            file.display()
        );
    }
}
