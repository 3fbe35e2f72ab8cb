//! `causeway operator`.

use std::net::SocketAddr;
use std::str::FromStr as _;

use causeway_broker::config::units::Span;
use causeway_broker::telemetry;
use clap::{ArgAction, ValueEnum};
use k8s_openapi::api::core::v1::ResourceRequirements;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use super::failure::UsageError;
use crate::api::cluster::PullPolicy;
use crate::api::status::OperatorStatus;
use crate::app::{self, Options};
use crate::kube_io::lease::Terms;
use crate::kube_io::watch::Scope;
use crate::model::cluster::ValidImage;
use crate::settings::{BrokerDefaults, Claims, Settings, TEMPLATE_REVISION};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Arguments of `causeway operator`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway operator --sites ie,uk --namespaces messaging
  CAUSEWAY_SITES='*' causeway operator --leader-elect=false    # one cluster alone, against the current kubeconfig

It looks at BrokerNetworks and BrokerUsers, and runs those sites that it is told are its own. All others are peers.")]
pub struct Args {
    /// The sites from BrokerNetwork.spec.sites that this cluster runs; `*`: every one.
    #[arg(
        long,
        env = "CAUSEWAY_SITES",
        value_delimiter = ',',
        value_name = "SITE",
        required = true
    )]
    pub sites: Vec<String>,
    /// The namespaces to look at; `*`: every one.
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_delimiter = ',',
        value_name = "NS",
        default_value = "default"
    )]
    pub namespaces: Vec<String>,
    /// The namespace that the operator itself is in: of its lease, and where its pods may reach brokers from.
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_name = "NS",
        default_value = "default"
    )]
    pub own_namespace: String,
    /// Its name in the status and of its lease.
    #[arg(
        long,
        env = "CAUSEWAY_OPERATOR_NAME",
        value_name = "NAME",
        default_value = "causeway-operator"
    )]
    pub name: String,
    /// Image of brokers whose network names none.
    #[arg(long, value_name = "IMAGE", default_value_t = format!("causeway/causeway-broker:{VERSION}"))]
    pub broker_image: String,
    /// When that image is pulled.
    #[arg(long, value_name = "POLICY", default_value = "IfNotPresent", value_parser = pull_policy)]
    pub broker_pull_policy: PullPolicy,
    /// Secrets with the registry's credentials for that image.
    #[arg(long, value_delimiter = ',', value_name = "SECRET")]
    pub broker_pull_secrets: Vec<String>,
    /// Group of the brokers' files; `none` where the platform chooses one.
    #[arg(long, value_name = "GID", default_value = "65532", value_parser = group)]
    pub broker_fs_group: Group,
    /// Processor and memory of brokers whose site says nothing, as JSON.
    #[arg(
        long,
        value_name = "JSON",
        default_value = r#"{"requests":{"cpu":"100m","memory":"64Mi"},"limits":{"memory":"512Mi"}}"#
    )]
    pub broker_resources: String,
    /// Act only while holding a lease, so that several replicas are safe.
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub leader_elect: bool,
    /// How long a leader that is not heard of stays leader.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = span)]
    pub lease_duration: Span,
    /// How long before that it is renewed.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = span)]
    pub lease_renew: Span,
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub http: SocketAddr,
    /// Ask cert-manager for certificates where a network says `source: CertManager`.
    #[arg(long)]
    pub cert_manager: bool,
    /// How much is logged: error, warn, info, debug.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
    /// How it is logged.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// How lines of the log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// A group id, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group(Option<i64>);

fn group(text: &str) -> Result<Group, String> {
    match text {
        "none" => Ok(Group(None)),
        number => match number.parse::<u32>() {
            Ok(number) => Ok(Group(Some(i64::from(number)))),
            Err(_) => Err("expected a group id or none".to_owned()),
        },
    }
}

fn pull_policy(text: &str) -> Result<PullPolicy, String> {
    match text {
        "Always" => Ok(PullPolicy::Always),
        "IfNotPresent" => Ok(PullPolicy::IfNotPresent),
        "Never" => Ok(PullPolicy::Never),
        _ => Err("expected Always, IfNotPresent or Never".to_owned()),
    }
}

fn span(text: &str) -> Result<Span, String> {
    Span::from_str(text).map_err(|error| error.to_string())
}

/// Runs the operator until it is told to stop.
///
/// # Errors
/// The arguments mean nothing, or it cannot begin or may not go on.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    telemetry::init(&args.log_level, args.log_format == LogFormat::Json);
    let options = options(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut terminate = {
        let _guard = runtime.enter();
        signal(SignalKind::terminate())?
    };
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            // Without that signal nobody can send it.
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping");
    };
    runtime.block_on(app::run(options, stop))?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    Ok(Exit::Good)
}

fn options(args: Args) -> Result<Options, UsageError> {
    let claims = Claims::parse(args.sites.iter().map(String::as_str));
    let claims = claims.map_err(|error| UsageError(format!("--sites: {error}")))?;
    let leadership = leadership(&args)?;
    let resources: ResourceRequirements = serde_json::from_str(&args.broker_resources)
        .map_err(|error| UsageError(format!("--broker-resources: {error}")))?;
    Ok(Options {
        settings: Settings {
            claims,
            defaults: BrokerDefaults {
                image: ValidImage {
                    reference: args.broker_image,
                    pull_policy: args.broker_pull_policy,
                    pull_secrets: args.broker_pull_secrets,
                },
                resources,
                fs_group: args.broker_fs_group.0,
                revision: TEMPLATE_REVISION,
            },
            operator: OperatorStatus {
                namespace: args.own_namespace,
                name: args.name,
                version: VERSION.to_owned(),
            },
            has_cert_manager: args.cert_manager,
        },
        scopes: scopes(args.namespaces)?,
        http: args.http,
        leadership,
    })
}

/// How it leads, where it has to be the only one.
fn leadership(args: &Args) -> Result<Option<Terms>, UsageError> {
    let terms = Terms {
        duration: args.lease_duration.duration(),
        grace: args.lease_renew.duration(),
    };
    let second = std::time::Duration::from_secs(1);
    if terms.duration < second || terms.grace.is_zero() || terms.grace >= terms.duration {
        let wrong = "--lease-renew: must be shorter than --lease-duration, which is at least 1s";
        return Err(UsageError(wrong.to_owned()));
    }
    Ok(args.leader_elect.then_some(terms))
}

fn scopes(namespaces: Vec<String>) -> Result<Vec<Scope>, UsageError> {
    let mut names: Vec<String> = namespaces
        .into_iter()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort();
    names.dedup();
    match names.as_slice() {
        [] => Err(UsageError("--namespaces: no namespace is named".to_owned())),
        [only] if only == "*" => Ok(vec![Scope::Cluster]),
        several if several.iter().any(|name| name == "*") => Err(UsageError(
            "--namespaces: * stands for every namespace and cannot be given beside names"
                .to_owned(),
        )),
        _ => Ok(names.into_iter().map(Scope::Namespace).collect()),
    }
}
