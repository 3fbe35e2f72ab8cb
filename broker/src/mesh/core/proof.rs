//! AUTH (3.2): both ends prove the password of their link in four steps.

use bytes::Bytes;

use super::{Mesh, send};
use crate::mesh::event::Actions;
use crate::mesh::frame::FrameType;
use crate::mesh::ids::{ConnId, Now};
use crate::mesh::messages::{Auth, Reason};
use crate::mesh::session::Stage;
use crate::mesh::session::auth::{NONCE_LEN, Side};
use crate::mesh::session::hello::Refusal;

impl Mesh {
    /// One step of the proof. Rule: 3.2.
    pub(super) fn auth(
        &mut self,
        conn: ConnId,
        auth: &Auth,
        body: &Bytes,
        now: Now,
        out: &mut Actions,
    ) {
        let Some(session) = self.sessions.get(&conn) else {
            return;
        };
        let is_begun = !session.auth.first.is_empty();
        let is_challenged = !session.auth.second.is_empty();
        match (auth.step, session.is_dialler) {
            (1, false) if !is_begun => self.auth_begun(conn, auth, body, now, out),
            (2, true) if !is_challenged => self.auth_challenged(conn, auth, body, now, out),
            (3, false) if is_challenged => self.auth_proved(conn, auth, now, out),
            (4, true) if is_challenged => self.auth_done(conn, auth, now, out),
            _ => self.protocol_error(conn, Reason::Protocol, "step out of turn", now, out),
        }
    }

    /// Step 1 at the acceptor: names are no secrets, so a wrong one is told before the proof.
    fn auth_begun(&mut self, conn: ConnId, auth: &Auth, body: &Bytes, now: Now, out: &mut Actions) {
        let link = self.link(&auth.link).filter(|id| {
            self.link_of(*id)
                .is_some_and(|link| link.config.peer == auth.site)
        });
        let refusal = if !self.config.auth.takes_passwords() {
            Some((Reason::AuthFailed, "passwords are not accepted"))
        } else if auth.network != self.config.network {
            Some((Reason::NetworkMismatch, "another network"))
        } else if self.is_leaving {
            Some((Reason::Leaving, "shutting down"))
        } else if !self.config.sites.contains_key(&auth.site) {
            Some((Reason::UnknownPeer, "no such site in this network"))
        } else if link.is_none() {
            Some((Reason::LinkNotConfigured, "no such link with that site"))
        } else if auth.nonce.len() != NONCE_LEN {
            Some((Reason::AuthFailed, "nonce of another length"))
        } else {
            None
        };
        if let Some((reason, detail)) = refusal {
            return self.refuse(conn, &auth.link, Refusal::new(reason, detail), now, out);
        }
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        session.link = link;
        session.auth.first = body.to_vec();
        let nonce = session.transport.nonce.to_vec();
        let second = Auth {
            step: 2,
            nonce,
            ..Auth::default()
        };
        session.auth.second = prost::Message::encode_to_vec(&second);
        send(conn, FrameType::Auth, &second, out);
    }

    fn auth_challenged(
        &mut self,
        conn: ConnId,
        auth: &Auth,
        body: &Bytes,
        now: Now,
        out: &mut Actions,
    ) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        let Some(secret) = session
            .secret
            .clone()
            .filter(|_| auth.nonce.len() == NONCE_LEN)
        else {
            return self.give_up(
                conn,
                Reason::AuthFailed,
                "nonce of another length",
                now,
                out,
            );
        };
        session.auth.second = body.to_vec();
        let binding = session.transport.binding.as_ref();
        let proof = session.auth.proof(Side::Dialler, &secret, binding);
        send(
            conn,
            FrameType::Auth,
            &Auth {
                step: 3,
                proof,
                ..Auth::default()
            },
            out,
        );
    }

    fn auth_proved(&mut self, conn: ConnId, auth: &Auth, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        let link = session
            .link
            .and_then(|id| self.links.get(id.index())?.as_ref());
        let binding = session.transport.binding.as_ref();
        let proved = link.and_then(|link| {
            session
                .auth
                .proved(&link.config.secrets, binding, &auth.proof)
        });
        let Some((secret, credential)) = proved else {
            let name = link.map_or(String::new(), |link| link.config.name.clone());
            let refusal = Refusal::new(Reason::AuthFailed, "password not proved");
            return self.refuse(conn, &name, refusal, now, out);
        };
        let proof = session.auth.proof(Side::Acceptor, &secret, binding);
        session.secret = Some(secret);
        session.credential = credential;
        session.stage = Stage::Hello;
        send(
            conn,
            FrameType::Auth,
            &Auth {
                step: 4,
                proof,
                ..Auth::default()
            },
            out,
        );
        self.say_hello(conn, out);
    }

    fn auth_done(&mut self, conn: ConnId, auth: &Auth, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        let binding = session.transport.binding.as_ref();
        let is_proved = session.secret.as_ref().is_some_and(|secret| {
            session
                .auth
                .is_proof(Side::Acceptor, secret, binding, &auth.proof)
        });
        if !is_proved {
            return self.give_up(conn, Reason::AuthFailed, "peer did not prove it", now, out);
        }
        session.stage = Stage::Hello;
        self.say_hello(conn, out);
    }
}
