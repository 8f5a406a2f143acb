//! The OpenAPI document, made from the table of routes and the forms of the types. A golden file holds it in the tree.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tracekeep_core::limits::BATCH_OPS_MAX;
use tracekeep_core::model::{Expect, Op, StartRun};
use tracekeep_core::wire::{Field, Member, Shape};
use tracekeep_store::{Noted, Receipt};

use crate::routes::{Form, Gives, Param, Route, Takes, table};

/// The document as pretty-printed JSON.
#[must_use]
pub fn document() -> String {
    let mut schemas = Schemas::default();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in table() {
        let operation = operation(&route, &mut schemas);
        paths.entry(route.path).or_default().insert(route.method.as_str().to_ascii_lowercase(), operation);
    }
    schemas.problem();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tracekeep",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "The system of record for AI-agent runs. Every write is a batch; unknown members and unknown parameters \
                            are refused; a null member is an absent one. A write that takes Idempotency-Key names it; \
                            exports, claims and what writes many batches take none.",
        },
        "paths": paths,
        "components": {"schemas": schemas.0},
    });
    let mut text = serde_json::to_string_pretty(&document).expect("invariant: the document has string keys");
    text.push('\n');
    text
}

fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let mut parameters: Vec<Value> = path_parts(route.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(route.params.iter().map(|param| query_parameter(param, schemas)));
    let mut operation = json!({"summary": route.summary, "responses": responses(route, schemas)});
    let body = request_body(route, schemas);
    if route.honours_key() {
        let key = json!({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"},
                         "description": "names this write: the same again is answered as before, another body with 422"});
        parameters.push(key);
    }
    if let Some(body) = body {
        operation["requestBody"] = body;
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    operation
}

fn query_parameter(param: &Param, schemas: &mut Schemas) -> Value {
    let schema = match &param.form {
        Form::Text => json!({"type": "string"}),
        Form::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Form::Time => json!({"type": "string", "format": "date-time"}),
        Form::Integer(min, None) => json!({"type": "integer", "minimum": min}),
        Form::Integer(min, Some(max)) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Form::Boolean => json!({"type": "boolean"}),
        Form::Of(shape) => schemas.of(&shape()),
    };
    json!({"name": param.name, "in": "query", "required": param.required, "description": param.doc, "schema": schema})
}

fn path_parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn request_body(route: &Route, schemas: &mut Schemas) -> Option<Value> {
    let content = match &route.takes {
        Takes::Nothing | Takes::Empty => return None,
        Takes::Expectations => {
            let Shape::Object(name, members) = Shape::of::<Expect>() else { return None };
            let members: Vec<_> = members.into_iter().filter(|member| member.name != "run_id").collect();
            let items = schemas.named(name, &members);
            let list = json!({"type": "array", "minItems": 1, "maxItems": BATCH_OPS_MAX, "items": items});
            json!({"application/json": {"schema": {"oneOf": [
                {"type": "object", "required": ["expectations"], "additionalProperties": false,
                 "properties": {"expectations": list}},
                {"type": "object", "required": ["contract"], "additionalProperties": false,
                 "properties": {"contract": {"type": "string",
                     "description": "a contract of the server's configuration, or standard"}}},
            ]}}})
        }
        Takes::Start => {
            let Shape::Object(name, mut members) = Shape::of::<StartRun>() else { return None };
            // The door says where a run comes from.
            members.retain(|member| member.name != "source");
            let doc = "a contract that is declared with the run, in one batch: of the configuration, or standard";
            members.push(Member::new("contract", doc, false, <String as Field>::shape()));
            json!({"application/json": {"schema": schemas.named(name, &members)}})
        }
        Takes::Op(shape, said) => {
            let Shape::Object(name, members) = shape() else { return None };
            let members: Vec<_> = members.into_iter().filter(|member| !said.contains(&member.name)).collect();
            json!({"application/json": {"schema": schemas.named(name, &members)}})
        }
        Takes::Batch => json!({"application/json": {"schema": {
            "type": "object",
            "required": ["ops"],
            "additionalProperties": false,
            "properties": {"ops": {"type": "array", "minItems": 1, "maxItems": BATCH_OPS_MAX, "items": schemas.op()}},
        }}}),
        Takes::Form(shape) => json!({"application/json": {"schema": schemas.of(&shape())}}),
        Takes::Otlp => json!({
            "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": {"type": "object"}},
        }),
    };
    Some(json!({"required": true, "content": content}))
}

fn responses(route: &Route, schemas: &mut Schemas) -> Value {
    let json_of = |schema: Value| json!({"application/json": {"schema": schema}});
    let content = match &route.gives {
        Gives::Object(shape) => json_of(schemas.of(&shape())),
        Gives::Page(member, shape) => {
            let items = schemas.of(&shape());
            let mut properties =
                json!({*member: {"type": "array", "items": items}, "next_cursor": {"type": ["string", "null"]}});
            if route.params.iter().any(|param| param.name == "text") {
                let doc = "of a search in texts: whether it looked at all that is recorded; asked again, it sees more";
                properties["complete"] = json!({"type": "boolean", "description": doc});
            }
            json_of(json!({"type": "object", "required": [member, "next_cursor"], "properties": properties}))
        }
        Gives::OpReceipt => json_of(schemas.op_receipt()),
        Gives::NotedOp => {
            let held = json!({
                "type": "object",
                "description": "Held in Redis in front of the ledger: it is no entry yet.",
                "required": ["outcome"],
                "additionalProperties": false,
                "properties": {"outcome": {"enum": ["recorded", "duplicate"]}, "id": {"type": "string"}},
            });
            json_of(json!({"oneOf": [schemas.op_receipt(), held]}))
        }
        Gives::Noted => {
            json_of(json!({"oneOf": [schemas.of(&Shape::of::<Receipt>()), schemas.of(&Shape::of::<Noted>())]}))
        }
        Gives::Otlp => otlp("ExportTraceServiceResponse"),
        Gives::Other(kind, doc) => json!({*kind: {"schema": {"description": doc}}}),
    };
    let problem = json!({"description": "refused", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}});
    match &route.takes {
        Takes::Otlp => {
            let mut refused = otlp("google.rpc.Status");
            refused["application/problem+json"] = problem["content"]["application/problem+json"].clone();
            let refused = json!({"description": "refused, in the encoding of the request", "content": refused});
            json!({"200": {"description": "ok", "content": content}, "default": refused})
        }
        _ if matches!(route.gives, Gives::OpReceipt | Gives::NotedOp)
            || matches!(route.takes, Takes::Batch | Takes::Expectations) =>
        {
            json!({
                "201": {"description": "recorded", "content": content},
                "200": {"description": "duplicate: the original receipt", "content": content},
                "default": problem,
            })
        }
        // Those of the gate say in their summary what else they answer with.
        Takes::Form(_) if route.path.ends_with("/{key}") => json!({
            "201": {"description": "new: the caller is to do it", "content": content},
            "200": {"description": "duplicate: it was done; or it failed for good", "content": content},
            "409": {"description": "in progress: Retry-After says when to ask again", "content": problem["content"]},
            "422": {"description": "conflict: the key stands for another request", "content": problem["content"]},
            "default": problem,
        }),
        _ => json!({"200": {"description": "ok", "content": content}, "default": problem}),
    }
}

/// A message of OTLP, in both its encodings.
fn otlp(message: &str) -> Value {
    json!({
        "application/x-protobuf": {"schema": {"description": message}},
        "application/json": {"schema": {"type": "object", "description": message}},
    })
}

#[derive(Default)]
struct Schemas(Map<String, Value>);

impl Schemas {
    fn of(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Text("") => json!({"type": "string"}),
            Shape::Text("date-time") => json!({"type": "string", "format": "date-time"}),
            Shape::Text("sha256-hex") => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
            Shape::Text("decimal") => json!({"type": "string", "pattern": r"^(0|[1-9][0-9]*)(\.[0-9]{1,6})?$"}),
            Shape::Text(_) => json!({"type": "string", "pattern": "^[!-~]{1,255}$"}),
            Shape::Words(words) => json!({"enum": words}),
            Shape::Integer => json!({"type": "integer"}),
            Shape::Number => json!({"type": "number"}),
            Shape::Boolean => json!({"type": "boolean"}),
            Shape::Any => json!({}),
            Shape::FreeObject => json!({"type": "object"}),
            Shape::Array(items) => json!({"type": "array", "items": self.of(items)}),
            Shape::Object(name, members) => self.named(name, members),
            Shape::OneOf(name, kinds) => {
                let kinds = kinds.iter().map(|(kind, members)| {
                    let mut schema = self.object(members);
                    schema["properties"]["type"] = json!({"const": kind});
                    if let Some(required) = schema["required"].as_array_mut() {
                        required.insert(0, json!("type"));
                    }
                    schema
                });
                let kinds: Vec<_> = kinds.collect();
                self.0.entry((*name).to_owned()).or_insert_with(|| json!({"oneOf": kinds}));
                reference(name)
            }
        }
    }

    fn named(&mut self, name: &str, members: &[Member]) -> Value {
        let schema = self.object(members);
        self.0.insert(name.to_owned(), schema);
        reference(name)
    }

    fn object(&mut self, members: &[Member]) -> Value {
        let mut properties = Map::new();
        for member in members {
            let mut schema = self.of(&member.shape);
            if !member.doc.is_empty() {
                schema["description"] = member.doc.trim().into();
            }
            properties.insert(member.name.to_owned(), schema);
        }
        let required: Vec<_> = members.iter().filter(|member| member.required).map(|member| member.name).collect();
        json!({"type": "object", "additionalProperties": false, "properties": properties, "required": required})
    }

    /// An op of a batch: its members and its name.
    fn op(&mut self) -> Value {
        let mut mapping = Map::new();
        for (op, shape) in Op::shapes() {
            let Shape::Object(name, mut members) = shape else { unreachable!("invariant: an op has members by name") };
            // The door says it.
            members.retain(|member| op != "start_run" || member.name != "source");
            let mut schema = self.object(&members);
            schema["properties"]["op"] = json!({"const": op});
            if let Some(required) = schema["required"].as_array_mut() {
                required.insert(0, json!("op"));
            }
            let name = format!("{name}Op");
            mapping.insert(op.to_owned(), format!("#/components/schemas/{name}").into());
            self.0.insert(name, schema);
        }
        let kinds: Vec<_> = mapping.values().map(|schema| json!({"$ref": schema})).collect();
        let schema = json!({"oneOf": kinds, "discriminator": {"propertyName": "op", "mapping": mapping}});
        self.0.insert("Op".to_owned(), schema);
        reference("Op")
    }

    fn op_receipt(&mut self) -> Value {
        let hash = json!({"type": "string", "pattern": "^[0-9a-f]{64}$"});
        let schema = json!({
            "type": "object",
            "required": ["outcome", "log_index", "leaf_hash", "tree_size", "root"],
            "properties": {
                "outcome": {"enum": ["recorded", "duplicate"]},
                "run_id": {"type": "string", "description": "The run, of an op that starts one."},
                "id": {"type": "string", "description": "The trace, expectation or acknowledgement, of an op that records one."},
                "log_index": {"type": "integer"},
                "leaf_hash": hash,
                "tree_size": {"type": "integer"},
                "root": hash,
            },
        });
        self.0.insert("SingleReceipt".to_owned(), schema);
        reference("SingleReceipt")
    }

    fn problem(&mut self) {
        let schema = json!({
            "type": "object",
            "description": "RFC 9457. GET the type for cause and remedy.",
            "required": ["type", "title", "status", "code", "detail", "outcome"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "code": {"type": "string", "description": "stable; `tracekeep explain CODE`"},
                "detail": {"type": "string"},
                "path": {"type": "string", "description": "JSON Pointer into what was sent, or the parameter's name"},
                "outcome": {"enum": ["not_applied", "unknown"], "description": "whether the write may have happened"},
                "digests": {"type": "object", "properties": {"recorded": {"type": "string"}, "sent": {"type": "string"}}},
            },
        });
        self.0.insert("Problem".to_owned(), schema);
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

#[cfg(test)]
mod tests {
    /// The golden file: write it anew with `TRACEKEEP_WRITE_GOLDEN=1`.
    #[test]
    fn the_document_is_the_one_in_the_tree() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let document = super::document();
        if std::env::var_os("TRACEKEEP_WRITE_GOLDEN").is_some() {
            std::fs::write(path, &document).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), document, "docs/openapi.json is out of date");
    }
}
