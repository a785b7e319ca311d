//! What goes on here, counted, for Prometheus.
//!
//! Every series exists from the start at 0, and every counter is resolved once: counting is one atomic addition,
//! with no label hashed on the way. Nothing counted is a secret or names a person.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use http_body_util::Full;
use opalid_core::alive::Reason;
use opalid_core::time::UnixTime;
use opalid_store::Observer;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::http::limits::ConnectionLimits;
use crate::http::listen::serve;
use crate::http::threads::Threads;

/// A closed set of label values.
pub trait Label: Copy + 'static {
    /// Every value and its text, in the order of `index`.
    const ALL: &'static [(Self, &'static str)];
    /// Its place in `ALL`.
    fn index(self) -> usize;
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident => $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$value_doc])* $value,)* }

        impl Label for $name {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$value, $text),)*];
            fn index(self) -> usize {
                self as usize
            }
        }
    )*};
}

labels! {
    /// What was minted.
    Minted {
        /// An opaque access token.
        Access => "access",
        /// A JWT access token.
        AccessJwt => "access_jwt",
        /// A refresh token.
        Refresh => "refresh",
        /// An authorization code.
        Code => "code",
        /// An ID token.
        Id => "id",
    }
    /// How an introspection ended.
    Introspected {
        /// Alive, and the caller may know.
        Active => "active",
        /// It did not open: no token of ours.
        Unknown => "unknown",
        /// Over its time.
        Expired => "expired",
        /// Killed alone.
        Killed => "killed",
        /// Its grant was cut.
        Grant => "grant",
        /// Something its grant hangs from is dead or suspended.
        Ancestor => "ancestor",
        /// Nothing is left that it may do.
        Narrowed => "narrowed",
        /// Alive or not, the caller may not know.
        NotForCaller => "not_for_caller",
    }
    /// What was revoked.
    Revoked {
        /// One token.
        Token => "token",
        /// A grant.
        Grant => "grant",
        /// A session.
        Session => "session",
        /// All a user has.
        User => "user",
        /// All a client has.
        Client => "client",
        /// A whole workspace.
        Workspace => "workspace",
    }
    /// How an attempt to sign in ended.
    SignIn {
        /// Signed in.
        Success => "success",
        /// Wrong name or password.
        Wrong => "wrong",
        /// Refused for a while after wrong guesses.
        BackedOff => "backed_off",
        /// The account is suspended.
        Suspended => "suspended",
        /// No place to check the password in time.
        Busy => "busy",
    }
    /// How the store failed.
    StoreFailure {
        /// Not reached, or not in time.
        Unavailable => "unavailable",
        /// A conflict that lasted.
        Conflict => "conflict",
        /// No room, or the disk failed.
        Disk => "disk",
        /// Anything else.
        Other => "other",
    }
    /// The class of a status.
    StatusClass {
        /// 2xx.
        Success => "2xx",
        /// 3xx.
        Redirect => "3xx",
        /// 4xx.
        ClientError => "4xx",
        /// 5xx.
        ServerError => "5xx",
    }
}

impl From<Reason> for Introspected {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NotOurs => Self::Unknown,
            Reason::Expired => Self::Expired,
            Reason::Killed => Self::Killed,
            Reason::GrantUnknown
            | Reason::GrantCut
            | Reason::GuardDiffers
            | Reason::Ahead
            | Reason::EntitlementUnknown => Self::Grant,
            Reason::AncestorGone(_)
            | Reason::AncestorSuspended(_)
            | Reason::AncestorCut(_)
            | Reason::SessionEnded(_) => Self::Ancestor,
            Reason::Narrowed => Self::Narrowed,
            Reason::NotForCaller => Self::NotForCaller,
        }
    }
}

impl From<StatusCode> for StatusClass {
    fn from(status: StatusCode) -> Self {
        match status.as_u16() {
            0..300 => Self::Success,
            300..400 => Self::Redirect,
            400..500 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

/// One counter per value of a label.
#[derive(Debug, Clone)]
pub struct Counters<L> {
    counters: Box<[Counter]>,
    label: PhantomData<L>,
}

impl<L: Label> Counters<L> {
    fn resolve(resolve: impl Fn(&'static str) -> Counter) -> Self {
        Self { counters: L::ALL.iter().map(|(_, text)| resolve(text)).collect(), label: PhantomData }
    }

    fn register(registry: &mut Registry, name: &str, label: &'static str, help: &str) -> Self {
        let family = Family::<[(&str, &str); 1], Counter>::default();
        registry.register(name, help, family.clone());
        Self::resolve(|text| family.get_or_create_owned(&[(label, text)]))
    }

    /// Counts one.
    pub fn count(&self, value: L) {
        if let Some(counter) = self.counters.get(value.index()) {
            counter.inc();
        }
    }
}

/// The place of a route in the list that `Metrics::new` was given; past its end is the route `other`.
pub type RouteIndex = usize;

/// All counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Box<[Counters<StatusClass>]>,
    /// Tokens minted, by kind.
    pub minted: Counters<Minted>,
    /// Introspections, by outcome.
    pub introspections: Counters<Introspected>,
    /// Revocations, by what was revoked.
    pub revocations: Counters<Revoked>,
    /// Attempts to sign in, by outcome.
    pub sign_ins: Counters<SignIn>,
    /// Failures of the store, by kind.
    pub store_failures: Counters<StoreFailure>,
    commit_seconds: Histogram,
    steps_waiting: Gauge,
    /// Requests that wait for a person, as the last round of sweeping found them.
    pub requests_waiting: Gauge,
}

impl Metrics {
    /// Counters at 0 for these routes.
    #[must_use]
    pub fn new(routes: &[&'static str], started_at: UnixTime) -> Self {
        let mut registry = Registry::with_prefix("opalid");
        let start: Gauge = Gauge::default();
        start.set(started_at.0);
        let name = "process_start_time_seconds";
        registry.register(name, "When the process began, in seconds since 1970", start);
        registry.register("build", "The version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));

        let by_route = Family::<[(&str, &str); 2], Counter>::default();
        registry.register("requests", "Requests answered, by route and class of status", by_route.clone());
        let requests = routes.iter().chain(&["other"]).map(|route| {
            Counters::resolve(|class| by_route.get_or_create_owned(&[("route", *route), ("status", class)]))
        });
        let requests = requests.collect();

        let commit_seconds = Histogram::new(exponential_buckets(0.000_1, 2.0, 16));
        registry.register("commit_seconds", "How long COMMIT took, by transaction", commit_seconds.clone());
        let steps_waiting = Gauge::default();
        let help = "Steps handed to the store whose callers wait";
        registry.register("store_steps_waiting", help, steps_waiting.clone());
        let requests_waiting = Gauge::default();
        let help = "Stored requests that wait for a person, in all workspaces";
        registry.register("requests_waiting", help, requests_waiting.clone());
        let r = &mut registry;
        Self {
            requests,
            minted: Counters::register(r, "tokens_minted", "kind", "Tokens minted, by kind"),
            introspections: Counters::register(r, "introspections", "outcome", "Introspections, by outcome"),
            revocations: Counters::register(r, "revocations", "what", "Revocations, by what was revoked"),
            sign_ins: Counters::register(r, "sign_ins", "outcome", "Attempts to sign in, by outcome"),
            store_failures: Counters::register(r, "store_failures", "kind", "Failures of the store, by kind"),
            commit_seconds,
            steps_waiting,
            requests_waiting,
            registry,
        }
    }

    /// Counts an answered request.
    pub fn request(&self, route: RouteIndex, status: StatusCode) {
        if let Some(counters) = self.requests.get(route).or(self.requests.last()) {
            counters.count(status.into());
        }
    }

    /// Everything as OpenMetrics text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a String cannot fail.
        _ = encode(&mut text, &self.registry);
        text
    }

    /// The answer of the listener for metrics: `GET /metrics`, nothing else.
    #[must_use]
    pub fn answer(&self, method: &Method, path: &str) -> http::Response<Full<Bytes>> {
        let mut answer = http::Response::new(Full::default());
        if path != "/metrics" {
            *answer.status_mut() = StatusCode::NOT_FOUND;
        } else if !matches!(*method, Method::GET | Method::HEAD) {
            *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        } else {
            *answer.body_mut() = Full::new(self.render().into());
            let text = header::HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
            answer.headers_mut().insert(header::CONTENT_TYPE, text);
        }
        answer
    }
}

impl Observer for Metrics {
    fn committed(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    fn step_begun(&self) {
        self.steps_waiting.inc();
    }

    fn step_ended(&self) {
        self.steps_waiting.dec();
    }
}

/// Answers `/metrics` on an address of its own until `stop`.
pub async fn serve_metrics(sockets: Vec<TcpListener>, metrics: Arc<Metrics>, stop: watch::Receiver<bool>) {
    let limits = ConnectionLimits { most: 64, ..ConnectionLimits::default() };
    serve(sockets, None, (Arc::new(Threads::here()), limits), stop, move |request, _| {
        let answer = metrics.answer(request.method(), request.uri().path());
        async move { answer }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(metrics: &Metrics, series: &str) -> String {
        let text = metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).to_owned()
    }

    #[test]
    fn every_series_exists_from_the_start_and_counts() {
        let metrics = Metrics::new(&["token", "introspect"], UnixTime(1_800_000_000));
        assert_eq!(value(&metrics, "opalid_process_start_time_seconds"), "1800000000");
        let active = "opalid_introspections_total{outcome=\"active\"}";
        assert_eq!(value(&metrics, active), "0");
        metrics.introspections.count(Introspected::Active);
        metrics.introspections.count(Introspected::NotForCaller);
        assert_eq!(value(&metrics, active), "1");
        assert_eq!(value(&metrics, "opalid_introspections_total{outcome=\"not_for_caller\"}"), "1");
        metrics.committed(Duration::from_millis(3));
        assert_eq!(value(&metrics, "opalid_commit_seconds_count"), "1");
        assert_eq!(value(&metrics, "opalid_commit_seconds_sum"), "0.003");
        metrics.step_begun();
        assert_eq!(value(&metrics, "opalid_store_steps_waiting"), "1");
        metrics.step_ended();
        assert_eq!(value(&metrics, "opalid_store_steps_waiting"), "0");
    }

    #[test]
    fn requests_count_by_route_and_status_and_unknown_routes_together() {
        let metrics = Metrics::new(&["token", "introspect"], UnixTime(0));
        metrics.request(1, StatusCode::OK);
        metrics.request(1, StatusCode::UNAUTHORIZED);
        metrics.request(usize::MAX, StatusCode::NOT_FOUND);
        assert_eq!(value(&metrics, "opalid_requests_total{route=\"introspect\",status=\"2xx\"}"), "1");
        assert_eq!(value(&metrics, "opalid_requests_total{route=\"introspect\",status=\"4xx\"}"), "1");
        assert_eq!(value(&metrics, "opalid_requests_total{route=\"other\",status=\"4xx\"}"), "1");
        assert_eq!(value(&metrics, "opalid_requests_total{route=\"token\",status=\"2xx\"}"), "0");
    }

    #[test]
    fn labels_stand_where_their_index_says() {
        fn check<L: Label + PartialEq + std::fmt::Debug>() {
            for (place, (label, _)) in L::ALL.iter().enumerate() {
                assert_eq!(label.index(), place, "{label:?}");
            }
        }
        check::<Minted>();
        check::<Introspected>();
        check::<Revoked>();
        check::<SignIn>();
        check::<StoreFailure>();
        check::<StatusClass>();
    }

    #[test]
    fn the_metrics_listener_answers_one_path() {
        let metrics = Metrics::new(&[], UnixTime(0));
        assert_eq!(metrics.answer(&Method::GET, "/metrics").status(), 200);
        assert_eq!(metrics.answer(&Method::POST, "/metrics").status(), 405);
        assert_eq!(metrics.answer(&Method::GET, "/").status(), 404);
    }
}
