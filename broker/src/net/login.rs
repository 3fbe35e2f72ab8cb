//! A login: verified, counted, and answered.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{Client, frame_limits};
use super::connection::Shared;
use super::waiting::RETRY;
use crate::broker::Broker;
use crate::broker::connections::{Connection, OpenGuard};
use crate::broker::matching::MatchCache;
use crate::broker::publish::Publisher;
use crate::config::file::User;
use crate::security::Identity;
use crate::security::authn::LoginError;
use crate::security::certificate;
use crate::wire::stomp::session::Login;

/// How long a login waits for a connection with its client id to end that has said so: longer than
/// the last words of one may take.
const LEAVING: Duration = Duration::from_secs(3);

/// Verifies a login and tells the session what came of it.
pub(super) async fn verify(
    shared: &Shared,
    client: &mut Client,
    mut login: Login,
    address: &str,
    cancel: &CancellationToken,
    guard: &mut OpenGuard,
) {
    let broker = &shared.broker;
    let config = broker.config();
    let users = &config.users.users;
    let certified = by_certificate(client, users, &login);
    if let Some((user, _)) = &certified {
        login.login.clone_from(user);
    }
    let user = users.iter().find(|user| {
        user.name == login.login && user.state == crate::config::file::UserState::Active
    });
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let limits = (
        &config.limits.failure_delay,
        config.limits.cache_ttl.duration(),
    );
    let outcome = match certified {
        Some((_, fingerprint)) => Ok(fingerprint),
        None => {
            let (name, passcode) = (&login.login, &login.passcode);
            let verifying = &shared.authenticator;
            verifying.verify(user, name, passcode, host, limits).await
        }
    };
    let identity = broker.rules().identity(&login.login).cloned();
    let refused = match (&outcome, &identity) {
        (Err(LoginError::Busy), _) => Some(LoginError::Busy.to_string()),
        (Err(LoginError::Invalid), _) | (Ok(_), None) => {
            broker.metrics.login_failures.inc();
            tracing::info!(user = %login.login, address, "login failed");
            Some(format!(
                "User name [{}] or password is invalid.",
                login.login
            ))
        }
        (Ok(_), Some(identity)) => too_many(
            broker,
            &login,
            identity.max_connections,
            config.limits.connections_per_user,
        ),
    };
    if let Some(text) = refused {
        client.session.login_failed(&text, &mut client.sink);
        return client.sink.finish_batch();
    }
    let (Ok(verifier), Some(identity)) = (outcome, identity) else {
        return;
    };
    wait_for_client_id(broker, login.client_id.as_deref()).await;
    admit(broker, client, login, identity, verifier, address, cancel);
    if client.session.is_open() {
        guard.logged_in();
    }
}

/// A client that has the receipt of its DISCONNECT may come back before its old connection is gone.
async fn wait_for_client_id(broker: &Broker, client_id: Option<&str>) {
    let Some(client_id) = client_id else {
        return;
    };
    let deadline = Instant::now() + LEAVING;
    while broker.connections.is_leaving(client_id) && Instant::now() < deadline {
        tokio::time::sleep(RETRY).await;
    }
}

/// Lets a verified client in, unless somebody has its client id.
pub(super) fn admit(
    broker: &Arc<Broker>,
    client: &mut Client,
    login: Login,
    identity: Arc<Identity>,
    verifier: u64,
    address: &str,
    cancel: &CancellationToken,
) {
    let id = client.sink.outbound.connection;
    let connection = Arc::new(Connection {
        id,
        address: address.to_owned(),
        protocol: client.session.version().text(),
        client_id: login.client_id,
        outbound: client.sink.outbound.clone(),
        cancel: cancel.clone(),
        identity: std::sync::Mutex::new(identity.clone()),
        verifier: Some(verifier),
        listener: client.listener,
        is_leaving: AtomicBool::new(false),
        subscriptions: std::sync::Mutex::default(),
    });
    if !broker.connections.add(connection.clone()) {
        // Judged together with the entry into the table: of two logins at once one is refused.
        let client_id = connection.client_id.as_deref().unwrap_or_default();
        let text = format!("Broker: Client: {client_id} already connected");
        client.session.login_failed(&text, &mut client.sink);
        return client.sink.finish_batch();
    }
    client.sink.connection = Some(connection);
    client.sink.publisher = Some(Publisher {
        connection: id,
        identity,
        cache: MatchCache::default(),
    });
    client
        .decoder
        .set_limits(frame_limits(&client.limits, true));
    let site = &broker.config().broker.site;
    client.session.logged_in(
        &format!("ID:{site}-{:x}-{id}", broker.epoch),
        &mut client.sink,
    );
    client
        .sink
        .outbound
        .set_beat_ms(client.session.heart_beat().send_ms / 2);
    client.sink.finish_batch();
    client.sink.outbound.wake();
}

/// The user of the certificate that was shown, with what the session remembers of it. Who gives a password is judged by
/// that alone.
fn by_certificate(client: &Client, users: &[User], login: &Login) -> Option<(String, u64)> {
    let names = client.certificate.as_ref()?;
    let user = match login.passcode.is_empty() {
        true => names.user(users, &login.login)?,
        false => return None,
    };
    let print = certificate::fingerprint(user.certificate.as_ref()?);
    Some((user.name.clone(), print))
}

fn too_many(broker: &Broker, login: &Login, own: u32, general: u32) -> Option<String> {
    let limit = if own != 0 { own } else { general };
    if limit != 0 && broker.connections.count_of(&login.login) >= limit as usize {
        return Some(format!(
            "User [{}] has {limit} connections, which is the limit",
            login.login
        ));
    }
    None
}
