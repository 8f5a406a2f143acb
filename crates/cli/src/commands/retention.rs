//! `tracekeep hold`, `tracekeep redact` and `tracekeep gc`.

use std::sync::Arc;

use tracekeep_core::model::{EraseRun, HoldOn, Op, ReleaseHold};
use tracekeep_core::wire::to_json;
use tracekeep_store::{GcReport, GcRequest, PageRequest, block_on, gc_with_held};

use super::record;
use crate::args::{Gc, Hold, Redact};
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{brief, data, json, table, talk};

pub(crate) fn hold(config: &Config, args: Hold) -> Outcome {
    if args.list {
        return list(config);
    }
    let (Some(on), Some(reason)) = (HoldOn::of(args.run.as_ref(), args.tag.as_deref()), args.reason) else {
        return Err(Failure::Usage("name a run or --tag TAG, and say why with --reason".to_owned()));
    };
    let (run_id, tag) = on.into_parts();
    let by = args.by.or_else(user);
    let op = if args.release {
        Op::ReleaseHold(ReleaseHold { run_id, tag, reason, by, redacted: None })
    } else {
        Op::Hold(tracekeep_core::model::Hold { run_id, tag, reason, by, redacted: None })
    };
    record::one(config, op)
}

fn list(config: &Config) -> Outcome {
    let ledger = open::reading(config)?;
    let (mut request, mut rows) = (PageRequest::first(1_000), Vec::new());
    loop {
        let page = block_on(ledger.holds(&request))?;
        for held in &page.items {
            if config.json {
                json(&to_json(held))?;
                continue;
            }
            let run = held.run_id.as_ref().map(|run_id| format!("run {run_id}"));
            let tag = held.tag.as_deref().map(|tag| format!("tag {}", brief(tag, 60)));
            rows.push(vec![
                run.or(tag).unwrap_or_default(),
                held.recorded_at.to_string()[..19].to_owned(),
                brief(held.by.as_deref().unwrap_or("-"), 24),
                brief(&held.reason, 60),
            ]);
        }
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    if rows.is_empty() && !config.json {
        talk("nothing is held");
    } else if !config.json {
        rows.insert(0, ["HELD", "SINCE", "BY", "WHY"].map(str::to_owned).to_vec());
        data(&table(&rows))?;
    }
    Ok(Done::Yes)
}

pub(crate) fn gc(config: &Config, args: Gc) -> Outcome {
    let by = args.by.or_else(user);
    if let Some(run_id) = args.run {
        let reason = args.reason.ok_or_else(|| Failure::Usage("say why with --reason".to_owned()))?;
        return erase(config, EraseRun { run_id, reason, by, redacted: None });
    }
    let (ledger, held, is_away) = if args.dry_run {
        (open::reading(config)?, None, false)
    } else {
        let fronted = open::fronted(config, false)?;
        let held = fronted.held_if_there()?;
        let is_away = held.is_none() && fronted.is_fronted()?;
        (Arc::clone(&fronted.ledger), held, is_away)
    };
    let mut request = GcRequest {
        older_than: args.older_than,
        dry_run: args.dry_run,
        reason: args.reason,
        by,
        ..GcRequest::default()
    };
    let mut whole: Option<GcReport> = None;
    loop {
        let mut part = match &held {
            Some(held) => block_on(gc_with_held(&*ledger, &**held, &request))?,
            None => block_on(ledger.gc(&request))?,
        };
        if is_away {
            part.left = part.erased;
        }
        request.cursor.clone_from(&part.next_cursor);
        let sum = match whole.take() {
            None => part,
            Some(before) => before.and(part),
        };
        if request.cursor.is_none() {
            return said(config, &sum);
        }
        if !args.dry_run {
            talk(&format!("{} runs erased so far", sum.erased));
        }
        whole = Some(sum);
    }
}

/// Erases one run, and says whose baseline it was: a walk passes such a run over, but here it was named.
fn erase(config: &Config, op: EraseRun) -> Outcome {
    let fronted = open::fronted(config, false)?;
    let ledger = &fronted.ledger;
    let (mut request, mut names) = (PageRequest::first(1_000), Vec::new());
    loop {
        let page = block_on(ledger.baselines(&request))?;
        names.extend(page.items.into_iter().filter(|one| one.run_id == op.run_id).map(|one| one.name));
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    let done = record::commit_one(config, &fronted, Op::EraseRun(op))?;
    for name in names {
        talk(&format!("baseline {name} stands for the run: a check against it is unverifiable until another is set"));
    }
    Ok(done)
}

fn said(config: &Config, report: &GcReport) -> Outcome {
    if config.json {
        json(&to_json(report))?;
    } else {
        let done = if report.dry_run { "would be erased" } else { "erased" };
        let mut rows = vec![
            vec![done.to_owned(), format!("{} runs of {} entries", report.erased, report.entries)],
            vec!["ended before".to_owned(), report.before.to_string()],
            vec!["held".to_owned(), report.held.to_string()],
            vec!["baselines".to_owned(), report.baselines.to_string()],
            vec!["still running".to_owned(), report.running.to_string()],
        ];
        if report.failed > 0 {
            rows.push(vec!["failed".to_owned(), format!("{}: see tracekeep fsck", report.failed)]);
        }
        if report.left > 0 {
            let left = format!(
                "{} runs: what Redis holds of their audits was not dropped, and ends with its ttl",
                report.left
            );
            rows.push(vec!["left".to_owned(), left]);
        }
        if let (Some(freed), Some(now)) = (report.freed_bytes, report.file_bytes) {
            rows.push(vec!["given back".to_owned(), format!("{freed} bytes; the file has {now} now")]);
        }
        data(&table(&rows))?;
    }
    Ok(if report.failed > 0 { Done::Findings } else { Done::Yes })
}

pub(crate) fn redact(config: &Config, args: Redact) -> Outcome {
    let Redact { run, step, trace, members, reason, by } = args;
    let by = by.or_else(user);
    let op = tracekeep_core::model::Redact { run_id: run, step, trace, members, reason, by, redacted: None };
    record::one(config, Op::Redact(op))
}

/// Who asks, as the system names them.
pub(super) fn user() -> Option<String> {
    let named = |name: &str| std::env::var(name).ok().filter(|user| (1..=256).contains(&user.len()));
    named("USER").or_else(|| named("LOGNAME")).or_else(of_uid)
}

/// The name of the process's user, where the machine's own list has it.
fn of_uid() -> Option<String> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid && (1..=256).contains(&name.len())).then(|| name.to_owned())
    })
}
