//! The Secret of a generated password: when it is made, rotated, left alone, and what it holds.

use causeway_operator::api::BrokerUser;
use causeway_operator::model::SecretText;
use causeway_operator::user::keeper;
use causeway_operator::user::ownership::{Holder, holder};
use causeway_operator::user::password::{Held, Step, made, rotated, rotation, step};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::json;

const UID: &str = "6b1f2d7e-0000-4000-8000-000000000001";

fn user() -> BrokerUser {
    let user = json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser",
        "metadata": {"name": "joe", "namespace": "n", "uid": UID, "generation": 1},
        "spec": {
            "networkRef": {"name": "mco"}, "username": "Joe", "sites": {"names": ["ie"]},
            "credentials": {"type": "Generated", "generated": {"rotation": "1"}},
        },
    });
    serde_json::from_value(user).expect("a user")
}

fn owner(kind: &str, name: &str, uid: &str, is_controller: bool) -> OwnerReference {
    OwnerReference {
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(is_controller),
        block_owner_deletion: None,
    }
}

fn ours() -> OwnerReference {
    owner("BrokerUser", "joe", UID, true)
}

#[test]
fn whose_a_secret_is_follows_from_its_owners() {
    let other = || owner("ExternalSecret", "joe", "x", false);
    let table = [
        (vec![], Holder::Foreign(None)),
        (vec![other()], Holder::Foreign(None)),
        (
            vec![owner("ExternalSecret", "joe", "x", true)],
            Holder::Foreign(Some("ExternalSecret/joe".to_owned())),
        ),
        (
            vec![owner("BrokerUser", "jim", "y", true)],
            Holder::Foreign(Some("BrokerUser/jim".to_owned())),
        ),
        (
            vec![owner("BrokerUser", "joe", "old", true)],
            Holder::Former,
        ),
        (vec![ours()], Holder::Ours),
        (
            vec![ours(), other()],
            Holder::Shared("ExternalSecret/joe".to_owned()),
        ),
    ];
    for (owners, expected) in table {
        assert_eq!(holder(&owners, UID, "joe"), expected, "{owners:?}");
    }
}

/// What it is called, its Secret's owners, the rotation it was made for, its password, and what is to be done.
type Case<'a> = (
    &'a str,
    &'a [OwnerReference],
    Option<&'a str>,
    Option<&'a [u8]>,
    Step,
);

#[test]
fn it_is_made_once_rotated_when_asked_and_never_written_where_it_is_not_ours() {
    let own = [ours()];
    let shared = [ours(), owner("ExternalSecret", "joe", "x", false)];
    let foreign = [owner("ExternalSecret", "joe", "x", true)];
    let former = [owner("BrokerUser", "joe", "old", true)];
    let table: [Case<'_>; 8] = [
        ("as it should be", &own, Some("1"), Some(b"x"), Step::Leave),
        (
            "another rotation",
            &own,
            Some("0"),
            Some(b"x"),
            Step::Rotate,
        ),
        ("no rotation", &own, None, Some(b"x"), Step::Rotate),
        ("damaged", &own, Some("0"), None, Step::Leave),
        ("empty", &own, Some("0"), Some(b""), Step::Leave),
        ("two owners", &shared, Some("0"), Some(b"x"), Step::Leave),
        ("somebody else's", &foreign, None, Some(b"x"), Step::Leave),
        (
            "an earlier user's",
            &former,
            Some("0"),
            Some(b"x"),
            Step::Wait,
        ),
    ];
    assert_eq!(step(None, UID, "joe", "1"), Step::Make);
    for (name, owners, rotation, password, expected) in table {
        let held = Held {
            owners,
            rotation,
            password,
        };
        assert_eq!(step(Some(&held), UID, "joe", "1"), expected, "{name}");
    }
}

#[test]
fn the_secret_is_the_users_and_holds_login_name_and_password() {
    let user = user();
    let secret = made(&user, &SecretText::new("geheim"), "1");
    assert_eq!(secret.metadata.name.as_deref(), Some("joe-credentials"));
    let owners = secret.metadata.owner_references.unwrap_or_default();
    assert_eq!(holder(&owners, UID, "joe"), Holder::Ours);
    let data = secret.data.unwrap_or_default();
    let texts: Vec<(&str, &[u8])> = data
        .iter()
        .map(|(key, bytes)| (key.as_str(), bytes.0.as_slice()))
        .collect();
    let expected: [(&str, &[u8]); 2] = [("password", b"geheim"), ("username", b"Joe")];
    assert_eq!(texts, expected);
    let held = Held {
        owners: &owners,
        rotation: secret
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get("causeway.dev/rotation"))
            .map(String::as_str),
        password: Some(b"geheim"),
    };
    assert_eq!(step(Some(&held), UID, "joe", "1"), Step::Leave);
}

#[test]
fn a_rotation_is_one_write_that_keeps_the_password_before() {
    let patch = rotated(&user(), b"old", &SecretText::new("new"), "2");
    let expected = json!({
        "metadata": {"annotations": {"causeway.dev/rotation": "2"}},
        "data": {"username": "Sm9l", "password": "bmV3", "previousPassword": "b2xk"},
    });
    assert_eq!(patch, expected);
}

#[test]
fn passwords_have_32_characters_that_need_no_quotes_and_are_never_the_same() {
    let one = keeper::random().expect("random numbers");
    let other = keeper::random().expect("random numbers");
    assert_ne!(one, other);
    let text = one.expose();
    assert_eq!(text.len(), 32);
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    assert!(text.chars().all(is_plain));
    assert_eq!(format!("{one:?}"), "<redacted>");
}

#[test]
fn a_user_without_a_rotation_asks_for_the_empty_one_and_others_for_none() {
    let mut user = user();
    assert_eq!(rotation(&user.spec), Some("1"));
    user.spec.credentials.generated = None;
    assert_eq!(rotation(&user.spec), Some(""));
    user.spec.credentials = serde_json::from_value(json!({
        "type": "Password", "secretRef": {"name": "joe"},
    }))
    .expect("credentials");
    assert_eq!(rotation(&user.spec), None);
}
