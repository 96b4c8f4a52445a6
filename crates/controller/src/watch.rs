//! One task for each kind: what the API server tells, as changes for the owner of the snapshot.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::ObjectName;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use kube::{
    Api, Client, Resource,
    api::{DynamicObject, PartialObjectMeta},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    discovery::{Reading, ServedKind, ServedKinds},
    metrics::Counters,
    objects::{Item, Seen},
};

/// Group and kind, as the table of kinds has them.
pub type KindKey = (&'static str, &'static str);

/// News of one kind.
#[derive(Debug)]
pub enum News {
    /// What there is, instead of all that was known before.
    All(Vec<Seen>),
    Applied(Box<Seen>),
    Deleted(ObjectName),
    /// It cannot be read, so it counts as empty until it can.
    Unreadable,
    /// Nobody serves it any longer.
    Gone,
}

#[derive(Debug)]
pub struct Change {
    pub kind: KindKey,
    pub news: News,
}

/// The watches of all kinds. They end when this is dropped.
pub struct Watches {
    client: Client,
    changes: mpsc::Sender<Change>,
    counters: Arc<Counters>,
    running: BTreeMap<KindKey, (ServedKind, JoinHandle<()>)>,
}

impl Watches {
    pub fn new(client: Client, changes: mpsc::Sender<Change>, counters: Arc<Counters>) -> Self {
        Self { client, changes, counters, running: BTreeMap::new() }
    }

    /// Starts and ends watches, so that exactly the kinds that are served are watched. Gives
    /// back those that are watched no longer.
    pub fn follow(&mut self, served: &ServedKinds) -> Vec<KindKey> {
        let mut ended = Vec::new();
        self.running.retain(|key, (running, task)| {
            let same = served.get(key) == Some(running);
            if !same {
                task.abort();
                tracing::info!(
                    kind = key.1,
                    version = running.resource.version,
                    "no longer watched"
                );
                ended.push(*key);
            }
            same
        });
        for (key, kind) in served {
            if !self.running.contains_key(key) {
                tracing::debug!(kind = key.1, version = kind.resource.version, "watched");
                let task = tokio::spawn(watch(
                    self.client.clone(),
                    kind.clone(),
                    self.changes.clone(),
                    Arc::clone(&self.counters),
                ));
                self.running.insert(*key, (kind.clone(), task));
            }
        }
        ended
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        for (_, task) in self.running.values() {
            task.abort();
        }
    }
}

/// Watches one kind for good: with streaming lists, or with lists where the server has none.
async fn watch(
    client: Client,
    kind: ServedKind,
    changes: mpsc::Sender<Change>,
    counters: Arc<Counters>,
) {
    let mut streaming = true;
    loop {
        let mut config = watcher::Config::default();
        if streaming {
            config = config.streaming_lists();
        }
        let mut follower = Follower { kind: &kind, changes: &changes, listed: Vec::new() };
        let end = match kind.reading {
            Reading::Whole => {
                let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource);
                follower.run(watcher(api, config), &counters, Item::read).await
            }
            Reading::OnDemand => {
                let api: Api<PartialObjectMeta<DynamicObject>> =
                    Api::all_with(client.clone(), &kind.resource);
                follower.run(watcher(api, config), &counters, |object, _| Seen::name(&object)).await
            }
        };
        match end {
            End::NoStreaming if streaming => streaming = false,
            End::NoStreaming | End::StreamOver => tokio::time::sleep(Duration::from_secs(1)).await,
            End::NobodyListens => return,
        }
    }
}

/// Why a watch came to its end.
enum End {
    /// The server has no streaming lists.
    NoStreaming,
    StreamOver,
    NobodyListens,
}

struct Follower<'a> {
    kind: &'a ServedKind,
    changes: &'a mpsc::Sender<Change>,
    /// Objects of a list that is not complete yet.
    listed: Vec<Seen>,
}

impl Follower<'_> {
    async fn run<K: Resource + Send + 'static>(
        &mut self,
        stream: impl Stream<Item = watcher::Result<Event<K>>> + Send,
        counters: &Counters,
        read: impl Fn(K, &ServedKind) -> Option<Seen>,
    ) -> End {
        let mut stream: BoxStream<'_, _> = stream.default_backoff().boxed();
        let mut complete = false;
        while let Some(event) = stream.next().await {
            let news = match event {
                Ok(Event::Init) => {
                    self.listed.clear();
                    counters.lists.add(1);
                    None
                }
                Ok(Event::InitApply(object)) => {
                    self.listed.extend(read(object, self.kind));
                    None
                }
                Ok(Event::InitDone) => {
                    complete = true;
                    Some(News::All(std::mem::take(&mut self.listed)))
                }
                Ok(Event::Apply(object)) => {
                    read(object, self.kind).map(|seen| News::Applied(Box::new(seen)))
                }
                Ok(Event::Delete(object)) => name(object.meta()).map(News::Deleted),
                Err(error) => {
                    if !complete && is_unsupported(&error) {
                        return End::NoStreaming;
                    }
                    counters.watch_errors.add(1);
                    self.complain(&error);
                    (!complete && is_final(&error)).then_some(News::Unreadable)
                }
            };
            if let Some(news) = news
                && !self.tell(news).await
            {
                return End::NobodyListens;
            }
        }
        End::StreamOver
    }

    async fn tell(&self, news: News) -> bool {
        let kind = (self.kind.info.group, self.kind.info.kind);
        self.changes.send(Change { kind, news }).await.is_ok()
    }

    fn complain(&self, error: &watcher::Error) {
        let kind = self.kind.info.kind;
        // An ended watch is the daily business of an API server that restarts.
        if is_final(error) {
            tracing::warn!(kind, %error, "cannot be watched");
        } else {
            tracing::debug!(kind, %error, "the watch begins again");
        }
    }
}

fn status(error: &watcher::Error) -> Option<&kube::core::Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => None,
    }
}

/// Servers before 1.27, and those with the feature switched off, refuse `sendInitialEvents`.
fn is_unsupported(error: &watcher::Error) -> bool {
    status(error).is_some_and(|status| matches!(status.code, 400 | 422))
}

/// Waiting does not help; rights or kinds have to change.
fn is_final(error: &watcher::Error) -> bool {
    status(error).is_some_and(|status| matches!(status.code, 401 | 403 | 404 | 405))
}

/// The name of an object, when it has one.
pub fn name(meta: &kube::api::ObjectMeta) -> Option<ObjectName> {
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    Some(ObjectName::new(namespace, meta.name.as_deref()?))
}

/// The object as JSON, in the shape that `api` reads.
pub fn to_value(mut object: DynamicObject, kind: &ServedKind) -> Option<Value> {
    object.metadata.managed_fields = None;
    let metadata = serde_json::to_value(&object.metadata).ok()?;
    let mut value = match object.data {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            serde_json::Map::new()
        }
    };
    // Items of lists do not say what they are.
    value.insert("apiVersion".to_owned(), kind.resource.api_version.clone().into());
    value.insert("kind".to_owned(), kind.resource.kind.clone().into());
    value.insert("metadata".to_owned(), metadata);
    Some(Value::Object(value))
}
