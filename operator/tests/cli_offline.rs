//! `causeway render`, `crds` and `completion` as a user sees them.

use std::process::{Command, Output};

const COUNTRIES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/examples/countries.yaml"
);
const WRONG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/everything_wrong.yaml"
);

fn causeway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn render_prints_the_files_of_the_wanted_site_without_secrets() {
    let output = causeway(&["render", COUNTRIES, "--site", "ie"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for name in [
        "# ie/broker.yaml",
        "# ie/users.yaml",
        "# ie/secrets.yaml",
        "current: <redacted>",
    ] {
        assert!(text.contains(name), "{text}");
    }
    for hidden in ["# uk/", "Afuphohxoh", "pI1jweRV", "$argon2id$"] {
        assert!(!text.contains(hidden), "{hidden} is shown:\n{text}");
    }
    assert_eq!(stderr(&output), "");
}

#[test]
fn render_shows_secrets_when_asked_and_the_same_each_time() {
    let render = || {
        stdout(&causeway(&[
            "render",
            COUNTRIES,
            "--site",
            "uk",
            "--show-secrets",
        ]))
    };
    let text = render();
    assert!(text.contains("current: Afuphohxoh"), "{text}");
    assert!(
        text.contains("$argon2id$v=19$m=19456,t=2,p=1$qXlxQtCHRJ9ebmVExRjZsA$"),
        "{text}"
    );
    assert_eq!(render(), text);
}

#[test]
fn render_of_a_bad_file_prints_every_problem_and_no_file() {
    let output = causeway(&["render", WRONG]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    let text = stderr(&output);
    for part in [
        "unknown field lables",
        "did you mean labels?",
        "everything_wrong.yaml:6:18",
        "the network has no site usa",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn render_prints_problems_as_json_when_asked() {
    let output = causeway(&["render", WRONG, "-o", "json"]);
    assert_eq!(output.status.code(), Some(2));
    for line in stdout(&output).lines() {
        let problem: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
        for field in [
            "severity", "reason", "file", "line", "column", "document", "path",
        ] {
            assert!(!problem[field].is_null(), "{field}: {line}");
        }
    }
}

#[test]
fn unknown_site_and_unreadable_file_are_bad_input() {
    let output = causeway(&["render", COUNTRIES, "--site", "de"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is no site de; the network has ie, uk, us"));
    let output = causeway(&["render", "/nowhere/a.yaml", "/nowhere/b.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("/nowhere/a.yaml") && stderr(&output).contains("/nowhere/b.yaml")
    );
    assert_eq!(causeway(&["render"]).status.code(), Some(2));
}

#[test]
fn crds_prints_both_definitions_or_the_wanted_one() {
    let both = stdout(&causeway(&["crds"]));
    let files = [
        include_str!("../../crds/brokernetworks.yaml"),
        include_str!("../../crds/brokerusers.yaml"),
    ];
    assert!(both == files.join("---\n"));
    assert!(stdout(&causeway(&["crds", "--kind", "BrokerUser"])) == files[1]);
}

#[test]
fn completion_names_the_subcommands() {
    assert!(stdout(&causeway(&["completion", "bash"])).contains("render"));
}
