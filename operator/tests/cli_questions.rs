//! `causeway lint`, `plan`, `can-i`, `path`, `join-bundle` and `kubectl causeway` as a user sees them.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const COUNTRIES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/examples/countries.yaml"
);
const WRONG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/everything_wrong.yaml"
);

fn called(name: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .arg0(name)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}

/// Standard output of a command that ends with a code, and standard error.
fn ends(code: i32, arguments: &[&str]) -> (String, String) {
    let output = called("causeway", arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}\n{out}\n{err}"
    );
    (out, err)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

/// A folder of the test's own.
fn folder(test: &str) -> PathBuf {
    let name = format!("causeway-questions-{test}-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The example with some texts replaced, as a file.
fn edited(folder: &Path, name: &str, edits: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(COUNTRIES).expect("the example");
    for (from, to) in edits {
        assert!(text.contains(from), "{from:?} is not in the example");
        text = text.replacen(from, to, 1);
    }
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

#[test]
fn lint_tells_findings_by_its_exit_code() {
    let folder = folder("lint");
    let (out, err) = ends(0, &["lint", COUNTRIES]);
    assert_eq!(out, "0 errors, 3 warnings, 1 note\n");
    assert!(
        err.contains("L09 WeakCredential") && !err.contains("Afuphohxoh"),
        "{err}"
    );
    ends(1, &["lint", COUNTRIES, "--strict"]);
    let (out, _) = ends(0, &["lint", COUNTRIES, "-o", "json"]);
    let lines: Vec<serde_json::Value> = out.lines().map(json).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(
        (&lines[1]["rule"], &lines[1]["finding"]),
        (&"L09".into(), &"WeakCredential".into())
    );
    let twice = (
        "  authorization:\n",
        "    - {name: twice, between: [ie, uk]}\n  authorization:\n",
    );
    let file = edited(&folder, "twice.yaml", &[twice]);
    let (_, err) = ends(1, &["lint", &file]);
    assert!(err.contains("L03 DuplicatePair"), "{err}");
    ends(2, &["lint", WRONG]);
    ends(2, &["lint", "/nowhere.yaml"]);
    ends(2, &["lint"]);
    let (_, err) = ends(2, &["lint", COUNTRIES, "--sites", "ie,de"]);
    assert!(
        err.contains("there is no site de; the network has ie, uk, us"),
        "{err}"
    );
    ends(0, &["lint", COUNTRIES, "--sites", "ie,uk"]);
    std::fs::remove_dir_all(&folder).ok();
}

#[test]
fn plan_shows_classes_objects_and_findings() {
    let folder = folder("plan");
    let (out, _) = ends(0, &["plan", "-f", COUNTRIES, "--from", COUNTRIES]);
    assert_eq!(out, "nothing changes in network mcollective\n");
    let new = edited(
        &folder,
        "new.yaml",
        &[
            (
                "{name: ie, labels",
                "{name: ie, nodeSelector: {disk: ssd}, labels",
            ),
            ("    - {name: uk,", "    - {name: de}\n    - {name: uk,"),
            ("between: [uk, us],", "between: [uk, us], cost: 7,"),
        ],
    );
    let (out, err) = ends(1, &["plan", "-f", &new, "--from", COUNTRIES]);
    for part in [
        "every site that stays:\n",
        "ie: restarts (Placement)\n  strategy Recreate: messages in queues go to other sites that have consumers",
        "  restart  nodeSelector  {} -> {\"disk\":\"ssd\"}  Placement: only a new pod has it\n",
        "de: created\n",
        "uk: no restart\n",
        "  live   links[uk-us].cost  10 -> 7  the broker reads its files again\n",
        "objects created:\n",
        "  Deployment mcollective--de\n",
    ] {
        assert!(out.contains(part), "{part:?} is not in\n{out}");
    }
    assert!(
        err.contains("L01 UnreachableSite") && !err.contains("L09"),
        "only what is new: {err}"
    );
    let arguments = [
        "plan", "-f", &new, "--from", COUNTRIES, "--site", "ie", "-o", "json",
    ];
    let plan = json(&ends(1, &arguments).0);
    assert_eq!(plan["sites"].as_array().map(Vec::len), Some(1));
    assert_eq!(plan["sites"][0]["restarts"][0], "Placement");
    assert_eq!(plan["sites"][0]["strategy"], "Recreate");
    assert_eq!(plan["sites"][0]["fate"], "kept");
    assert_eq!(plan["objects"]["created"], serde_json::json!([]));
    assert_eq!(plan["findings"][0]["rule"], "L01");
    let (out, err) = ends(2, &["plan", "-f", WRONG, "--from", COUNTRIES]);
    assert!(
        out.is_empty() && err.contains("unknown field"),
        "{out}{err}"
    );
    ends(2, &["plan", "-f", COUNTRIES, "--from", WRONG]);
    let (_, err) = ends(2, &["plan", "-f", COUNTRIES]);
    for way in ["--from OLD", "--cluster", "--lose site:NAME", "--lose-each"] {
        assert!(err.contains(way), "{way} is not in {err}");
    }
    ends(
        2,
        &["plan", "-f", COUNTRIES, "--from", COUNTRIES, "--site", "de"],
    );
    let (first, second) = (
        "{name: ie, labels",
        ["{name: ie, id: 7, labels", "{name: ie, id: 8, labels"],
    );
    let files = second.map(|to| {
        edited(
            &folder,
            &format!("{}.yaml", to.len() + usize::from(to.contains('8'))),
            &[(first, to)],
        )
    });
    let (_, err) = ends(2, &["plan", "-f", &files[1], "--from", &files[0]]);
    let refusal = "sites[].id is immutable: that of site ie is 7 and cannot";
    assert!(err.contains(refusal), "{err}");
    let (out, _) = ends(0, &["plan", "-f", &files[0], "--from", COUNTRIES]);
    let warning = "once applied, it can neither be changed nor taken away";
    assert!(out.contains(warning), "{out}");
    let handover = edited(
        &folder,
        "handover.yaml",
        &[(
            first,
            "{name: ie, strategy: Handover, nodeSelector: {disk: ssd}, labels",
        )],
    );
    let (out, _) = ends(0, &["plan", "-f", &handover, "--from", COUNTRIES]);
    let taken = "strategy Handover: the new pod takes over messages in queues";
    assert!(out.contains(taken), "{out}");
    std::fs::remove_dir_all(&folder).ok();
}

#[test]
fn plan_and_path_tell_what_a_loss_comes_to() {
    let (out, _) = ends(0, &["plan", "-f", COUNTRIES, "--lose", "link:uk-us"]);
    assert!(out.starts_with("without link:uk-us:\n"), "{out}");
    assert!(
        out.contains("ie - us  cost 20 over ie-uk > uk-us  cost 50 over ie-us\n"),
        "{out}"
    );
    let both = [
        "plan",
        "-f",
        COUNTRIES,
        "--lose",
        "link:uk-us",
        "--lose",
        "link:ie-us",
        "-o",
        "json",
    ];
    let report = json(&ends(1, &both).0);
    assert_eq!(
        report["whatIf"][0]["lost"],
        serde_json::json!(["link:uk-us", "link:ie-us"])
    );
    assert_eq!(report["whatIf"][0]["cut"].as_array().map(Vec::len), Some(2));
    let (out, _) = ends(0, &["plan", "-f", COUNTRIES, "--lose-each"]);
    assert_eq!(out.lines().count(), 8, "{out}");
    ends(2, &["plan", "-f", COUNTRIES, "--lose", "site:de"]);
    ends(2, &["plan", "-f", COUNTRIES, "--lose", "uk"]);
    let (out, _) = ends(
        0,
        &[
            "path",
            "ie",
            "us",
            "-f",
            COUNTRIES,
            "--destination",
            "queue/x",
        ],
    );
    assert!(out.starts_with("ie -> us: cost 20, 2 hops\n"), "{out}");
    assert!(
        out.ends_with(
            "2 ways share no link\n/queue/x: traffic class default, which takes every link\n"
        ),
        "{out}"
    );
    let path = json(&ends(0, &["path", "ie", "us", "-f", COUNTRIES, "-o", "json"]).0);
    assert_eq!(
        (&path["cost"], &path["disjointPaths"]),
        (&20.into(), &2.into())
    );
    let (out, _) = ends(
        1,
        &["path", "ie", "us", "-f", COUNTRIES, "--lose", "site:us"],
    );
    assert_eq!(out, "ie -> us: no way: us is lost\n");
    let (_, err) = ends(2, &["path", "ie", "de", "-f", COUNTRIES]);
    assert!(err.contains("there is no site de"), "{err}");
}

#[test]
fn can_i_answers_by_its_exit_code() {
    let ask = |user: &'static str, destination: &'static str| {
        ["can-i", user, "read", destination, "-f", COUNTRIES]
    };
    let (out, _) = ends(0, &ask("amq", "queue/x"));
    assert_eq!(
        out,
        "yes: amq read queue/x: queue > gives read to the group admins (BrokerNetwork/mcollective spec.authorization.entries[0])\n"
    );
    let (out, _) = ends(1, &ask("mcollective", "queue/x"));
    assert_eq!(
        out,
        "no: mcollective read queue/x: nothing gives read: the user's groups are everyone, mcollectiveusers\n"
    );
    ends(2, &ask("nobody", "queue/x"));
    ends(2, &ask("amq", "x"));
    ends(2, &["can-i", "amq", "delete", "queue/x", "-f", COUNTRIES]);
    let (out, _) = ends(
        2,
        &["can-i", "amq", "read", "queue/x", "-f", WRONG, "-o", "json"],
    );
    assert!(
        out.lines().all(|line| json(line)["severity"] == "error"),
        "{out}"
    );
}

#[test]
fn join_bundle_prints_a_secret_and_writes_nothing() {
    let folder = folder("bundle");
    let validity = causeway_operator::authority::Validity {
        now: std::time::SystemTime::now(),
        days: 30,
    };
    let root = causeway_operator::authority::root("Roots of ours", validity).expect("a root");
    std::fs::write(folder.join("ca.crt"), root.certificate).expect("written");
    std::fs::write(folder.join("ca.key"), root.key).expect("written");
    let (certificate, key) = (
        folder.join("ca.crt").display().to_string(),
        folder.join("ca.key").display().to_string(),
    );
    let arguments = [
        "join-bundle",
        "--network",
        "n",
        "--site",
        "de",
        "--ca-cert",
        &certificate,
        "--ca-key",
        &key,
    ];
    let days = |days: &'static str| [&arguments[..], &["--days", days]].concat();
    let (out, err) = ends(0, &days("7"));
    assert!(
        out.starts_with(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: n--de-tls\ntype: kubernetes.io/tls\n"
        ),
        "{out}"
    );
    assert_eq!(err, "");
    let (_, err) = ends(0, &arguments);
    assert!(
        err.contains("the authority ends before the certificate does"),
        "{err}"
    );
    ends(2, &days("0"));
    let swapped = [
        "join-bundle",
        "--network",
        "n",
        "--site",
        "de",
        "--ca-cert",
        &key,
        "--ca-key",
        &certificate,
    ];
    let (out, err) = ends(2, &swapped);
    assert!(
        out.is_empty() && err.contains("holds no certificate"),
        "{out}{err}"
    );
    ends(
        2,
        &[
            "join-bundle",
            "--network",
            "n",
            "--site",
            "de",
            "--ca-cert",
            "/nowhere",
            "--ca-key",
            &key,
        ],
    );
    assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 2);
    std::fs::remove_dir_all(&folder).ok();
}

#[test]
fn as_a_plugin_of_kubectl_the_command_shows_itself_as_it_is_typed() {
    let text = |name: &str, arguments: &[&str]| {
        let output = called(name, arguments);
        let bytes = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&bytes).into_owned(),
        )
    };
    let (code, help) = text("/usr/local/bin/kubectl-causeway", &["--help"]);
    assert_eq!(code, Some(0));
    assert!(help.contains("Usage: kubectl causeway <COMMAND>"), "{help}");
    assert!(help.contains("\n  kubectl causeway lint deploy"), "{help}");
    let (_, help) = text("kubectl-causeway", &["lint", "--help"]);
    assert!(
        help.contains("Usage: kubectl causeway lint [OPTIONS]"),
        "{help}"
    );
    assert!(
        help.contains("\n  kubectl causeway lint network.yaml"),
        "{help}"
    );
    let (code, usage) = text("kubectl-causeway", &["path", "a"]);
    assert_eq!(code, Some(2));
    assert!(usage.contains("kubectl causeway path"), "{usage}");
    let (_, help) = text("causeway", &["--help"]);
    assert!(
        help.contains("Usage: causeway <COMMAND>") && !help.contains("kubectl causeway"),
        "{help}"
    );
    let (code, found) = text("kubectl_complete-causeway", &["can"]);
    assert_eq!(
        (code, found.as_str()),
        (
            Some(0),
            "can-i\tSay whether a user may do something, and why\n:4\n"
        )
    );
    let (_, script) = text("kubectl-causeway", &["completion", "bash"]);
    assert!(script.contains("kubectl-causeway") && script.contains("join-bundle"));
}

#[test]
fn every_question_has_help_with_examples() {
    for command in ["lint", "plan", "can-i", "path", "join-bundle"] {
        let (out, _) = ends(0, &[command, "--help"]);
        assert!(
            out.contains(&format!("Examples:\n  causeway {command} ")),
            "{out}"
        );
    }
}
