//! Which route a call takes, and the path it goes on with.
//!
//! As Kong's `traditional_compatible` router over hosts, methods and paths: a route that names more kinds of conditions
//! comes first, then regular expressions by priority, then the longer path, then the older route.

use std::cmp::Reverse;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::configuration::Service;
use crate::schema::Object;

/// A route as calls need it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) id: String,
    pub(crate) service: Option<Arc<Service>>,
    pub(crate) row: Arc<Object>,
    strip_path: bool,
    pub(crate) preserve_host: bool,
    methods: Vec<String>,
    hosts: Vec<String>,
    paths: Vec<Path>,
    regex_priority: i64,
    created_at: i64,
}

#[derive(Debug)]
enum Path {
    Prefix(String),
    Pattern(Regex),
}

impl Route {
    pub(crate) fn new(id: &str, row: &Arc<Object>, service: Option<Arc<Service>>) -> Route {
        let texts = |field: &str| -> Vec<String> {
            let texts = row.get(field).and_then(Value::as_array).into_iter().flatten();
            texts.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let flag = |field: &str| row.get(field) == Some(&Value::Bool(true));
        let number = |field: &str| row.get(field).and_then(Value::as_i64).unwrap_or_default();
        Route {
            id: id.to_owned(),
            service,
            row: Arc::clone(row),
            strip_path: flag("strip_path"),
            preserve_host: flag("preserve_host"),
            methods: texts("methods"),
            hosts: texts("hosts"),
            paths: texts("paths").iter().filter_map(|path| Path::new(path)).collect(),
            regex_priority: number("regex_priority"),
            created_at: number("created_at"),
        }
    }

    fn kinds(&self) -> usize {
        [self.methods.is_empty(), self.hosts.is_empty(), self.paths.is_empty()].iter().filter(|empty| !**empty).count()
    }

    fn takes(&self, method: &str, host: &str) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|own| own == method))
            && (self.hosts.is_empty() || self.hosts.iter().any(|own| host_matches(own, host)))
    }
}

impl Path {
    fn new(text: &str) -> Option<Path> {
        match text.strip_prefix('~') {
            Some(pattern) => Regex::new(&format!("^(?:{pattern})")).ok().map(Path::Pattern),
            None => Some(Path::Prefix(text.to_owned())),
        }
    }

    /// How much of the path matches.
    fn matched(&self, path: &str) -> Option<usize> {
        match self {
            Path::Prefix(prefix) => path.starts_with(prefix.as_str()).then_some(prefix.len()),
            Path::Pattern(pattern) => pattern.find(path).map(|found| found.end()),
        }
    }

    fn is_pattern(&self) -> bool {
        matches!(self, Path::Pattern(_))
    }
}

fn host_matches(own: &str, host: &str) -> bool {
    match (own.strip_prefix('*'), own.strip_suffix('*')) {
        (Some(end), _) => host.ends_with(end),
        (_, Some(start)) => host.starts_with(start),
        _ => own == host,
    }
}

/// A route with the path that goes to its service, without the service's own path.
pub(crate) struct Match {
    pub(crate) route: Arc<Route>,
    /// What is left of the path.
    pub(crate) rest: String,
    /// The part that was stripped.
    pub(crate) prefix: Option<String>,
}

/// All routes of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Router {
    routes: Vec<Arc<Route>>,
}

impl Router {
    pub(crate) fn new(routes: Vec<Route>) -> Router {
        Router { routes: routes.into_iter().map(Arc::new).collect() }
    }

    /// The route of a call; the path is a [`normal`] one, the host has no port.
    pub(crate) fn find(&self, method: &str, host: &str, path: &str) -> Option<Match> {
        let mut best: Option<(_, &Arc<Route>, usize)> = None;
        for route in self.routes.iter().filter(|route| route.takes(method, host)) {
            let paths: Vec<Option<&Path>> =
                if route.paths.is_empty() { vec![None] } else { route.paths.iter().map(Some).collect() };
            for own in paths {
                let Some(matched) = own.map_or(Some(0), |own| own.matched(path)) else {
                    continue;
                };
                let is_pattern = own.is_some_and(Path::is_pattern);
                let length = if is_pattern { 0 } else { matched };
                let rank = (route.kinds(), is_pattern, route.regex_priority, length, Reverse(route.created_at));
                if best.as_ref().is_none_or(|(other, _, _)| rank > *other) {
                    best = Some((rank, route, matched));
                }
            }
        }
        let (_, route, matched) = best?;
        let strips = route.strip_path && matched > 0;
        Some(Match {
            route: Arc::clone(route),
            rest: if strips { path[matched..].to_owned() } else { path.to_owned() },
            prefix: strips.then(|| path[..matched].to_owned()),
        })
    }
}

/// The path that goes to the service: its own path, then the rest, with one slash between.
pub(crate) fn upstream_path(service: Option<&str>, rest: &str) -> String {
    let base = service.unwrap_or("/");
    match (base.ends_with('/'), rest.is_empty(), rest.starts_with('/')) {
        (_, true, _) => base.to_owned(),
        (true, false, true) => format!("{base}{}", &rest[1..]),
        (true, false, false) | (false, false, true) => format!("{base}{rest}"),
        (false, false, false) => format!("{base}/{rest}"),
    }
}

/// Dot segments resolved and slashes merged, as nginx and Kong do before they match.
pub(crate) fn normal(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let lower = |segment: &str| segment.to_ascii_lowercase().replace("%2e", ".");
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        match lower(segment).as_str() {
            "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let end = if open && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn route(id: &str, row: Value) -> Route {
        Route::new(id, &Arc::new(row.as_object().cloned().unwrap_or_default()), None)
    }

    #[test]
    fn the_most_telling_route_wins() {
        let router = Router::new(vec![
            route("root", json!({"paths": ["/"], "strip_path": true})),
            route("shop", json!({"paths": ["/shop"], "strip_path": true})),
            route("items", json!({"paths": ["/shop/items"], "strip_path": false})),
            route("posts", json!({"paths": ["/shop"], "methods": ["POST"], "strip_path": true})),
            route(
                "pattern",
                json!({"paths": [r"~/v1/orders/(?<oid>[^/]+)/items/(?<iid>\d+)$"], "hosts": ["api.test"]}),
            ),
            route("wild", json!({"paths": ["/w"], "hosts": ["*.wild.test"], "strip_path": true})),
        ]);
        for (method, host, path, expected) in [
            ("GET", "x", "/", Some(("root", ""))),
            ("GET", "x", "/shop", Some(("shop", ""))),
            ("GET", "x", "/shop/a", Some(("shop", "/a"))),
            ("GET", "x", "/shopping", Some(("shop", "ping"))),
            ("GET", "x", "/shop/items/1", Some(("items", "/shop/items/1"))),
            ("POST", "x", "/shop/items/1", Some(("posts", "/items/1"))),
            ("GET", "api.test", "/v1/orders/a/items/7", Some(("pattern", "/v1/orders/a/items/7"))),
            ("GET", "api.test", "/v1/orders/a/items/x", Some(("root", "v1/orders/a/items/x"))),
            ("GET", "a.wild.test", "/w/1", Some(("wild", "/1"))),
        ] {
            let found = router.find(method, host, path);
            let found = found.as_ref().map(|found| (found.route.id.as_str(), found.rest.as_str()));
            assert_eq!(found, expected, "{method} {host}{path}");
        }
        assert!(Router::default().find("GET", "x", "/").is_none());
    }

    #[test]
    fn paths_join_with_one_slash() {
        for (service, rest, expected) in [
            (None, "", "/"),
            (None, "/a", "/a"),
            (None, "a", "/a"),
            (Some("/shop"), "", "/shop"),
            (Some("/shop"), "/a", "/shop/a"),
            (Some("/shop"), "a", "/shop/a"),
            (Some("/shop/"), "/a", "/shop/a"),
        ] {
            assert_eq!(upstream_path(service, rest), expected, "{service:?} {rest}");
        }
    }

    #[test]
    fn paths_are_made_normal() {
        for (path, expected) in [
            ("/a/b", "/a/b"),
            ("//a///b/", "/a/b/"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/../..", "/"),
            ("/a/.", "/a/"),
            ("", "/"),
        ] {
            assert_eq!(normal(path), expected, "{path}");
        }
    }
}
