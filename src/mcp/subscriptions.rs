//! News for those who subscribed: a resource has changed, here or in another process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rmcp::{Peer, RoleServer, model::ResourceUpdatedNotificationParam, service::SubscriptionSink};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    resources::{RESOURCES, ResourceDef},
};

/// How often files are checked while a client is subscribed; other processes do not report their changes.
const INTERVAL: Duration = Duration::from_secs(1);

/// Who wants to know of what in this session.
pub(super) struct Subscriptions {
    /// In sessions: what the client subscribed to, and how it was when the client last heard of it.
    session: Mutex<SessionWatch>,
    /// Woken when a tool of ours may have changed something.
    changed: Notify,
    gone: CancellationToken,
}

#[derive(Default)]
struct SessionWatch {
    watch: Watch,
    /// Whether a task looks at it.
    is_looked_at: bool,
}

/// Resources, and how each was when it was last checked.
#[derive(Default)]
struct Watch(BTreeMap<&'static str, String>);

/// The resource at `uri`.
pub(super) fn resource(uri: &str) -> Option<&'static ResourceDef> {
    RESOURCES.iter().find(|def| def.uri == uri)
}

impl Subscriptions {
    pub(super) fn new(gone: CancellationToken) -> Self {
        Self {
            session: Mutex::default(),
            changed: Notify::new(),
            gone,
        }
    }

    /// Says that something may have changed, so that no client waits for the next check.
    pub(super) fn look_again(&self) {
        self.changed.notify_waiters();
    }

    /// Tells `peer` from now on when `def` changes.
    pub(super) fn subscribe(self: &Arc<Self>, app: &Arc<App>, peer: &Peer<RoleServer>, def: &'static ResourceDef) {
        let mut session = self.session();
        session.watch.add(app, def);
        if std::mem::replace(&mut session.is_looked_at, true) {
            return;
        }
        let (subscriptions, app, peer) = (Arc::clone(self), Arc::clone(app), peer.clone());
        tokio::spawn(async move { subscriptions.tell(&app, &peer).await });
    }

    pub(super) fn unsubscribe(&self, def: &ResourceDef) {
        self.session().watch.0.remove(def.uri);
    }

    /// Notifies `peer` of every change until it is subscribed to nothing, or cannot be reached.
    async fn tell(&self, app: &App, peer: &Peer<RoleServer>) {
        while self.pause().await {
            let changed = {
                let mut session = self.session();
                session.is_looked_at = !session.watch.0.is_empty();
                if !session.is_looked_at {
                    return;
                }
                session.watch.changed(app)
            };
            for uri in changed {
                let news = ResourceUpdatedNotificationParam::new(uri);
                if peer.notify_resource_updated(news).await.is_err() {
                    self.session().is_looked_at = false;
                    return;
                }
            }
        }
    }

    fn session(&self) -> MutexGuard<'_, SessionWatch> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells `sink` of every resource it accepted that changes, until the client is gone.
    pub(super) async fn follow(&self, app: &App, sink: &SubscriptionSink) {
        let uris = sink.accepted().resource_subscriptions.iter().flatten();
        let mut watch = Watch::default();
        for def in uris.filter_map(|uri| resource(uri)) {
            watch.add(app, def);
        }
        while self.pause().await {
            for uri in watch.changed(app) {
                if sink.notify_resource_updated(uri).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Waits until it is time to look again; false once the client is gone.
    async fn pause(&self) -> bool {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => true,
            () = self.changed.notified() => true,
            () = self.gone.cancelled() => false,
        }
    }
}

impl Watch {
    fn add(&mut self, app: &App, def: &'static ResourceDef) {
        self.0.insert(def.uri, (def.stamp)(app));
    }

    /// What has changed since the last check.
    fn changed(&mut self, app: &App) -> Vec<&'static str> {
        let mut changed = Vec::new();
        for (uri, last) in &mut self.0 {
            let Some(def) = resource(uri) else { continue };
            let now = (def.stamp)(app);
            if *last != now {
                *last = now;
                changed.push(*uri);
            }
        }
        changed
    }
}
