//! The YAML that the tests hand to `causeway up`: shapes, users, rights and Secrets, as a user
//! would write them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::certificates::SiteCertificates;

/// Name of every network of the tests.
pub const NETWORK: &str = "mcollective";

/// The user whose groups may do everything.
pub const ADMIN: &str = "amq";

/// The user that MCollective logs in as.
pub const MCOLLECTIVE: &str = "mcollective";

/// How the sites are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Only by the links that are written down.
    Custom,
    /// In a row.
    Chain,
    /// In a circle.
    Ring,
    /// Each with the first.
    Star,
    /// Each with each.
    Mesh,
}

/// A link that is written down.
#[derive(Debug, Clone)]
pub struct Link {
    /// One end.
    pub from: String,
    /// The other end.
    pub to: String,
    /// Its cost.
    pub cost: u16,
}

/// A user with its password.
#[derive(Debug, Clone)]
pub struct User {
    /// Groups it is in.
    pub groups: Vec<String>,
    /// The password that counts.
    pub password: String,
    /// The one before, while both are valid.
    pub previous: Option<String>,
}

/// A network as the tests change it; [`Document::to_yaml`] is what the product reads.
#[derive(Debug, Clone)]
pub struct Document {
    /// Sites in the order of the file.
    pub sites: Vec<String>,
    /// How they are joined.
    pub shape: Shape,
    /// Links beside those of the shape.
    pub links: Vec<Link>,
    /// Users by name.
    pub users: BTreeMap<String, User>,
    /// Entries of the authorization, each one line of YAML.
    pub entries: Vec<String>,
    /// Keys of `settings`, each one line of YAML.
    pub settings: Vec<String>,
    /// Certificates; a TLS listener is open when there are some.
    pub tls: Option<SiteCertificates>,
    /// How links are opened, `MTLS` for example; by passwords when nothing is said.
    pub link_auth: Option<&'static str>,
    /// What link passwords end with, and ended with before while both are valid.
    pub link_passwords: (&'static str, Option<&'static str>),
}

impl Document {
    /// Sites joined by a shape, with the article's users and entries.
    #[must_use]
    pub fn new(shape: Shape, sites: &[&str]) -> Self {
        Self {
            sites: sites.iter().map(|site| (*site).to_owned()).collect(),
            shape,
            links: Vec::new(),
            users: article_users(),
            entries: article_entries(),
            settings: Vec::new(),
            tls: None,
            link_auth: None,
            link_passwords: ("", None),
        }
    }

    /// Two rings of four that have one broker, `hub`, in common.
    #[must_use]
    pub fn two_rings() -> Self {
        let mut document = Self::new(Shape::Custom, &["hub", "a", "b", "c", "p", "q", "r"]);
        for ring in [["hub", "a", "b", "c"], ["hub", "p", "q", "r"]] {
            for at in 0..ring.len() {
                document.link(ring[at], ring[(at + 1) % ring.len()], 10);
            }
        }
        document
    }

    /// Adds a link.
    pub fn link(&mut self, from: &str, to: &str, cost: u16) {
        self.links.push(Link {
            from: from.to_owned(),
            to: to.to_owned(),
            cost,
        });
    }

    /// Adds a user or replaces it.
    pub fn user(&mut self, name: &str, groups: &[&str], password: &str) {
        let user = User {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            password: password.to_owned(),
            previous: None,
        };
        self.users.insert(name.to_owned(), user);
    }

    /// The password of a user; empty when there is no such user.
    #[must_use]
    pub fn password(&self, user: &str) -> &str {
        self.users
            .get(user)
            .map_or("", |user| user.password.as_str())
    }

    /// Names of all links: those of the shape, then those written down.
    #[must_use]
    pub fn link_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .shape_pairs()
            .iter()
            .map(|(a, b)| link_name(a, b))
            .collect();
        names.extend(
            self.links
                .iter()
                .map(|link| link_name(&link.from, &link.to)),
        );
        names
    }

    /// The documents, one after the other.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut yaml = self.network();
        for (name, user) in &self.users {
            yaml.push_str(&user_documents(name, user));
        }
        for link in self.link_names() {
            let (current, previous) = self.link_passwords;
            let password = |end: &str| format!("{}{end}", link_password(&link));
            let mut values = vec![("current", password(current))];
            values.extend(previous.map(|previous| ("previous", password(previous))));
            let values: Vec<(&str, &str)> =
                values.iter().map(|(key, value)| (*key, &**value)).collect();
            yaml.push_str(&secret(&format!("{NETWORK}-link-{link}"), &values));
        }
        if let Some(tls) = &self.tls {
            yaml.push_str(&tls.documents(NETWORK, &self.sites));
        }
        yaml
    }

    fn shape_pairs(&self) -> Vec<(&str, &str)> {
        let sites: Vec<&str> = self.sites.iter().map(String::as_str).collect();
        let mut pairs: Vec<(&str, &str)> = match self.shape {
            Shape::Custom => Vec::new(),
            Shape::Chain | Shape::Ring => sites.windows(2).map(|two| (two[0], two[1])).collect(),
            Shape::Star => sites.iter().skip(1).map(|site| (sites[0], *site)).collect(),
            Shape::Mesh => (0..sites.len())
                .flat_map(|one| (one + 1..sites.len()).map(move |other| (one, other)))
                .map(|(one, other)| (sites[one], sites[other]))
                .collect(),
        };
        if self.shape == Shape::Ring
            && let (Some(first), Some(last)) = (sites.first(), sites.last())
        {
            pairs.push((last, first));
        }
        pairs
    }

    fn network(&self) -> String {
        let mut lines = format!(
            "apiVersion: causeway.dev/v1alpha1\nkind: BrokerNetwork\nmetadata:\n  name: {NETWORK}\nspec:\n"
        );
        if self.tls.is_some() {
            lines.push_str(&format!(
                "  siteDefaults:\n    listeners:\n      stompTls: {{state: Open}}\n  tls:\n    source: Secret\n    \
                 secretNameTemplate: \"{{network}}--{{site}}-tls\"\n    \
                 trustBundleRef: {{kind: Secret, name: {NETWORK}-roots, key: ca.crt}}\n"
            ));
        }
        if let Some(mode) = self.link_auth {
            lines.push_str(&format!("  linkAuth: {{mode: {mode}}}\n"));
        }
        lines.push_str("  sites:\n");
        for site in &self.sites {
            lines.push_str(&format!("    - {{name: {site}}}\n"));
        }
        lines.push_str(&self.topology());
        lines.push_str("  authorization:\n    entries:\n");
        for entry in &self.entries {
            lines.push_str(&format!("      - {entry}\n"));
        }
        if !self.settings.is_empty() {
            lines.push_str("  settings:\n");
            for setting in &self.settings {
                lines.push_str(&format!("    {setting}\n"));
            }
        }
        lines
    }

    fn topology(&self) -> String {
        let order = self.sites.join(", ");
        let mut lines = match self.shape {
            Shape::Custom => String::new(),
            Shape::Chain => format!("  topology: {{shape: Chain, order: [{order}]}}\n"),
            Shape::Ring => format!("  topology: {{shape: Ring, order: [{order}]}}\n"),
            Shape::Star => format!("  topology: {{shape: Star, hub: {}}}\n", self.sites[0]),
            Shape::Mesh => "  topology: {shape: Mesh}\n".to_owned(),
        };
        if !self.links.is_empty() {
            lines.push_str("  links:\n");
        }
        for Link { from, to, cost } in &self.links {
            let name = link_name(from, to);
            lines.push_str(&format!(
                "    - {{name: {name}, between: [{from}, {to}], cost: {cost}}}\n"
            ));
        }
        lines
    }
}

/// The name a shape gives to a link.
#[must_use]
pub fn link_name(one: &str, other: &str) -> String {
    format!("{}-{}", one.min(other), one.max(other))
}

/// The password of a link.
#[must_use]
pub fn link_password(link: &str) -> String {
    format!("secret-of-{link}-1234")
}

/// One line of YAML that lets a group read, write and create below a pattern.
#[must_use]
pub fn full_entry(kind: &str, pattern: &str, group: &str) -> String {
    format!("{{{kind}: \"{pattern}\", read: [{group}], write: [{group}], admin: [{group}]}}")
}

/// A Secret with text values.
#[must_use]
pub fn secret(name: &str, values: &[(&str, &str)]) -> String {
    let mut lines =
        format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n");
    for (key, value) in values {
        if value.contains('\n') {
            let text = value.trim_end().replace('\n', "\n    ");
            lines.push_str(&format!("  {key}: |\n    {text}\n"));
        } else {
            lines.push_str(&format!("  {key}: \"{value}\"\n"));
        }
    }
    lines
}

fn user_documents(name: &str, user: &User) -> String {
    let groups = user.groups.join(", ");
    let mut text = String::new();
    let written = writeln!(
        text,
        "---\napiVersion: causeway.dev/v1alpha1\nkind: BrokerUser\nmetadata: {{name: {name}}}\nspec:\n  \
         networkRef: {{name: {NETWORK}}}\n  groups: [{groups}]\n  \
         credentials: {{type: Password, secretRef: {{name: user-{name}}}}}"
    );
    // Writing to a String cannot fail.
    debug_assert!(written.is_ok());
    let mut values = vec![("password", user.password.as_str())];
    if let Some(previous) = &user.previous {
        values.push(("previousPassword", previous));
    }
    text + &secret(&format!("user-{name}"), &values)
}

fn article_users() -> BTreeMap<String, User> {
    let user = |group: &str, password: &str| User {
        groups: vec![group.to_owned(), "everyone".to_owned()],
        password: password.to_owned(),
        previous: None,
    };
    BTreeMap::from([
        (ADMIN.to_owned(), user("admins", "Afuphohxoh")),
        (MCOLLECTIVE.to_owned(), user("mcollectiveusers", "pI1jweRV")),
    ])
}

fn article_entries() -> Vec<String> {
    vec![
        full_entry("queue", ">", "admins"),
        full_entry("topic", ">", "admins"),
        full_entry("topic", "mcollective.>", "mcollectiveusers"),
        full_entry("topic", "ActiveMQ.Advisory.>", "everyone"),
        full_entry("queue", "mcollective.>", "mcollectiveusers"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_has_as_many_links_as_sites_and_names_in_byte_order() {
        let ring = Document::new(Shape::Ring, &["a", "b", "c", "d"]);
        assert_eq!(ring.link_names(), ["a-b", "b-c", "c-d", "a-d"]);
        assert_eq!(Document::two_rings().link_names().len(), 8);
    }

    #[test]
    fn every_link_has_its_secret() {
        let mesh = Document::new(Shape::Mesh, &["a", "b", "c", "d"]);
        let yaml = mesh.to_yaml();
        assert_eq!(mesh.link_names().len(), 6);
        for name in mesh.link_names() {
            assert!(yaml.contains(&format!("{NETWORK}-link-{name}")), "{name}");
        }
    }
}
