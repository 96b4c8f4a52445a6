//! An API server on loopback with as much of the protocol as the controller uses: discovery,
//! lists, watches with and without streaming lists, metadata only, and writes under a resource
//! version.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

/// Group, version, plural, kind.
const KINDS: &[(&str, &str, &str, &str)] = &[
    ("", "v1", "namespaces", "Namespace"),
    ("", "v1", "services", "Service"),
    ("", "v1", "secrets", "Secret"),
    ("", "v1", "configmaps", "ConfigMap"),
    ("", "v1", "serviceaccounts", "ServiceAccount"),
    ("apps", "v1", "deployments", "Deployment"),
    ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    ("coordination.k8s.io", "v1", "leases", "Lease"),
    ("events.k8s.io", "v1", "events", "Event"),
    ("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass"),
    ("gateway.networking.k8s.io", "v1", "gateways", "Gateway"),
    ("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute"),
    ("gateway.networking.k8s.io", "v1", "backendtlspolicies", "BackendTLSPolicy"),
    ("gateway.networking.k8s.io", "v1alpha2", "tcproutes", "TCPRoute"),
    ("gateway.networking.x-k8s.io", "v1alpha1", "xbackends", "XBackend"),
    ("certificates.k8s.io", "v1beta1", "clustertrustbundles", "ClusterTrustBundle"),
];

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Hook = Box<dyn FnOnce(&mut State) + Send>;

/// Plural, namespace, name.
type Key = (String, String, String);

#[derive(Default)]
pub(crate) struct State {
    version: u64,
    objects: BTreeMap<Key, Value>,
    /// Version, plural, type of event, object.
    log: Vec<(u64, String, &'static str, Value)>,
    /// Watches from before this version are told that it is gone.
    compacted: u64,
    pub(crate) requests: Vec<(Method, String)>,
    /// Runs before the next write of a status.
    before_status: Option<Hook>,
    no_streaming: bool,
    /// Plurals of kinds that are not served yet.
    pub(crate) unserved: BTreeSet<&'static str>,
}

impl State {
    fn next(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Creates or replaces an object. The generation grows with each change of the spec.
    pub(crate) fn put(&mut self, mut object: Value) {
        let key = key(&object);
        let version = self.next();
        let before = self.objects.get(&key);
        let generation = before.map_or(1, |before| {
            let own = before["metadata"]["generation"].as_i64().unwrap();
            own + i64::from(before["spec"] != object["spec"])
        });
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.insert("resourceVersion".into(), version.to_string().into());
        metadata.insert("generation".into(), generation.into());
        metadata.entry("uid").or_insert_with(|| format!("uid-{}-{}", key.0, key.2).into());
        metadata.entry("creationTimestamp").or_insert_with(|| "2026-01-01T00:00:00Z".into());
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.objects.insert(key.clone(), object.clone());
        self.log.push((version, key.0, kind, object));
    }

    pub(crate) fn delete(&mut self, plural: &str, namespace: &str, name: &str) {
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        let object = self.objects.remove(&key).unwrap();
        let version = self.next();
        self.log.push((version, key.0, "DELETED", object));
    }

    /// Forgets what happened so far: every watch must begin with a list.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.next();
        self.log.clear();
    }

    pub(crate) fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(plural.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    /// Replaces the status, as another controller would.
    pub(crate) fn set_status(&mut self, plural: &str, namespace: &str, name: &str, status: Value) {
        let mut object = self.get(plural, namespace, name).unwrap().clone();
        object["status"] = status;
        self.put(object);
    }

    /// How many requests there were of a method on a path that ends like this.
    pub(crate) fn count(&self, method: &Method, end: &str) -> usize {
        self.requests.iter().filter(|(own, path)| own == method && path.ends_with(end)).count()
    }
}

fn key(object: &Value) -> Key {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&object["kind"]);
    let plural = KINDS.iter().find(|known| known.3 == kind).unwrap().2;
    let metadata = &object["metadata"];
    (plural.to_owned(), text(&metadata["namespace"]), text(&metadata["name"]))
}

#[derive(Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
    pub(crate) url: String,
}

impl Fake {
    /// Serves until the runtime of the test ends.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { state: Arc::default(), changed: watch::Sender::new(()), url };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = serving.clone();
                let service = service_fn(move |request| {
                    let fake = fake.clone();
                    async move { Ok::<_, Infallible>(fake.answer(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        fake
    }

    /// Looks at the state, or changes it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.lock());
        self.changed.send_replace(());
        result
    }

    pub(crate) fn put(&self, object: Value) {
        self.with(|state| state.put(object));
    }

    pub(crate) fn before_status(&self, hook: impl FnOnce(&mut State) + Send + 'static) {
        self.with(|state| state.before_status = Some(Box::new(hook)));
    }

    pub(crate) fn without_streaming_lists(&self) {
        self.with(|state| state.no_streaming = true);
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, mut so: impl FnMut(&State) -> bool) {
        let mut changed = self.changed.subscribe();
        let wait = async {
            while !so(&self.lock()) {
                changed.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            let state = self.lock();
            panic!("{what} did not happen\n{:#?}\n{:#?}", state.objects, state.requests);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let accept = parts.headers.get("accept").and_then(|value| value.to_str().ok());
        let names_only = accept.is_some_and(|accept| accept.contains("PartialObjectMetadata"));
        self.with(|state| state.requests.push((parts.method.clone(), path.clone())));
        let kinds: Vec<_> = {
            let state = self.lock();
            KINDS.iter().filter(|kind| !state.unserved.contains(kind.2)).collect()
        };
        if let Some(found) = discovery(&path, &kinds) {
            return json_answer(StatusCode::OK, &found);
        }
        let place =
            Place::parse(&path).filter(|place| kinds.iter().any(|kind| kind.2 == place.plural));
        let Some(place) = place else { return status(404, "NotFound") };
        if place.name.is_empty() && parts.method == Method::GET {
            if query.contains("watch=") {
                return self.watch(place, &query, names_only);
            }
            return json_answer(StatusCode::OK, &self.list(&place, names_only));
        }
        let answer = self.with(|state| place.act(state, &parts.method, &body));
        match answer {
            Ok(object) => json_answer(StatusCode::OK, &object),
            Err(code) => status(code, if code == 409 { "Conflict" } else { "NotFound" }),
        }
    }

    fn list(&self, place: &Place, names_only: bool) -> Value {
        let state = self.lock();
        let all = state.objects.iter().filter(|(key, _)| key.0 == place.plural);
        let items: Vec<Value> = all.map(|(_, object)| shown(object, names_only)).collect();
        json!({
            "apiVersion": "v1", "kind": "List",
            "metadata": { "resourceVersion": state.version.to_string() },
            "items": items,
        })
    }

    fn watch(&self, place: Place, query: &str, names_only: bool) -> Response<Body> {
        let streaming = query.contains("sendInitialEvents=true");
        let mut state = self.lock();
        if streaming && state.no_streaming {
            return status(422, "Invalid");
        }
        let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion="));
        let mut from: u64 = from.and_then(|text| text.parse().ok()).unwrap_or_default();
        let mut first = Vec::new();
        if streaming {
            from = state.version;
            for (_, object) in state.objects.iter().filter(|(key, _)| key.0 == place.plural) {
                first.push(json!({ "type": "ADDED", "object": shown(object, names_only) }));
            }
            first.push(json!({ "type": "BOOKMARK", "object": {
                "apiVersion": "v1", "kind": "X",
                "metadata": {
                    "resourceVersion": from.to_string(),
                    "annotations": { "k8s.io/initial-events-end": "true" },
                },
            }}));
        }
        state.requests.push((Method::GET, format!("watch {}", place.plural)));
        drop(state);
        let fake = self.clone();
        let changed = self.changed.subscribe();
        let begin = (fake, changed, place, from, first, false);
        let events = stream::unfold(
            begin,
            move |(fake, mut changed, place, from, first, over)| async move {
                if over {
                    return None;
                }
                let mut lines: Vec<Value> = first;
                let (mut from, mut over) = (from, false);
                while lines.is_empty() {
                    let (now, news) = fake.news(&place, from, names_only);
                    match news {
                        Some(news) => {
                            lines = news;
                            from = now;
                        }
                        None => {
                            lines = vec![json!({ "type": "ERROR", "object": gone() })];
                            over = true;
                        }
                    }
                    if lines.is_empty() && changed.changed().await.is_err() {
                        return None;
                    }
                }
                let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
                let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(text)));
                Some((frame, (fake, changed, place, from, Vec::new(), over)))
            },
        );
        Response::new(StreamBody::new(events).boxed_unsync())
    }

    /// What happened after a version; nothing when that is forgotten.
    fn news(&self, place: &Place, from: u64, names_only: bool) -> (u64, Option<Vec<Value>>) {
        let state = self.lock();
        if from < state.compacted {
            return (from, None);
        }
        let news =
            state.log.iter().filter(|(at, plural, ..)| *at > from && *plural == place.plural);
        let lines = news.map(
            |(_, _, kind, object)| json!({ "type": kind, "object": shown(object, names_only) }),
        );
        (state.version, Some(lines.collect()))
    }
}

/// Where in the API an object or a collection is.
struct Place {
    group: String,
    version: String,
    plural: String,
    namespace: String,
    name: String,
    is_status: bool,
}

impl Place {
    fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", rest @ ..] => ("", rest),
            ["apis", group, rest @ ..] => (*group, rest),
            _ => return None,
        };
        let (version, rest) = rest.split_first()?;
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let plural = rest.first()?;
        KINDS.iter().find(|kind| (kind.0, kind.1, kind.2) == (group, *version, *plural))?;
        Some(Self {
            group: group.to_owned(),
            version: (*version).to_owned(),
            plural: (*plural).to_owned(),
            namespace: namespace.to_owned(),
            name: rest.get(1).unwrap_or(&"").to_string(),
            is_status: rest.get(2) == Some(&"status"),
        })
    }

    fn act(&self, state: &mut State, method: &Method, body: &Bytes) -> Result<Value, u16> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if self.is_status
            && let Some(hook) = state.before_status.take()
        {
            hook(state);
        }
        let name = if *method == Method::POST { &body["metadata"]["name"] } else { &Value::Null };
        let name = name.as_str().unwrap_or(&self.name).to_owned();
        let found = state.get(&self.plural, &self.namespace, &name).cloned();
        match *method {
            Method::GET => found.ok_or(404),
            Method::POST if found.is_some() => Err(409),
            Method::POST => Ok(self.write(state, &name, body)),
            // As server-side apply, which names the kind.
            Method::PATCH if found.is_none() && body["kind"].is_string() => {
                Ok(self.write(state, &name, body))
            }
            Method::PUT | Method::PATCH => {
                let before = found.ok_or(404_u16)?;
                let wanted = &body["metadata"]["resourceVersion"];
                if !wanted.is_null() && *wanted != before["metadata"]["resourceVersion"] {
                    return Err(409);
                }
                let object = match (*method == Method::PATCH, self.is_status) {
                    (true, true) => {
                        let mut object = before;
                        merge(&mut object["status"], &body["status"]);
                        object
                    }
                    (true, false) => {
                        let mut object = before;
                        merge(&mut object, &body);
                        object
                    }
                    (false, _) => body,
                };
                Ok(self.write(state, &name, object))
            }
            _ => Err(405),
        }
    }

    fn write(&self, state: &mut State, name: &str, mut object: Value) -> Value {
        let kind = KINDS.iter().find(|kind| kind.2 == self.plural).unwrap().3;
        let api_version = match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        };
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        if !self.namespace.is_empty() {
            object["metadata"]["namespace"] = self.namespace.as_str().into();
        }
        state.put(object);
        state.get(&self.plural, &self.namespace, name).unwrap().clone()
    }
}

/// RFC 7396.
fn merge(into: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut into[name.as_str()], value);
        }
    }
}

fn shown(object: &Value, names_only: bool) -> Value {
    if !names_only {
        return object.clone();
    }
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": object["metadata"],
    })
}

fn discovery(path: &str, kinds: &[&(&str, &str, &str, &str)]) -> Option<Value> {
    if path == "/apis" {
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (group, version, ..) in kinds.iter().filter(|kind| !kind.0.is_empty()) {
            let versions = groups.entry(group).or_default();
            if !versions.contains(version) {
                versions.push(version);
            }
        }
        let version = |group: &str, version: &str| json!({ "groupVersion": format!("{group}/{version}"), "version": version });
        let groups: Vec<Value> = groups
            .iter()
            .map(|(group, versions)| {
                let all: Vec<Value> = versions.iter().map(|one| version(group, one)).collect();
                json!({ "name": group, "preferredVersion": all[0], "versions": all })
            })
            .collect();
        return Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }));
    }
    let api_version = path.strip_prefix("/apis/").or(path.strip_prefix("/api/"))?;
    let own = |kind: &&&(&str, &str, &str, &str)| match kind.0 {
        "" => kind.1 == api_version,
        group => format!("{group}/{}", kind.1) == api_version,
    };
    let resources: Vec<Value> = kinds
        .iter()
        .filter(own)
        .map(|kind| {
            json!({
                "name": kind.2, "singularName": "", "namespaced": true, "kind": kind.3,
                "verbs": ["list", "watch"],
            })
        })
        .collect();
    let is_known = !resources.is_empty() && !api_version.contains("namespaces");
    is_known.then(|| {
        json!({ "kind": "APIResourceList", "groupVersion": api_version, "resources": resources })
    })
}

fn gone() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 410,
        "reason": "Expired", "message": "too old resource version",
    })
}

fn status(code: u16, reason: &str) -> Response<Body> {
    let body = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code,
        "reason": reason, "message": reason,
    });
    json_answer(StatusCode::from_u16(code).unwrap(), &body)
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    let full = http_body_util::Full::new(Bytes::from(body.to_string()));
    let mut response = Response::new(full.boxed_unsync());
    *response.status_mut() = status;
    response
}
