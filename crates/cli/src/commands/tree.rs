//! `tracekeep tree`.

use tracekeep_core::model::TraceType;
use tracekeep_core::view::{Trace, TreeNode};
use tracekeep_core::wire::to_json;
use tracekeep_store::{PageRequest, TreeQuery, block_on};

use crate::args::Tree;
use crate::config::Config;
use crate::exit::{Done, Outcome};
use crate::open;
use crate::print::{brief, data, json, talk};

/// Levels that are indented; what lies deeper is marked with its depth instead.
const INDENT_LEVELS_MAX: u32 = 40;

pub(crate) fn tree(config: &Config, args: Tree) -> Outcome {
    let ledger = open::reading(config)?;
    let mut query = TreeQuery { root: args.root, depth: args.depth, page: PageRequest::first(1_000) };
    let mut shown = 0u64;
    loop {
        let page = block_on(ledger.tree(&args.run, &query))?;
        for node in &page.items {
            shown += 1;
            if config.json { json(&to_json(node))? } else { data(&line(node))? }
        }
        match page.next_cursor {
            Some(cursor) => query.page.cursor = Some(cursor),
            None => break,
        }
    }
    if shown == 0 {
        talk("no traces");
    }
    Ok(Done::Yes)
}

fn line(node: &TreeNode) -> String {
    let indent = "  ".repeat(node.depth.min(INDENT_LEVELS_MAX) as usize);
    let deep = if node.depth > INDENT_LEVELS_MAX { format!("[{}] ", node.depth) } else { String::new() };
    let Some(trace) = &node.trace else {
        let id = node.missing.as_ref().map(ToString::to_string).unwrap_or_default();
        return format!("{indent}{deep}(missing {id})");
    };
    let mut marks = String::new();
    for (mark, holds) in [(" late", trace.late), (" orphan", trace.orphan)] {
        if holds {
            marks.push_str(mark);
        }
    }
    let duration = trace.ended_at.map(|at| {
        let took = tracekeep_core::amount::DurationMs::between(trace.occurred_at, at);
        format!(" {:.1} ms", took.as_ms())
    });
    format!(
        "{indent}{deep}{} {} [{}{}{marks}] {}",
        brief(trace.trace_type.type_name(), 40),
        summary(trace),
        trace.status,
        duration.unwrap_or_default(),
        trace.id
    )
}

/// What a trace says, in a few words, and what went wrong.
pub(super) fn summary(trace: &Trace) -> String {
    let error = trace.error.as_ref().map(|error| format!(" ! {}", brief(error, 80)));
    format!("{}{}", said(trace), error.unwrap_or_default())
}

fn said(trace: &Trace) -> String {
    match &trace.trace_type {
        TraceType::ToolCall { tool_name, arguments, .. } => {
            format!("{}({})", brief(tool_name, 40), brief(arguments.as_str(), 60))
        }
        TraceType::Decision { question, chosen, .. } => format!("{} → {}", brief(question, 60), brief(chosen, 40)),
        TraceType::Query { query, .. } => brief(query, 80),
        TraceType::Thought { content, .. } => brief(content, 80),
        TraceType::Error { error_type, message, .. } => format!("{}: {}", brief(error_type, 40), brief(message, 60)),
        TraceType::Custom { data, .. } if data.is_null() => String::new(),
        TraceType::Custom { data, .. } => brief(data.as_str(), 80),
    }
}
