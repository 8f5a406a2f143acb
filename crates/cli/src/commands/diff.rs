//! `tracekeep diff`.

use tracekeep_core::compare::{
    Change, ComparedRun, Comparison, Difference, DivergenceProof, FieldDifference, Level, Obstacle, Part, Verdict,
};
use tracekeep_core::id::RunId;
use tracekeep_core::json::{Json, Value};
use tracekeep_core::wire::to_json;
use tracekeep_store::{CompareQuery, Error, ErrorKind, LedgerStore, PageRequest, block_on};

use crate::args::Diff;
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{brief, data, json, plain, talk};

/// Characters of a value that a line shows.
const VALUE_CHARACTERS: usize = 160;

pub(crate) fn diff(config: &Config, args: Diff) -> Outcome {
    let query = CompareQuery {
        level: if args.behaviour { Level::Behaviour } else { Level::Exact },
        proof: args.proof,
        page: PageRequest { limit: args.limit, cursor: args.cursor },
    };
    let ledger = open::reading(config)?;
    let compared = compare(&*ledger, &args.a, &args.b, &query)?;
    show(config, &compared)?;
    Ok(done(compared.verdict, args.behaviour))
}

/// Compares; a run that is not there leaves nothing to say, which is not the same as a difference.
pub(crate) fn compare(
    ledger: &dyn LedgerStore,
    a: &RunId,
    b: &RunId,
    query: &CompareQuery,
) -> Result<Comparison, Failure> {
    block_on(ledger.compare(a, b, query)).map_err(unverifiable)
}

pub(crate) fn unverifiable(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Gone => Failure::Unverifiable(error),
        _ => Failure::Store(error),
    }
}

pub(crate) fn done(verdict: Verdict, behaviour: bool) -> Done {
    match verdict {
        Verdict::Identical => Done::Yes,
        Verdict::SameBehaviour if behaviour => Done::Yes,
        Verdict::SameBehaviour | Verdict::Diverged => Done::Findings,
        Verdict::Unverifiable => Done::Unverifiable,
    }
}

pub(crate) fn show(config: &Config, compared: &Comparison) -> Result<(), Failure> {
    if config.json {
        return json(&to_json(compared));
    }
    data(&text(compared))?;
    if let Some(cursor) = &compared.next_cursor {
        talk(&format!("more: --cursor {}", plain(cursor)));
    }
    Ok(())
}

fn text(compared: &Comparison) -> String {
    let (a, b) = (&compared.a, &compared.b);
    let mut lines = vec![verdict(compared)];
    lines.push(format!("  a  {}", run(a)));
    lines.push(format!("  b  {}", run(b)));
    for hindered in &compared.obstacles {
        lines.push(format!("  {}: {}", hindered.run_id, because(hindered.reason)));
    }
    for difference in &compared.differences {
        lines.push(String::new());
        lines.push(heading(difference));
        difference.fields.iter().for_each(|field| lines.extend(values(field)));
    }
    lines.extend(compared.proof.iter().flat_map(proof));
    lines.join("\n")
}

fn verdict(compared: &Comparison) -> String {
    let place = compared.first_divergence.as_ref().map(|first| match (first.part, first.step) {
        (Part::Step, Some(step)) => format!("at step {step}"),
        (Part::End, _) => "at the end: every step is the same".to_owned(),
        _ => "before the first step".to_owned(),
    });
    let place = place.unwrap_or_default();
    match compared.verdict {
        Verdict::Identical => "identical".to_owned(),
        Verdict::SameBehaviour => format!("same behaviour; what came back differs first {place}"),
        Verdict::Diverged => format!("diverged {place}"),
        Verdict::Unverifiable => "unverifiable".to_owned(),
    }
}

fn run(run: &ComparedRun) -> String {
    let root =
        run.root_hash.map_or_else(|| "no root hash".to_owned(), |root| format!("root {}", &root.to_string()[..16]));
    match run.status {
        Some(status) => format!("{}  {status}, {} steps, {root}", run.run_id, run.steps),
        None => format!("{}  erased", run.run_id),
    }
}

const fn because(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::NotSealed => "is not sealed: complete it first",
        Obstacle::Erased => "was erased",
        Obstacle::NothingHashed => "has neither steps nor a plan, so that nothing it did is compared",
        Obstacle::Redacted => "something that its hashes cover was redacted",
    }
}

fn heading(difference: &Difference) -> String {
    match (difference.part, difference.step) {
        (Part::Step, Some(step)) => match difference.change {
            Change::Changed => format!("step {step}"),
            Change::Deleted => format!("step {step}  only in a"),
            Change::Inserted => format!("step {step}  only in b"),
        },
        (Part::End, _) => "end".to_owned(),
        _ => "start".to_owned(),
    }
}

/// A member's two values, each on its line. Of large JSON the place where it differs is shown.
fn values(field: &FieldDifference) -> Vec<String> {
    let (place, a, b) = match (&field.a, &field.b) {
        (Some(a), Some(b)) => narrow(a, b),
        (a, b) => (String::new(), a.clone(), b.clone()),
    };
    let shown = |value: Option<Json>| value.map(|value| brief(value.as_str(), VALUE_CHARACTERS));
    let name = format!("  {}{}", field.field, brief(&place, VALUE_CHARACTERS));
    let mut lines = vec![name];
    lines.extend(shown(a).map(|value| format!("    a  {value}")));
    lines.extend(shown(b).map(|value| format!("    b  {value}")));
    lines
}

/// The innermost place that holds all that differs between two values, as a JSON Pointer, and what stands there.
fn narrow(a: &Json, b: &Json) -> (String, Option<Json>, Option<Json>) {
    let (a_value, b_value) = (a.value(), b.value());
    let (mut path, mut at) = (String::new(), (&a_value, &b_value));
    loop {
        let one = match at {
            (Value::Object(a), Value::Object(b)) => {
                let names: Vec<_> = a.iter().map(|(name, _)| name).collect();
                let more = b.iter().map(|(name, _)| name).filter(|name| a.get(name).is_none());
                let differing = names.into_iter().chain(more).filter(|name| a.get(name) != b.get(name));
                let differing: Vec<_> = differing.take(2).collect();
                match differing[..] {
                    [name] => {
                        Some((format!("/{}", name.replace('~', "~0").replace('/', "~1")), a.get(name), b.get(name)))
                    }
                    _ => None,
                }
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                let differing: Vec<_> = (0..a.len()).filter(|at| a[*at] != b[*at]).take(2).collect();
                match differing[..] {
                    [at] => Some((format!("/{at}"), a.get(at), b.get(at))),
                    _ => None,
                }
            }
            _ => None,
        };
        match one {
            Some((step, Some(a), Some(b))) => {
                path.push_str(&step);
                at = (a, b);
            }
            Some((step, a, b)) => {
                path.push_str(&step);
                return (path, a.map(Value::to_json), b.map(Value::to_json));
            }
            None => return (path, Some(at.0.to_json()), Some(at.1.to_json())),
        }
    }
}

fn proof(proof: &DivergenceProof) -> Vec<String> {
    let mut lines = vec![String::new(), format!("proof, {} tree, leaf {}", proof.level, proof.leaf_index)];
    for (name, leaf) in [("a", &proof.a), ("b", &proof.b)] {
        lines.push(format!("  {name}  leaf {} of {} under root {}", leaf.leaf_hash, leaf.tree_size, leaf.root));
        lines.extend(leaf.hashes.iter().map(|hash| format!("     {hash}")));
    }
    lines
}
