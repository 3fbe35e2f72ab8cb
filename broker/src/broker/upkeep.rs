//! What happens without a client asking: expiry, removal of idle queues, a new configuration.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use super::Broker;
use super::policies::Policies;
use crate::clock;
use crate::config::Config;
use crate::config::file::UserState;
use crate::queue::Work;
use crate::security::Rules;
use crate::security::authn::fingerprint;
use crate::security::certificate;

impl Broker {
    /// Expires messages and removes queues that were idle for long; called every second.
    pub fn sweep(&self) {
        let mut work = Work::default();
        let (wall_ms, now_ns) = (clock::wall_ms(), clock::monotonic_ns());
        let policies = self.policies();
        let (mut messages, mut bytes) = (0, 0);
        for cell in self.queues.all() {
            cell.apply(&mut work, |queue, effects| queue.expire(wall_ms, effects));
            self.judge_monitors(&cell, &mut work);
            let numbers = cell.numbers();
            messages += numbers.depth;
            bytes += numbers.bytes;
            self.rates.note(&cell.destination, numbers.counters, now_ns);
            let idle_after_ns = policies.queue(&cell.destination.name).idle_after_ns;
            // One without an owner holds what goes to the home of another broker's client.
            let own = &cell.destination;
            if self.temporaries.owner(own.kind, &own.name).is_none()
                && self
                    .queues
                    .remove_if_idle(&cell, now_ns.saturating_sub(idle_after_ns))
            {
                self.rates.forget(&cell.destination);
            }
        }
        self.sweep_durables(wall_ms, &mut work);
        self.share_memory();
        self.metrics
            .queue_messages
            .set(i64::try_from(messages).unwrap_or(i64::MAX));
        self.metrics
            .queue_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let queues = i64::try_from(self.queues.len()).unwrap_or(i64::MAX);
        self.metrics
            .destinations
            .with_label_values(&["queue"])
            .set(queues);
        let topics = self
            .topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .literal_names();
        self.metrics
            .destinations
            .with_label_values(&["topic"])
            .set(i64::try_from(topics).unwrap_or(i64::MAX));
        self.settle(&mut work);
    }

    /// What links do not hold is for clients.
    fn share_memory(&self) {
        let links = self.remote().map_or(0, |remote| remote.held_bytes());
        let memory = &self.memory;
        memory.share(&self.config.load().limits, links);
        memory.tell();
        let arriving = memory.arriving.used() + memory.before_login.used();
        for (gauge, bytes) in [
            (&self.metrics.kept_bytes, memory.clients.used()),
            (&self.metrics.kept_limit, memory.clients.limit()),
            (&self.metrics.arriving_bytes, arriving),
            (
                &self.metrics.subscription_bytes,
                memory.subscriptions.used(),
            ),
        ] {
            gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// Puts a new configuration in force: rights, policies, then sessions whose user lost something.
    pub fn apply_config(&self, new: Arc<Config>) {
        let old = self.config.swap(new.clone());
        self.policies.store(Arc::new(Policies::new(&new)));
        let mut work = Work::default();
        for cell in self.queues.all() {
            let limits = self.policies().queue(&cell.destination.name).limits;
            cell.apply(&mut work, |queue, _| queue.set_limits(limits));
        }
        for durable in self.durables.all() {
            let limits = self.policies().durable;
            durable
                .cell
                .apply(&mut work, |queue, _| queue.set_limits(limits));
        }
        if old.broker.authorization != new.broker.authorization || old.users != new.users {
            self.rules.store(Arc::new(Rules::new(
                &new.broker.authorization,
                &new.users.users,
            )));
            self.bump_generation();
            self.judge_durables(&new, &mut work);
            self.judge_sessions(&new, &mut work);
        }
        for connection in self.connections.all() {
            connection.outbound.set_limit(new.limits.outbound);
        }
        self.share_memory();
        self.metrics.show_config(&new, Some(&old));
        self.settle(&mut work);
    }

    fn judge_sessions(&self, new: &Config, work: &mut Work) {
        let rules = self.rules.load();
        for connection in self.connections.all() {
            let name = connection.identity().user.clone();
            let user = new.users.users.iter().find(|user| *user.name == *name);
            let is_listed = user.is_some_and(|user| {
                let passwords = user.verifiers.iter().map(|one| fingerprint(one));
                let prints: BTreeSet<u64> = passwords
                    .chain(user.certificate.as_ref().map(certificate::fingerprint))
                    .collect();
                user.state == UserState::Active
                    && connection
                        .verifier
                        .is_none_or(|used| prints.contains(&used))
            });
            let (true, Some(identity)) = (is_listed, rules.identity(&name)) else {
                tracing::info!(user = %name, connection = connection.id, "session ended: its credential was withdrawn");
                connection.cancel.cancel();
                continue;
            };
            *connection
                .identity
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = identity.clone();
            for (subscriber, capacity) in connection.subscriptions() {
                self.rejudge(&subscriber, identity, capacity, work);
            }
        }
    }
}
