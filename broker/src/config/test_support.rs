//! A small configuration for the tests of this folder.

use super::valid::{Config, Files};

/// One site of two, with a link, a user and an entry.
pub(crate) fn files() -> Files {
    let broker = r#"
format: 1
network: n
site: a
instance: 75baf888-e8ef-5714-b3bf-9a76db51ac0c
listeners:
  stomp: {bind: "127.0.0.1", port: 61613}
sites:
  - {name: a}
  - {name: b}
links:
  - name: a-b
    peer: b
    addresses: [{host: b.example.com, port: 61618}]
authorization:
  entries:
    - {queue: ">", read: [everyone], write: [everyone], admin: [everyone]}
"#;
    let users = r#"
format: 1
users:
  - name: alice
    groups: [everyone]
    verifiers: ["$argon2id$v=19$m=19456,t=2,p=1$qXlxQtCHRJ9ebmVExRjZsA$MUcfVq+/K3S9dIwqOZetvENY/pDpDuHUEG+FqYeHaZ8"]
"#;
    let secrets = r"
format: 1
admin_token: t
links:
  a-b: {current: one}
";
    Files {
        broker: broker.into(),
        users: users.into(),
        secrets: secrets.into(),
        ..Files::default()
    }
}

/// A certificate that signed itself, and its key.
pub(crate) fn certified() -> (String, String) {
    let made = match rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]) {
        Ok(made) => made,
        Err(error) => panic!("{error}"),
    };
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// What they mean.
pub(crate) fn config(files: &Files) -> Config {
    match Config::from_files(files) {
        Ok(config) => config,
        Err(problems) => panic!("{problems:?}"),
    }
}
