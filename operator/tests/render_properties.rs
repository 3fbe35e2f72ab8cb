//! Generated files: equal for equal input, whatever the order of what was written.

use std::collections::{BTreeMap, BTreeSet};

use causeway_broker::config::file::{BrokerFile, SecretsFile, UsersFile};
use causeway_operator::documents::Source;
use causeway_operator::model::ValidNetwork;
use causeway_operator::names::SiteName;
use causeway_operator::network::credentials::{self, HashCache};
use causeway_operator::network::load::load;
use causeway_operator::network::placement;
use causeway_operator::network::validate::MissingSecrets;
use causeway_operator::render::{self, SiteFiles};

const COUNTRIES: &str = include_str!("../../deploy/examples/countries.yaml");
const RING: &str = include_str!("../../deploy/examples/ring.yaml");
const MESH: &str = include_str!("../../deploy/examples/mesh.yaml");

fn valid(text: &str) -> ValidNetwork {
    match load(
        &[Source::new("test.yaml", text)],
        None,
        MissingSecrets::Refuse,
    ) {
        Ok(loaded) => loaded.network,
        Err(problems) => panic!("{problems:#?}"),
    }
}

/// All files of all sites; hashing is left out.
fn rendered(network: &ValidNetwork) -> BTreeMap<SiteName, SiteFiles> {
    let jobs = credentials::missing(network, &HashCache::new());
    let hash = |(user, password): &(String, _)| format!("hash of {user} {password:?}");
    let hashes: HashCache = jobs.iter().map(|job| (job.clone(), hash(job))).collect();
    let render = |site: &SiteName| {
        let placement = placement::in_cluster(network, site).expect("it is a site");
        render::render(network, site, &placement, &hashes).expect("it renders")
    };
    network
        .sites
        .keys()
        .map(|site| (site.clone(), render(site)))
        .collect()
}

fn broker(files: &SiteFiles) -> BrokerFile {
    serde_yaml::from_slice(&files[render::BROKER]).expect("it is the broker's format")
}

fn users(files: &SiteFiles) -> Vec<String> {
    let file: UsersFile =
        serde_yaml::from_slice(&files[render::USERS]).expect("it is the broker's format");
    file.users.into_iter().map(|user| user.name).collect()
}

/// A number from a seed, for shuffling; the same on every machine.
fn next(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed >> 33).unwrap_or_default()
}

fn shuffle<T>(items: &mut [T], seed: &mut u64) {
    for index in (1..items.len()).rev() {
        items.swap(index, next(seed) % (index + 1));
    }
}

/// Shuffles the documents and every list in them whose order means nothing.
fn shuffled(text: &str, seed: &mut u64) -> String {
    fn walk(value: &mut serde_yaml::Value, key: &str, seed: &mut u64) {
        match value {
            serde_yaml::Value::Mapping(fields) => {
                for (key, field) in fields.iter_mut() {
                    walk(field, key.as_str().unwrap_or_default(), seed);
                }
            }
            serde_yaml::Value::Sequence(items) => {
                items.iter_mut().for_each(|item| walk(item, key, seed));
                if !["order", "addresses"].contains(&key) {
                    shuffle(items, seed);
                }
            }
            _ => {}
        }
    }
    let mut documents: Vec<String> = text
        .split("---\n")
        .map(|document| {
            let mut value: serde_yaml::Value = serde_yaml::from_str(document).expect("it is YAML");
            walk(&mut value, "", seed);
            serde_yaml::to_string(&value).expect("it is YAML")
        })
        .collect();
    shuffle(&mut documents, seed);
    documents.join("---\n")
}

#[test]
fn order_of_documents_and_lists_changes_no_byte() {
    for example in [COUNTRIES, RING, MESH] {
        let expected = rendered(&valid(example));
        for seed in 1..=20_u64 {
            let text = shuffled(example, &mut seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            assert!(rendered(&valid(&text)) == expected, "seed {seed}:\n{text}");
        }
    }
}

#[test]
fn second_rendering_equals_the_first() {
    let network = valid(MESH);
    assert_eq!(rendered(&network), rendered(&network));
}

#[test]
fn rendered_files_are_accepted_by_the_broker() {
    for example in [COUNTRIES, RING, MESH] {
        let network = valid(example);
        let mut hashes = HashCache::new();
        credentials::fill(&network, &credentials::OFFLINE_SALT_KEY, &mut hashes)
            .expect("passwords can be hashed");
        for site in network.sites.keys() {
            let placement = placement::in_cluster(&network, site).expect("it is a site");
            let files = render::render(&network, site, &placement, &hashes).expect("it renders");
            let problems = render::check(&files, &BTreeMap::new()).err();
            assert!(problems.is_none(), "{site}: {problems:?}");
        }
    }
}

#[test]
fn both_ends_of_a_link_know_the_same_link_and_secret() {
    for example in [COUNTRIES, RING, MESH] {
        let mut ends: BTreeMap<String, Vec<(String, String, u16, String)>> = BTreeMap::new();
        for (site, files) in rendered(&valid(example)) {
            let secrets: SecretsFile =
                serde_yaml::from_slice(&files[render::SECRETS]).expect("it is the broker's format");
            for link in broker(&files).links {
                let secret = secrets.links[&link.name].current.clone();
                ends.entry(link.name).or_default().push((
                    site.to_string(),
                    link.peer,
                    link.cost,
                    secret,
                ));
            }
        }
        for (name, ends) in ends {
            assert_eq!(ends.len(), 2, "{name}");
            let (one, other) = (&ends[0], &ends[1]);
            assert_eq!(
                (&one.0, &one.1, one.2, &one.3),
                (&other.1, &other.0, other.2, &other.3),
                "{name}"
            );
        }
    }
}

#[test]
fn every_site_of_a_connected_network_reaches_every_other_in_the_files() {
    for example in [COUNTRIES, RING, MESH] {
        let files = rendered(&valid(example));
        let mut reached = BTreeSet::new();
        let mut open: Vec<String> = files.keys().take(1).map(SiteName::to_string).collect();
        while let Some(site) = open.pop() {
            if reached.insert(site.clone()) {
                open.extend(
                    broker(&files[site.as_str()])
                        .links
                        .into_iter()
                        .map(|link| link.peer),
                );
            }
        }
        assert_eq!(reached.len(), files.len());
    }
}

#[test]
fn user_limited_to_uk_is_not_rendered_at_us() {
    let by_name = COUNTRIES.replace(
        "groups: [admins, everyone]",
        "groups: [admins]\n  sites: {names: [uk]}",
    );
    let by_label = COUNTRIES.replace(
        "groups: [admins, everyone]",
        "groups: [admins]\n  sites: {matchLabels: {country: uk}}",
    );
    for text in [by_name, by_label] {
        let files = rendered(&valid(&text));
        assert_eq!(users(&files["uk"]), ["amq", "mcollective"]);
        assert_eq!(users(&files["us"]), ["mcollective"]);
        assert_eq!(users(&files["ie"]), ["mcollective"]);
    }
}

#[test]
fn previous_password_is_the_second_verifier_and_keeps_its_bytes() {
    let verifiers = |text: &str| {
        let network = valid(text);
        let mut hashes = HashCache::new();
        credentials::fill(&network, &credentials::OFFLINE_SALT_KEY, &mut hashes)
            .expect("passwords can be hashed");
        let site = SiteName::new("ie");
        let placement = placement::in_cluster(&network, &site).expect("it is a site");
        let files = render::render(&network, &site, &placement, &hashes).expect("it renders");
        let file: UsersFile =
            serde_yaml::from_slice(&files[render::USERS]).expect("it is the broker's format");
        file.users[1].verifiers.clone()
    };
    let before = verifiers(COUNTRIES);
    let during = COUNTRIES.replace(
        "{password: pI1jweRV}",
        "{password: Aish4aey, previousPassword: pI1jweRV}",
    );
    let during = verifiers(&during);
    assert_eq!((before.len(), during.len()), (1, 2));
    assert_eq!(before[0], during[1]);
}

#[test]
fn site_defaults_fill_in_field_by_field() {
    let text = COUNTRIES.replace(
        "    listeners:\n",
        "    listeners:\n      stomp: {port: 1000}\n      admin: {state: Closed}\n",
    );
    let text = text.replace(
        "{country: ie}, ",
        "{country: ie}, listeners: {stomp: {state: Open}, admin: {state: Open}}, ",
    );
    let files = rendered(&valid(&text));
    let listeners = |site: &str| broker(&files[site]).listeners;
    assert_eq!(
        listeners("ie").stomp.map(|listener| listener.port),
        Some(1000)
    );
    assert_eq!(
        listeners("ie").admin.map(|listener| listener.port),
        Some(8161)
    );
    assert_eq!(listeners("uk").admin, None);
}

#[test]
fn settings_reach_the_file_of_the_broker() {
    let text = COUNTRIES.replace(
        "  linkAuth:",
        "  settings: {maxConnections: 5, maxFrameSize: 1Mi, inactiveQueueAfter: 7s, replyPatterns: [\"b.>\", \"a.>\"], \
         logLevel: Debug, extra: {limits.subscriptions: 9, queue.dead_letter: DLQ}}\n  linkAuth:",
    );
    let file = broker(&rendered(&valid(&text))["ie"]);
    assert_eq!(file.limits.connections, Some(5));
    assert_eq!(file.limits.frame.map(|size| size.0), Some(1 << 20));
    assert_eq!(file.limits.subscriptions, Some(9));
    assert_eq!(file.queue.idle_after.map(|span| span.0), Some(7000));
    assert_eq!(file.queue.dead_letter.as_deref(), Some("DLQ"));
    assert_eq!(
        file.mesh.reply_patterns,
        Some(vec!["a.>".to_owned(), "b.>".to_owned()])
    );
}

#[test]
fn disabled_link_is_in_no_file_and_needs_no_secret() {
    let text = COUNTRIES
        .replace("cost: 50,", "cost: 50, state: Disabled,")
        .replace("name: link-ie-us}\n", "name: unused}\n");
    let files = rendered(&valid(&text));
    let names = |site: &str| {
        broker(&files[site])
            .links
            .into_iter()
            .map(|link| link.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names("ie"), ["ie-uk"]);
    assert_eq!(names("us"), ["uk-us"]);
}

#[test]
fn only_the_dialer_of_a_link_has_addresses() {
    let text = COUNTRIES.replace(
        "cost: 50,",
        "cost: 50, dialer: us, addresses: [{host: b, port: 2}, {host: a, port: 1}],",
    );
    let files = rendered(&valid(&text));
    let hosts = |site: &str| {
        let links = broker(&files[site]).links;
        let link = links
            .into_iter()
            .find(|link| link.name == "ie-us")
            .expect("it has the link");
        link.addresses
            .into_iter()
            .map(|address| address.host)
            .collect::<Vec<_>>()
    };
    assert_eq!(hosts("us"), ["b", "a"]);
    assert_eq!(hosts("ie"), [""; 0]);
}

#[test]
fn spec_hash_follows_what_sites_share_and_nothing_else() {
    let hash = |text: &str| valid(text).spec_hash;
    let base = hash(COUNTRIES);
    assert_eq!(base.len(), 34);
    assert_ne!(hash(&COUNTRIES.replace("cost: 50", "cost: 51")), base);
    assert_ne!(hash(&COUNTRIES.replace("country: us", "country: ca")), base);
    let local = COUNTRIES.replace(
        "    listeners:\n",
        "    listeners:\n      stomp: {port: 99}\n",
    );
    assert_eq!(hash(&local), base);
    assert_eq!(hash(&COUNTRIES.replace("pI1jweRV", "changed-one")), base);
}

#[test]
fn users_hash_follows_specs_and_not_secrets() {
    let hash = |text: &str| valid(text).users_hash;
    let base = hash(COUNTRIES);
    assert_ne!(
        hash(&COUNTRIES.replace("groups: [admins, everyone]", "groups: [admins]")),
        base
    );
    assert_eq!(
        hash(&COUNTRIES.replace("groups: [admins, everyone]", "groups: [everyone, admins]")),
        base
    );
    assert_eq!(hash(&COUNTRIES.replace("pI1jweRV", "changed-one")), base);
}
