//! The README's network as it is declared at one moment of a rotation: what may be exchanged under running clients.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_e2e::certificates::Authority;

use super::super::countries;

/// The network's name in the README.
pub const NETWORK: &str = "mcollective";
/// The README's sites, and one that comes and goes.
pub const SITES: [&str; 4] = ["ie", "uk", "us", "de"];
/// The user that comes, changes and goes.
pub const GUEST: &str = "guest";

/// A password, and the one before while both are valid.
pub type Password = (&'static str, Option<&'static str>);

/// Everything that is exchanged.
#[derive(Clone)]
pub struct Declared {
    /// `linkAuth.mode`.
    pub mode: &'static str,
    /// The password of every link.
    pub link: Password,
    /// Cost of the link that is the README's way round.
    pub cost: u16,
    /// The group and the password of the guest.
    pub guest: Option<(&'static str, Password)>,
    /// Further entries of the authorization.
    pub entries: Vec<&'static str>,
    /// Whether the fourth site is there, and the cost of its link.
    pub fourth: Option<u16>,
    /// Certificate and key of each site.
    pub certificates: BTreeMap<&'static str, (String, String)>,
    /// The roots that are trusted.
    pub roots: String,
    /// Those of clients, which stay.
    clients: String,
}

impl Declared {
    /// Links with passwords, where certificates lie ready.
    pub fn new(authority: &Authority) -> Result<Self> {
        let mut declared = Self {
            mode: "Password",
            link: ("Afuphohxoh", None),
            cost: 50,
            guest: None,
            entries: Vec::new(),
            fourth: None,
            certificates: BTreeMap::new(),
            roots: authority.pem().to_owned(),
            clients: authority.pem().to_owned(),
        };
        declared.sign(authority)?;
        Ok(declared)
    }

    /// Every site gets another certificate.
    pub fn sign(&mut self, authority: &Authority) -> Result<()> {
        for site in SITES {
            let pair = authority.site(NETWORK, site)?;
            self.certificates.insert(site, pair);
        }
        Ok(())
    }

    /// What is applied, by its kind: the network, its users, what both name.
    pub fn pieces(&self, namespace: &str) -> Result<[String; 3]> {
        let all = self.documents(namespace)?;
        let kinds: [&[&str]; 3] = [
            &["BrokerNetwork"],
            &["BrokerUser"],
            &["Secret", "ConfigMap"],
        ];
        let pieces = kinds.map(|kinds| {
            let is_one = |one: &&str| kinds.iter().any(|kind| is_of(kind, one));
            let own = all.split("---\n").filter(is_one);
            own.collect::<Vec<_>>().join("---\n")
        });
        ensure!(
            pieces.iter().all(|piece| !piece.is_empty()),
            "a kind is missing"
        );
        Ok(pieces)
    }

    /// What is applied.
    pub fn documents(&self, namespace: &str) -> Result<String> {
        let mut all = self.network(&format!("{namespace}.example.com"))?;
        for link in ["ie-uk", "uk-us", "ie-us", "de-us"] {
            let name = format!("link-{link}");
            all.push_str(&secret(&name, &password("current", "previous", self.link)));
        }
        if let Some((group, own)) = self.guest {
            let name = format!("user-{GUEST}");
            let values = password("password", "previousPassword", own);
            all.push_str(&secret(&name, &values));
            let user = super::super::region::user(GUEST, group);
            let _ = write!(all, "---\n{user}\n");
        }
        for (site, (certificate, key)) in &self.certificates {
            let name = format!("{NETWORK}-{site}-certificate");
            let values = [("tls.crt", &**certificate), ("tls.key", &**key)];
            all.push_str(&secret(&name, &values));
        }
        let name = format!("{NETWORK}-roots");
        all.push_str(&secret(&name, &[("ca.crt", &*self.roots)]));
        let clients = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("{NETWORK}-clients")}, "data": {"ca.crt": self.clients},
        });
        let _ = writeln!(all, "---\n{clients}");
        Ok(all)
    }

    /// The README's documents with what differs, and without the Secrets of links.
    fn network(&self, domain: &str) -> Result<String> {
        let text = countries()?.replace(".example.com", &format!(".{domain}"));
        let parts = text.split("\n---\n").filter(|part| {
            let is_link = part.contains("kind: Secret") && part.contains("{name: link-");
            !is_link
        });
        let mut text = parts.collect::<Vec<_>>().join("\n---\n");
        let tls = format!(
            "  tls:\n    source: Secret\n    secretNameTemplate: \"{{network}}-{{site}}-certificate\"\n    \
             trustBundleRef: {{kind: Secret, name: {NETWORK}-roots, key: ca.crt}}\n    \
             clientTrustBundleRef: {{name: {NETWORK}-clients, key: ca.crt}}\n"
        );
        let mode = format!("{tls}  linkAuth: {{mode: {}}}", self.mode);
        let entries: String = self.entries.iter().fold(String::new(), |all, entry| {
            format!("{all}\n      - {entry}")
        });
        let mut edits = vec![
            ("  linkAuth: {mode: Password}", mode),
            ("cost: 50,", format!("cost: {},", self.cost)),
            ("    entries:", format!("    entries:{entries}")),
        ];
        if let Some(cost) = self.fourth {
            let site = format!("  sites:\n    - {{name: de, endpoint: {{host: amq.de.{domain}}}}}");
            let link = format!("  links:\n    - {{name: de-us, between: [de, us], cost: {cost}, ");
            let own = "credentials: {secretRef: {name: link-de-us}}}";
            edits.push(("  links:", format!("{link}{own}")));
            edits.push(("  sites:", site));
        }
        for (from, to) in &edits {
            let line = text.find(from).with_context(|| format!("no {from:?}"))?;
            text.replace_range(line..line + from.len(), to);
        }
        ensure!(!text.ends_with("---\n"), "an empty document");
        Ok(format!("{}\n", text.trim_end()))
    }
}

fn is_of(kind: &str, document: &str) -> bool {
    let forms = [format!("kind: {kind}\n"), format!("\"kind\":\"{kind}\"")];
    forms.iter().any(|form| document.contains(form.as_str()))
}

fn password<'a>(
    current: &'static str,
    previous: &'static str,
    (now, before): (&'a str, Option<&'a str>),
) -> Vec<(&'static str, &'a str)> {
    let before = before.map(|before| (previous, before));
    [(current, now)].into_iter().chain(before).collect()
}

/// By `data`: what `stringData` had once would stay.
fn secret(name: &str, values: &[(&str, &str)]) -> String {
    let data: BTreeMap<&str, String> = values
        .iter()
        .map(|(key, value)| (*key, STANDARD.encode(value)))
        .collect();
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data,
    });
    format!("---\n{secret}\n")
}
