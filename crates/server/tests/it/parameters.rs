//! Query parameters, of every route that the OpenAPI document names.

use crate::Server;

const JSON: (&str, &str) = ("content-type", "application/json");

/// An operation of the document.
struct Operation {
    method: String,
    /// With each of its parts filled in.
    path: String,
    /// The names of its query parameters.
    known: Vec<String>,
}

impl Operation {
    fn ask(&self, server: &Server, query: &str) -> crate::Answer {
        server.send(&self.method, &format!("{}?{query}", self.path), &[JSON], b"{}")
    }
}

fn operations() -> Vec<Operation> {
    let document: serde_json::Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    let mut all = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let known = operation["parameters"].as_array().into_iter().flatten();
            let known = known.filter(|parameter| parameter["in"] == "query");
            all.push(Operation {
                method: method.to_uppercase(),
                path: path.replace('{', "x").replace('}', ""),
                known: known.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect(),
            });
        }
    }
    assert!(all.len() > 70, "the document names {} operations", all.len());
    all
}

/// Most routes that write took any parameter, and did what they would have done without it.
#[test]
fn every_route_refuses_a_parameter_that_it_does_not_know() {
    let server = Server::start();
    for operation in operations() {
        let answer = operation.ask(&server, "no_such=1");
        let (method, path) = (&operation.method, &operation.path);
        if path == "/v1/traces" {
            // In the encoding of the request, as OTLP has it.
            assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/json")));
            let said = "invalid_parameter: no_such: is not a parameter here";
            assert_eq!(answer.member("message").as_deref(), Some(said));
        } else {
            assert_eq!(answer.member("path").as_deref(), Some("no_such"), "{method} {path}: {}", answer.text());
            answer.refused(400, "invalid_parameter", Some("no_such"));
        }
    }
    assert_eq!(server.get("/api/v1/log").member("tree_size").as_deref(), Some("0"));
}

/// The table and the handlers each name the parameters of a route.
#[test]
fn every_route_knows_the_parameters_that_it_names() {
    let server = Server::start();
    for operation in operations() {
        for name in &operation.known {
            let answer = operation.ask(&server, &format!("{name}=x"));
            assert!(!answer.text().contains("is not a parameter here"), "{} {name}", operation.path);
        }
    }
}
