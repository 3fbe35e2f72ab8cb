//! Logins by client certificate: what a certificate says about its holder, and which user that is. The chain has been
//! verified by then; here names are compared, whole and exactly.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use crate::config::file::{User, UserCertificate, UserState};

/// What the holder of a certificate is called in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// The URIs of its subject alternative names.
    uris: Vec<String>,
    /// Its common name, if it has exactly one.
    common_name: Option<String>,
}

impl Names {
    /// The names in a certificate (DER); none if it cannot be read.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        Some(Self {
            uris: uris(&parsed),
            common_name: common_name(&parsed),
        })
    }

    /// Whether a certificate with these names is the one that a user is declared with.
    #[must_use]
    pub fn fit(&self, wanted: &UserCertificate) -> bool {
        match (&wanted.uri, &wanted.common_name) {
            (Some(uri), None) => self.uris.contains(uri),
            (None, Some(name)) => self.common_name.as_ref() == Some(name),
            _ => false,
        }
    }

    /// The active user that these names log in, where that is exactly one and `login` names nobody else.
    #[must_use]
    pub fn user<'a>(&self, users: &'a [User], login: &str) -> Option<&'a User> {
        let is_it = |user: &&User| {
            user.state == UserState::Active
                && (login.is_empty() || user.name == login)
                && user.certificate.as_ref().is_some_and(|one| self.fit(one))
        };
        let mut fitting = users.iter().filter(is_it);
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }
}

fn uris(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(uri).collect()
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?.to_owned();
    names.next().is_none().then_some(name)
}

/// What a session remembers of the declaration that let it in, as it does of a password's hash.
#[must_use]
pub fn fingerprint(certificate: &UserCertificate) -> u64 {
    let (kind, name) = match (&certificate.uri, &certificate.common_name) {
        (Some(uri), _) => ("uri", uri.as_str()),
        (None, Some(name)) => ("common_name", name.as_str()),
        (None, None) => ("", ""),
    };
    super::authn::fingerprint(&format!("certificate {kind} {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(common_name: &str, uri: Option<&str>) -> Names {
        let mut params = rcgen::CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, common_name);
        if let Some(uri) = uri {
            let uri = uri.try_into().expect("a URI");
            params.subject_alt_names.push(rcgen::SanType::URI(uri));
        }
        let key = rcgen::KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        Names::of(made.der()).expect("it is one")
    }

    fn users(text: &str) -> Vec<User> {
        serde_yaml::from_str(text).expect("users")
    }

    const USERS: &str = "
- {name: node, certificate: {common_name: node1.example.com}}
- {name: probe, certificate: {uri: 'spiffe://causeway/probe'}}
- {name: gone, state: suspended, certificate: {common_name: gone}}
- {name: one, certificate: {common_name: both}}
- {name: two, certificate: {common_name: both}}
";

    #[test]
    fn a_certificate_is_the_user_that_is_declared_with_its_whole_name() {
        let users = users(USERS);
        let found = |names: &Names, login| names.user(&users, login).map(|user| user.name.as_str());
        let node = names("node1.example.com", None);
        assert_eq!(found(&node, ""), Some("node"));
        assert_eq!(found(&node, "node"), Some("node"));
        assert_eq!(found(&node, "probe"), None, "somebody else");
        let probe = names("node1", Some("spiffe://causeway/probe"));
        assert_eq!(found(&probe, ""), Some("probe"));
        for stranger in [
            names("node1.example.co", None),
            names("NODE1.example.com", None),
            names("*.example.com", None),
            names("spiffe://causeway/probe", None),
            names("x", Some("node1.example.com")),
        ] {
            assert_eq!(found(&stranger, ""), None, "{stranger:?}");
        }
    }

    #[test]
    fn suspended_users_and_names_of_two_users_let_nobody_in() {
        let users = users(USERS);
        assert_eq!(names("gone", None).user(&users, ""), None);
        assert_eq!(names("both", None).user(&users, ""), None);
    }
}
