//! `causeway render`, `crds` and `completion` as a user sees them.

use std::os::unix::fs::PermissionsExt as _;
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

#[test]
fn render_writes_directories_that_a_broker_takes_and_leaves_those_of_others_alone() {
    let folder = std::env::temp_dir().join(format!("causeway-render-{}", std::process::id()));
    std::fs::remove_dir_all(&folder).ok();
    let path = folder.display().to_string();
    let render = || causeway(&["render", COUNTRIES, "--output-dir", &path]);
    let output = render();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for site in ["ie", "uk", "us"] {
        let directory = folder.join(site);
        assert!(stdout(&output).contains(&format!("{}\n", directory.display())));
        let warnings = causeway_broker::app::check(&directory).expect("a broker takes it");
        assert_eq!(warnings, Vec::<String>::new());
        for (path, mode) in [("", 0o700), ("secrets.yaml", 0o600), ("users.yaml", 0o600)] {
            let metadata = std::fs::metadata(directory.join(path)).expect("it is there");
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{path}");
        }
    }
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).expect("a file");
    let first = (read("ie/secrets.yaml"), read("ie/users.yaml"));
    assert!(!first.0.contains("AAAAAAAA") && first.0.contains("admin_token"));
    assert_eq!(render().status.code(), Some(0));
    let again = (read("ie/secrets.yaml"), read("ie/users.yaml"));
    assert!(again == first, "the token or the salts are other ones");
    let strange = folder.join("uk");
    std::fs::remove_dir_all(&strange).expect("removed");
    std::fs::create_dir(&strange).expect("a folder");
    std::fs::write(strange.join("README"), "mine").expect("written");
    let output = render();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("does not come from `causeway render`"));
    assert_eq!(read("uk/README"), "mine");
    std::fs::remove_dir_all(&strange).expect("removed");
    std::fs::write(&strange, "a file").expect("written");
    let output = render();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot be looked into: Not a directory"));
    std::fs::remove_dir_all(&folder).ok();
}

#[test]
fn certificates_that_no_broker_can_start_with_end_up_and_render_before_anything_is_made() {
    let folder = std::env::temp_dir().join(format!("causeway-garbage-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let countries = std::fs::read_to_string(COUNTRIES).expect("the example");
    let tls = "  tls: {source: Development, clientTrustBundleRef: {name: clients}}\n  linkAuth:";
    let bundle = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: clients}\n\
                  data: {ca.crt: garbage}\n";
    let file = folder.join("n.yaml");
    std::fs::write(&file, countries.replace("  linkAuth:", tls) + bundle).expect("written");
    let (file, state) = (file.display().to_string(), folder.join("state"));
    let place = state.display().to_string();
    for arguments in [
        ["up", file.as_str(), "--state", place.as_str()].as_slice(),
        &["render", &file],
        &["render", &file, "--output-dir", &place],
    ] {
        let output = causeway(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(
            said.contains("ConfigMap/clients data[\"ca.crt\"]: holds no"),
            "{said}"
        );
        assert!(!state.exists(), "{arguments:?}");
    }
    std::fs::remove_dir_all(&folder).ok();
}
