//! What spans tell about their run: its resource, and its root.

use tracekeep_core::id::RunId;
use tracekeep_core::limits::{NAME_BYTES_MAX, OP_BYTES_MAX};
use tracekeep_core::model::{DescribeRun, JsonObject};
use tracekeep_core::{InvalidCode, Timestamp};

use crate::attributes::{AnyValue, Attributes, KeyValue, cut};
use crate::map::Rejected;
use crate::plain;

/// Who the agent is.
const AGENT: &[&str] = &["gen_ai.agent.name", "agent.name"];
/// What ties a run to others, as far as its root span states it.
const ROOT_METADATA: &[&str] = &[
    "deployment.environment.name",
    "gen_ai.agent.id",
    "gen_ai.agent.version",
    "gen_ai.conversation.id",
    "gen_ai.workflow.name",
    "session.id",
    "user.id",
];
/// What a description holds beside its metadata, generously.
const ROOM_BYTES: usize = 4_096;

/// What the spans of one resource say about each of their runs.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) topic: String,
    agent_id: Option<String>,
    metadata: JsonObject,
}

impl Resource {
    /// Takes sorted attributes.
    pub(crate) fn new(attributes: &[KeyValue<'_>], schema_url: &str) -> Result<Self, Rejected> {
        let schema_url = AnyValue::String(schema_url.into());
        // Last, so that an attribute of that name goes before it.
        let schema = Some(("schemaUrl", &schema_url)).filter(|(_, url)| url.as_text().is_some());
        let mut metadata = Vec::new();
        plain::write_object(&mut metadata, plain::pairs(attributes).chain(schema));
        if metadata.len() > OP_BYTES_MAX as usize - ROOM_BYTES {
            let detail = format!("the resource's attributes have more than {OP_BYTES_MAX} bytes");
            return Err(Rejected::new(InvalidCode::TooLarge, detail));
        }
        let attributes = Attributes::sorted(attributes);
        let service = attributes.text(&["service.name"]).unwrap_or("unknown_service");
        Ok(Self {
            topic: cut(&format!("resource/{service}"), NAME_BYTES_MAX).to_owned(),
            agent_id: agent_id(attributes),
            metadata: object(metadata)?,
        })
    }

    /// What it says about one run.
    pub(crate) fn describe(&self, run_id: RunId) -> DescribeRun {
        DescribeRun {
            run_id,
            topic: self.topic.clone(),
            agent_id: self.agent_id.clone(),
            goal: None,
            started_at: None,
            ended_at: None,
            metadata: self.metadata.clone(),
            redacted: None,
        }
    }
}

/// What a root span says about its run. It waits for the end, since the first description under a topic stays.
pub(crate) fn root(
    run_id: RunId,
    name: &str,
    started_at: Option<Timestamp>,
    ended_at: Timestamp,
    attributes: Attributes<'_, '_>,
) -> Result<DescribeRun, Rejected> {
    let mut metadata = Vec::new();
    plain::write_object(
        &mut metadata,
        ROOT_METADATA.iter().filter_map(|key| attributes.get(key).map(|value| (*key, value))),
    );
    // Beyond all reason for ids: what they say stays in `otel` alone.
    let metadata = if metadata.len() > ROOM_BYTES { JsonObject::default() } else { object(metadata)? };
    Ok(DescribeRun {
        run_id,
        topic: "root".to_owned(),
        agent_id: agent_id(attributes),
        goal: Some(cut(name, NAME_BYTES_MAX).to_owned()).filter(|goal| !goal.is_empty()),
        started_at,
        ended_at: Some(ended_at),
        metadata,
        redacted: None,
    })
}

fn agent_id(attributes: Attributes<'_, '_>) -> Option<String> {
    attributes.text(AGENT).map(|name| cut(name, NAME_BYTES_MAX).to_owned())
}

/// Text of an object that this crate's writers wrote.
pub(crate) fn object(text: Vec<u8>) -> Result<JsonObject, Rejected> {
    JsonObject::new(plain::canonical(text)).map_err(Rejected::from)
}
