//! A bundle for a site: its manifest, what its certificate says, and that whoever trusts the root accepts it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use causeway_broker::config::certificates;
use causeway_operator::authority::{self, Pair, Validity};
use causeway_operator::bundle::{self, Bundle, BundleError, Request};
use causeway_operator::documents::{self, Source};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

/// A whole second, as certificates count.
const NOW: u64 = 1_790_000_000;

fn at(days: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + days * 86_400)
}

fn validity(days: u32) -> Validity {
    Validity { now: at(0), days }
}

fn root() -> Pair {
    authority::root("Roots of ours", validity(365)).expect("a root")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("PEM")
}

fn request(hosts: &[String]) -> Request<'_> {
    Request {
        network: "mcollective",
        site: "de",
        trust_domain: "causeway",
        namespace: None,
        hosts,
        validity: validity(90),
    }
}

fn made(request: &Request<'_>, ca: &Pair) -> Result<Bundle, BundleError> {
    bundle::make(request, &text(&ca.certificate), &text(&ca.key))
}

fn value(bundle: &Bundle, key: &str) -> String {
    let data = bundle.secret.string_data.as_ref().expect("data");
    data.get(key).expect("the key is there").clone()
}

#[test]
fn the_manifest_is_that_of_a_tls_secret_with_the_default_name() {
    let bundle = made(&request(&[]), &root()).expect("a bundle");
    let manifest = bundle::manifest(&bundle.secret).expect("YAML");
    let mut shown = String::new();
    let mut is_inside = false;
    for line in manifest.lines() {
        is_inside |= line.contains("-----BEGIN");
        if !is_inside {
            shown += &format!("{line}\n");
        } else if line.contains("-----END") {
            is_inside = false;
            let kind = line.trim().trim_matches('-').trim_start_matches("END ");
            shown += &format!("    <{kind}>\n");
        }
    }
    let expected = "\
apiVersion: v1
kind: Secret
metadata:
  name: mcollective--de-tls
type: kubernetes.io/tls
stringData:
  ca.crt: |
    <CERTIFICATE>
  tls.crt: |
    <CERTIFICATE>
  tls.key: |
    <PRIVATE KEY>
";
    assert_eq!(shown, expected);
    // The product reads what it writes.
    let read = documents::read(&[Source::new("bundle.yaml", manifest)]);
    assert!(read.problems.is_empty(), "{:#?}", read.problems);
    let data = &read.secrets["mcollective--de-tls"].value;
    assert_eq!(data["ca.crt"], value(&bundle, "ca.crt").into_bytes());
    let pair = certificates::check_pair(&data["tls.crt"], &data["tls.key"]);
    assert_eq!(pair, []);
}

#[test]
fn the_certificate_names_the_site_and_is_good_for_both_ends_and_so_many_days() {
    let hosts = ["amq.de.example.com".to_owned(), "192.0.2.7".to_owned()];
    let request = Request {
        namespace: Some("messaging"),
        ..request(&hosts)
    };
    let bundle = made(&request, &root()).expect("a bundle");
    assert_eq!(
        bundle.secret.metadata.namespace.as_deref(),
        Some("messaging")
    );
    let chain = value(&bundle, "tls.crt");
    let pem = Pem::iter_from_buffer(chain.as_bytes())
        .next()
        .expect("one")
        .expect("PEM");
    let certificate = pem.parse_x509().expect("X.509");
    let names = certificate
        .subject_alternative_name()
        .expect("names")
        .expect("there");
    let names: Vec<String> = names
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) => format!("DNS {name}"),
            GeneralName::URI(uri) => format!("URI {uri}"),
            GeneralName::IPAddress(bytes) => format!("IP {bytes:?}"),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "DNS amq.de.example.com",
        "IP [192, 0, 2, 7]",
        "DNS mcollective--de-stomp",
        "DNS mcollective--de-stomp.messaging.svc",
        "DNS mcollective--de-stomp-tls",
        "DNS mcollective--de-stomp-tls.messaging.svc",
        "DNS mcollective--de-link",
        "DNS mcollective--de-link.messaging.svc",
        "URI spiffe://causeway/network/mcollective/site/de",
    ];
    assert_eq!(names, expected);
    let usage = certificate
        .key_usage()
        .expect("usage")
        .expect("there")
        .value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    let usage = certificate
        .extended_key_usage()
        .expect("usage")
        .expect("there")
        .value;
    assert!(usage.server_auth && usage.client_auth && !usage.any);
    assert!(!certificate.is_ca());
    let until = certificate.validity().not_after.timestamp();
    assert_eq!(until, i64::try_from(NOW + 90 * 86_400).expect("small"));
    let from = certificate.validity().not_before.timestamp();
    assert!(from < i64::try_from(NOW).expect("small"), "clocks differ");
    assert!(certificate.public_key().parsed().is_ok());
}

fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    let ders = CertificateDer::pem_slice_iter(pem.as_bytes());
    ders.collect::<Result<_, _>>().expect("certificates")
}

/// Whether both kinds of peers that trust a root accept a chain at a time.
fn is_accepted(root: &str, chain: &str, days: u64) -> [bool; 2] {
    let mut store = RootCertStore::empty();
    store.add(ders(root).remove(0)).expect("a root");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let store = Arc::new(store);
    let server =
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&store), Arc::clone(&provider));
    let server = server.build().expect("a verifier");
    let client = WebPkiClientVerifier::builder_with_provider(store, provider);
    let client = client.build().expect("a verifier");
    let chain = ders(chain);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW + days * 86_400));
    let name = ServerName::try_from("mcollective--de-link").expect("a name");
    [
        server
            .verify_server_cert(&chain[0], &chain[1..], &name, &[], now)
            .is_ok(),
        client
            .verify_client_cert(&chain[0], &chain[1..], now)
            .is_ok(),
    ]
}

#[test]
fn who_trusts_the_root_accepts_it_until_it_ends() {
    let (ca, other) = (root(), root());
    let bundle = made(&request(&[]), &ca).expect("a bundle");
    assert!(!bundle.outlives_authority);
    let (roots, chain) = (value(&bundle, "ca.crt"), value(&bundle, "tls.crt"));
    assert_eq!(is_accepted(&roots, &chain, 1), [true, true]);
    assert_eq!(is_accepted(&roots, &chain, 91), [false, false]);
    assert_eq!(
        is_accepted(&text(&other.certificate), &chain, 1),
        [false, false]
    );
}

/// An authority below a root.
fn below(root: &Pair) -> Pair {
    let key = KeyPair::from_pem(&text(&root.key)).expect("a key");
    let issuer = Issuer::from_ca_cert_pem(&text(&root.certificate), key).expect("an issuer");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params
        .distinguished_name
        .push(DnType::CommonName, "Between");
    params.not_before = (at(0) - Duration::from_secs(60)).into();
    params.not_after = at(300).into();
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("signed");
    Pair {
        certificate: certificate.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    }
}

#[test]
fn an_authority_that_is_no_root_itself_travels_with_the_certificate() {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Root");
    params.not_before = (at(0) - Duration::from_secs(60)).into();
    params.not_after = at(365).into();
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    let root = Pair {
        certificate: certificate.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    };
    let bundle = made(&request(&[]), &below(&root)).expect("a bundle");
    let chain = value(&bundle, "tls.crt");
    assert_eq!(ders(&chain).len(), 2);
    assert_eq!(
        is_accepted(&text(&root.certificate), &chain, 1),
        [true, true]
    );
}

#[test]
fn what_cannot_sign_is_refused_with_the_reason() {
    let ca = root();
    let refused =
        |request: &Request<'_>, ca: &Pair| made(request, ca).err().expect("refused").to_string();
    let long = Request {
        validity: validity(400),
        ..request(&[])
    };
    assert!(made(&long, &ca).expect("a bundle").outlives_authority);
    let other = Pair {
        key: root().key,
        ..ca.clone()
    };
    assert!(refused(&request(&[]), &other).contains("the key of the authority does not belong to"));
    let late = Request {
        validity: Validity {
            now: at(366),
            days: 1,
        },
        ..request(&[])
    };
    assert_eq!(
        refused(&late, &ca),
        "the certificate of the authority has expired"
    );
    let leaf = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).expect("a pair");
    let leaf = Pair {
        certificate: leaf.cert.pem().into_bytes(),
        key: leaf.signing_key.serialize_pem().into_bytes(),
    };
    assert!(refused(&request(&[]), &leaf).contains("is that of no authority"));
    for (network, site) in [
        ("Net", "de"),
        ("1net", "de"),
        ("n", "a--b"),
        ("n", ""),
        ("n", "a/b"),
    ] {
        let request = Request {
            network,
            site,
            ..request(&[])
        };
        assert!(
            refused(&request, &ca).contains("must be lower-case"),
            "{network} {site}"
        );
    }
    for (namespace, trust_domain) in [
        (Some("Bad_NS"), "causeway"),
        (Some("a.b"), "causeway"),
        (Some(&*"a".repeat(64)), "causeway"),
        (None, "Causeway"),
        (None, "causeway/network"),
    ] {
        let request = Request {
            namespace,
            trust_domain,
            ..request(&[])
        };
        assert!(
            refused(&request, &ca).contains("must be lower-case"),
            "{namespace:?} {trust_domain}"
        );
    }
    let hosts = ["not a host".to_owned()];
    assert_eq!(
        refused(&request(&hosts), &ca),
        "not a host is no host name and no address"
    );
}
