//! The arrows between crates (DESIGN §7): core → audit → evidence → store → (store-sqlite, store-redis, otlp) → tracekeep → (client, server) → cli.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::rust;
use crate::sh::{Failed, Outcome};

/// How far along the arrows a crate stands: it may depend on those before it. A new crate needs its place here.
const PLACES: &[(&str, u32)] = &[
    ("tracekeep-core", 0),
    ("tracekeep-audit", 1),
    ("tracekeep-evidence", 2),
    ("tracekeep-store", 3),
    ("tracekeep-store-sqlite", 4),
    ("tracekeep-store-redis", 4),
    ("tracekeep-otlp", 4),
    ("tracekeep", 5),
    ("tracekeep-client", 6),
    ("tracekeep-server", 6),
    ("tracekeep-cli", 7),
    ("tracekeep-bench", 8),
];

/// For tests alone: nothing that ships depends on them.
const TESTS_ONLY: &[&str] = &["tracekeep-conformance", "xtask"];

/// What only these may name among their dependencies.
const DOORS: &[(&str, &[&str])] = &[
    ("rusqlite", &["tracekeep-store-sqlite", "tracekeep-bench"]),
    ("libsqlite3-sys", &["tracekeep-store-sqlite", "tracekeep-bench"]),
    ("axum", &["tracekeep-server"]),
    ("redis", &["tracekeep-store-redis", "tracekeep-bench"]),
    ("opentelemetry-proto", &["tracekeep-otlp"]),
    // The server for its webhook.
    ("ureq", &["tracekeep-client", "tracekeep-server", "tracekeep-bench", "xtask"]),
];

/// What may not be reachable from a crate, however far down.
const WALLS: &[(&str, &[&str])] = &[
    ("tracekeep-core", &["tokio", "getrandom", "rand", "tracing", "rusqlite", "axum", "async-trait"]),
    ("tracekeep-evidence", &["tokio", "rusqlite", "axum", "tracekeep-store"]),
    ("tracekeep-store", &["tokio", "rusqlite", "axum", "ureq"]),
    ("tracekeep-store-sqlite", &["tokio", "axum", "ureq", "prost"]),
    ("tracekeep-store-redis", &["rusqlite", "axum", "ureq", "prost"]),
    ("tracekeep-otlp", &["tokio", "rusqlite", "axum", "ureq"]),
    ("tracekeep", &["tokio", "axum", "ureq", "redis"]),
    ("tracekeep-client", &["rusqlite", "axum"]),
    ("tracekeep-server", &["rusqlite"]),
];

/// Each crate's dependencies that ship with it, by package name.
type Graph = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn check() -> Outcome<Vec<String>> {
    Ok(complaints(&graph(&rust::metadata("")?)?, &members(&rust::metadata("--no-deps")?)?))
}

fn complaints(graph: &Graph, members: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let place = |name: &str| PLACES.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
    let of = |name: &str| graph.get(name).into_iter().flatten();
    for name in members {
        let name = name.as_str();
        if TESTS_ONLY.contains(&name) {
            continue;
        }
        let Some(here) = place(name) else {
            found.push(format!("the crate {name} has no place among the arrows: xtask/src/arrows.rs"));
            continue;
        };
        for on in of(name).filter(|on| members.contains(*on)) {
            match place(on) {
                Some(there) if there < here => {}
                Some(_) => found.push(format!("{name} depends on {on}, against the arrows")),
                None => found.push(format!("{name} depends on {on}, which is for tests alone")),
            }
        }
        for (door, owners) in DOORS {
            if !owners.contains(&name) && of(name).any(|on| on == door) {
                found.push(format!("{name} depends on {door}, which belongs to {} alone", owners.join(", ")));
            }
        }
    }
    for (name, beyond) in WALLS {
        let reached = reach(graph, name);
        found.extend(
            beyond
                .iter()
                .filter(|on| reached.contains(**on))
                .map(|on| format!("{name} reaches {on}, which it must not know")),
        );
    }
    found
}

/// Everything below a crate.
fn reach<'g>(graph: &'g Graph, from: &str) -> BTreeSet<&'g str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = graph.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(name) = next.pop() {
        if reached.insert(name) {
            next.extend(graph.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}

fn members(metadata: &Value) -> Outcome<BTreeSet<String>> {
    let packages = metadata["packages"].as_array().ok_or_else(unreadable)?;
    Ok(packages.iter().filter_map(|package| package["name"].as_str().map(str::to_owned)).collect())
}

/// The resolved graph without dev-dependencies. Several versions of a package count as one.
fn graph(metadata: &Value) -> Outcome<Graph> {
    let packages = metadata["packages"].as_array().ok_or_else(unreadable)?;
    let names: BTreeMap<_, _> =
        packages.iter().filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?))).collect();
    let mut graph = Graph::new();
    for node in metadata["resolve"]["nodes"].as_array().ok_or_else(unreadable)? {
        let name = node["id"].as_str().and_then(|id| names.get(id)).ok_or_else(unreadable)?;
        let on = graph.entry((*name).to_owned()).or_default();
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            let ships = kinds.into_iter().any(|kind| kind["kind"].as_str() != Some("dev"));
            let package = dependency["pkg"].as_str().and_then(|id| names.get(id));
            on.extend(package.filter(|_| ships).map(|name| (*name).to_owned()));
        }
    }
    Ok(graph)
}

fn unreadable() -> Failed {
    Failed::new("cargo metadata has another shape than expected")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(edges: &[(&str, &[&str])], expect: &[&str]) {
        let graph: Graph = edges
            .iter()
            .map(|(name, on)| ((*name).to_owned(), on.iter().map(|on| (*on).to_owned()).collect()))
            .collect();
        let members = graph.keys().filter(|name| name.starts_with("tracekeep")).cloned().collect();
        assert_eq!(complaints(&graph, &members), expect);
    }

    #[test]
    fn arrows_point_one_way() {
        check(&[("tracekeep-core", &[]), ("tracekeep-store", &["tracekeep-core"])], &[]);
        check(
            &[("tracekeep-core", &["tracekeep-store"]), ("tracekeep-store", &[])],
            &["tracekeep-core depends on tracekeep-store, against the arrows"],
        );
        check(
            &[("tracekeep-client", &["tracekeep-server"]), ("tracekeep-server", &[])],
            &["tracekeep-client depends on tracekeep-server, against the arrows"],
        );
        check(
            &[("tracekeep-cli", &["tracekeep-conformance"]), ("tracekeep-conformance", &[])],
            &["tracekeep-cli depends on tracekeep-conformance, which is for tests alone"],
        );
        check(
            &[("tracekeep-new", &[])],
            &["the crate tracekeep-new has no place among the arrows: xtask/src/arrows.rs"],
        );
    }

    #[test]
    fn walls_hold_however_far_down() {
        check(
            &[("tracekeep-cli", &["rusqlite"]), ("rusqlite", &[])],
            &["tracekeep-cli depends on rusqlite, which belongs to tracekeep-store-sqlite, tracekeep-bench alone"],
        );
        check(
            &[("tracekeep-core", &["a"]), ("a", &["b"]), ("b", &["tokio", "a"])],
            &["tracekeep-core reaches tokio, which it must not know"],
        );
    }
}
