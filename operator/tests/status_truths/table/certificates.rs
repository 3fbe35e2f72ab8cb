//! `TLSValid`, and a broker that does not answer.

use causeway_operator::api::condition::Reason;
use serde_json::json;

use super::Row;
use crate::world::World;

const LATE: &str = "2027-11-25T12:00:00Z";

fn tls(world: &mut World, source: &str) {
    let issuer = (source == "CertManager").then(|| json!({"name": "ca"}));
    world.change(|spec| {
        spec["tls"] = json!({"source": source});
        if let Some(issuer) = issuer {
            spec["tls"]["issuerRef"] = issuer;
        }
    });
}

fn certificate(world: &mut World, end: &str, problem: Option<&str>) {
    tls(world, "Secret");
    let error = problem.map(|_| "it is wrong");
    world.answer(|page| {
        page["certs"] =
            json!([{"file": "tls/tls.crt", "notAfter": end, "problem": problem, "error": error}]);
    });
}

pub const CERTIFICATES: &[Row] = &[
    (
        "certificates are good",
        |world| certificate(world, LATE, None),
        &["Ready=True AllSitesReady", "TLSValid=True Valid"],
        "Current",
    ),
    (
        "a certificate ends within two weeks",
        |world| certificate(world, "2026-12-09T11:59:59Z", None),
        &[
            "Ready=True AllSitesReady",
            "TLSValid=True ExpiresSoon",
            "Degraded=True CertificateExpiresSoon",
        ],
        "Current",
    ),
    (
        "a certificate has ended",
        |world| certificate(world, "2026-11-25T12:00:00Z", None),
        &["Ready=False TLSInvalid", "TLSValid=False Expired"],
        "InProgress",
    ),
    (
        "a certificate is another site's",
        |world| certificate(world, LATE, Some("name_mismatch")),
        &["Ready=False TLSInvalid", "TLSValid=False NameMismatch"],
        "InProgress",
    ),
    (
        "a certificate ends at no root",
        |world| certificate(world, LATE, Some("untrusted_root")),
        &["Ready=False TLSInvalid", "TLSValid=False UntrustedRoot"],
        "InProgress",
    ),
    (
        "certificate and key do not belong together",
        |world| {
            tls(world, "Secret");
            world.answer(|_| {});
            world.warn(Reason::PairMalformed);
        },
        &["Ready=False TLSInvalid", "TLSValid=False PairMalformed"],
        "InProgress",
    ),
    (
        "a broker goes on with its certificate because it cannot use the new one",
        |world| {
            tls(world, "Secret");
            world.answer(|page| page["config"]["error"] = json!("tls.crt holds no certificate"));
        },
        &[
            "Ready=False TLSInvalid",
            "ConfigApplied=True Applied",
            "TLSValid=False PairMalformed",
        ],
        "InProgress",
    ),
    (
        "the broker is too old to tell of certificates",
        |world| {
            tls(world, "Secret");
            world.answer(|page| page["certs"] = json!(null));
        },
        &["Ready=True AllSitesReady", "TLSValid=Unknown NotObserved"],
        "Current",
    ),
    (
        "certificates come from the development authority",
        |world| {
            world.has_one_cluster = true;
            tls(world, "Development");
            world.answer(|_| {});
        },
        &["TLSValid=True Valid", "Degraded=True DevelopmentCA"],
        "Current",
    ),
    (
        "cert-manager has not issued a certificate yet",
        |world| {
            tls(world, "CertManager");
            world.answer(|_| {});
            world.warn(Reason::WaitingForCertificate);
        },
        &["Reconciling=True WaitingForCertificate"],
        "InProgress",
    ),
    (
        "a broker with certificates does not answer",
        |world| {
            tls(world, "Secret");
            world.answer(|_| {});
            world.step();
            world.silence(121, 10);
        },
        &[
            "Ready=Unknown BrokerUnreachable",
            "ConfigApplied=Unknown BrokerUnreachable",
            "LinksUp=Unknown BrokerUnreachable",
            "TLSValid=Unknown BrokerUnreachable",
            "Reconciling=True WaitingForBroker",
        ],
        "InProgress",
    ),
];
