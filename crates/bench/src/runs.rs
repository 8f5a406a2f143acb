//! Lists of runs by each attribute, first page and page 1,000, and one run with its steps; beside them SQL alone on the
//! ledger's own file.

use std::path::PathBuf;

use rusqlite::ToSql;
use tracekeep_core::amount::Cost;
use tracekeep_core::hash::{Hash, plan_hash};
use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::model::{CompleteRun, FinalStatus, JsonObject, Op, RecordStep, RunStatus, StartRun};
use tracekeep_core::view::Run;
use tracekeep_core::{TimeRange, Timestamp};
use tracekeep_store::{Batch, Between, LedgerStore, Order, PageRequest, RunFilter, RunQuery, RunSort, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::measure::{Spread, paired, ratio, timed, us, whole};
use crate::plain::Plain;
use crate::records::committed;
use crate::report::{Bar, Report};
use crate::{Asked, Result};

/// A list of 50.
const LIST: Bar = Bar::AtMost(1_000.0);
/// A run and its 1,000 steps.
const WHOLE_RUN: Bar = Bar::AtMost(5_000.0);
/// A page far down, to the first.
const FLAT: Bar = Bar::AtMost(1.5);
const PAGE: u32 = 50;
/// Pages in front of the one that lies far down.
const DEEP: u64 = 999;
/// Values that are asked for of each attribute.
const KEYS: u64 = 150;
/// Runs of a commit while the ledger is filled.
const A_COMMIT: u64 = 4_000;
const STEPS: u32 = 1_000;
/// The first start; each later one a second after another.
const FIRST_NS: i64 = 1_767_225_600_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// A ledger of many runs.
struct Many {
    runs: u64,
    path: PathBuf,
    deep: u64,
}

pub(crate) fn runs(asked: &Asked, report: &mut Report) -> Result<()> {
    let runs = match asked {
        Asked { full: true, .. } => 1_000_000,
        Asked { quick: true, .. } => 20_000,
        _ => 120_000,
    };
    let many = Many { runs, path: asked.directory.join("runs.db"), deep: DEEP.min(runs / 500) };
    println!("  filling a ledger of {runs} runs");
    let (took_us, filled) = timed(|| many.fill());
    filled?;
    println!("  filled in {:.0} s", took_us / 1e6);
    let ledger = SqliteLedger::open(&many.path, Options::default())?;
    let plain = Plain::open(&many.path)?;
    let title = format!(
        "Lists of 50 among {} runs, newest first, warm, through the library, µs (median of a pass)",
        whole(runs as f64)
    );
    let far = format!("page {}", many.deep + 1);
    report.table(&title, &["list", "first page", "bar", "SQL alone", "times SQL", &far, "to the first", "bar"]);
    for list in many.lists(&ledger)? {
        list.measure(asked, report, &many, &ledger, &plain)?;
    }
    counts(asked, report, &ledger)?;
    whole_run(asked, report, &ledger, &plain)
}

impl Many {
    fn fill(&self) -> Result<()> {
        let ledger = SqliteLedger::open(&self.path, Options::default())?;
        let mut n = 0;
        while n < self.runs {
            let end = self.runs.min(n + A_COMMIT);
            let ops = (n..end).map(|n| self.run(n)).collect::<Result<Vec<_>>>()?;
            committed(&ledger, ops.into_iter().map(Batch::of).collect())?;
            n = end;
        }
        let big: RunId = "big".parse()?;
        committed(
            &ledger,
            vec![Batch::one(Op::StartRun(StartRun { run_id: Some(big.clone()), ..StartRun::default() }))],
        )?;
        let steps = (0..STEPS).map(|index| {
            let params = Json::parse(&format!(
                r#"{{"q":"FRA-LIS","page":{index},"sort":"price","filters":["direct","refundable"]}}"#
            ))?;
            let mut step = RecordStep::new(big.clone(), index, "search", params);
            step.outcome_data = Some(Json::parse(&format!(r#"{{"hits":{index},"cheapest":"129.{index}"}}"#))?);
            Ok(Batch::one(Op::RecordStep(step)))
        });
        committed(&ledger, steps.collect::<Result<_>>()?)?;
        committed(&ledger, vec![Batch::one(Op::CompleteRun(CompleteRun::new(big, FinalStatus::Completed)))])?;
        Ok(ledger.close()?)
    }

    /// A run of ten by correlation, twenty by parent, fifty by agent and tag; every second is sealed, every fourth with a
    /// step that cost something.
    fn run(&self, n: u64) -> Result<Vec<Op>> {
        let run_id: RunId = format!("run-{n}").parse()?;
        let plan = Json::parse(&format!(r#"{{"skill":"search","n":{}}}"#, n % 50))?;
        let start = StartRun {
            run_id: Some(run_id.clone()),
            correlation_id: Some(format!("c-{}", n / 10).parse()?),
            parent_run_id: (!n.is_multiple_of(20)).then(|| format!("run-{}", n - n % 20).parse()).transpose()?,
            agent_id: Some(if n.is_multiple_of(2) {
                "common".to_owned()
            } else {
                format!("agent-{}", n / 2 % (self.runs / 100))
            }),
            goal: Some(format!("find flights from Frankfurt to Lisbon, case {n}")),
            plan: Some(vec![JsonObject::new(plan)?]),
            seed: (n % 100).cast_signed(),
            tags: vec!["prod".to_owned(), format!("tag-{}", n % (self.runs / 50))],
            started_at: Some(self.started_at(n)),
            ..StartRun::default()
        };
        let mut ops = vec![Op::StartRun(start)];
        if n.is_multiple_of(4) {
            let mut step = RecordStep::new(run_id.clone(), 0, "search", Json::parse(r#"{"q":"FRA-LIS"}"#)?);
            step.cost_cents = (1 + n % 5_000).to_string().parse()?;
            ops.push(Op::RecordStep(step));
        }
        if n.is_multiple_of(2) {
            ops.push(Op::CompleteRun(CompleteRun::new(run_id, FinalStatus::Completed)));
        }
        Ok(ops)
    }

    /// Starts are scattered over the log.
    fn started_at(&self, n: u64) -> Timestamp {
        let second = n * 7_919 % self.runs;
        Timestamp::from_nanos(FIRST_NS + second.cast_signed() * SECOND_NS)
    }

    fn second(&self, key: u64) -> Timestamp {
        Timestamp::from_nanos(FIRST_NS + (key * self.runs / KEYS).cast_signed() * SECOND_NS)
    }

    fn lists(&self, ledger: &SqliteLedger) -> Result<Vec<List<'_>>> {
        let f = RunFilter::default;
        let text = |text: String| Some(text);
        // Runs over all of the ledger that are sealed, with a step.
        let spread = move |key: u64| key * self.runs / KEYS / 4 * 4;
        let sealed = (0..KEYS)
            .map(|key| -> Result<Run> {
                let run = block_on(ledger.run(&format!("run-{}", spread(key)).parse()?))?;
                run.ok_or_else(|| "a run is missing".into())
            })
            .collect::<Result<Vec<_>>>()?;
        let (roots, behaviours): (Vec<_>, Vec<_>) =
            sealed.into_iter().map(|run| (run.root_hash, run.behaviour_hash)).unzip();
        let by_root = move |key: u64| RunFilter { root_hash: roots[key as usize], ..f() };
        let by_behaviour = move |key: u64| RunFilter { behaviour_hash: behaviours[key as usize], ..f() };
        let plan = |key: u64| Some(plan_hash(&format!(r#"[{{"n":{},"skill":"search"}}]"#, key % 50)));
        Ok(vec![
            List { has_many: true, ..list("all", Box::new(move |_| f()), by("run_by_start", "1"), |_| vec![]) },
            List {
                has_many: true,
                ..list(
                    "by status",
                    Box::new(move |_| RunFilter { status: Some(RunStatus::Running), ..f() }),
                    by("run_by_status", "r.status = 0"),
                    |_| vec![],
                )
            },
            list(
                "by status, older than a time",
                Box::new(move |key| {
                    let time = TimeRange::new(None, Some(self.second(key + 1)));
                    RunFilter { status: Some(RunStatus::Running), time, ..f() }
                }),
                by("run_by_status", "r.status = 0 AND r.started_at < ?1"),
                |filter| vec![Box::new(filter.time.to().map(Timestamp::as_nanos))],
            ),
            list(
                "by a time range",
                Box::new(move |key| {
                    let from = self.second(key);
                    RunFilter { time: TimeRange::new(Some(from), Some(from.saturating_add(100 * SECOND_NS))), ..f() }
                }),
                by("run_by_start", "r.started_at >= ?1 AND r.started_at < ?2"),
                |filter| {
                    vec![
                        Box::new(filter.time.first().as_nanos()) as Box<dyn ToSql>,
                        Box::new(filter.time.last().as_nanos() + 1),
                    ]
                },
            ),
            list(
                "by agent, 50 hits",
                Box::new(move |key| RunFilter { agent: text(format!("agent-{key}")), ..f() }),
                by("run_by_agent", "r.agent = ?1"),
                |filter| vec![Box::new(filter.agent.clone())],
            ),
            List {
                has_many: true,
                ..list(
                    "by agent, half of all",
                    Box::new(move |_| RunFilter { agent: text("common".to_owned()), ..f() }),
                    by("run_by_agent", "r.agent = 'common'"),
                    |_| vec![],
                )
            },
            list(
                "by correlation, 10 hits",
                Box::new(move |key| RunFilter { correlation: text(format!("c-{}", spread(key) / 10)), ..f() }),
                by("run_by_correlation", "r.correlation = ?1"),
                |filter| vec![Box::new(filter.correlation.clone())],
            ),
            list(
                "by parent, 19 hits",
                Box::new(move |key| RunFilter { parent: text(format!("run-{}", spread(key) / 20 * 20)), ..f() }),
                by("run_by_parent", "r.parent = ?1"),
                |filter| vec![Box::new(filter.parent.clone())],
            ),
            list(
                "by tag, 50 hits",
                Box::new(move |key| RunFilter { tag: text(format!("tag-{key}")), ..f() }),
                BY_TAG.to_owned(),
                |filter| vec![Box::new(filter.tag.clone())],
            ),
            List {
                has_many: true,
                ..list(
                    "by tag, all of them",
                    Box::new(move |_| RunFilter { tag: text("prod".to_owned()), ..f() }),
                    BY_TAG.to_owned(),
                    |filter| vec![Box::new(filter.tag.clone())],
                )
            },
            list(
                "by plan hash",
                Box::new(move |key| RunFilter { plan_hash: plan(key), ..f() }),
                by("run_by_plan", "r.plan_hash = ?1"),
                |filter| vec![Box::new(bytes(filter.plan_hash.as_ref()))],
            ),
            list(
                "by plan hash and seed",
                Box::new(move |key| {
                    let key = key % 100;
                    RunFilter { plan_hash: plan(key), seed: Some(key.cast_signed()), ..f() }
                }),
                by("run_by_plan_and_seed", "r.plan_hash = ?1 AND r.seed = ?2"),
                |filter| {
                    let hash = bytes(filter.plan_hash.as_ref());
                    vec![Box::new(hash) as Box<dyn ToSql>, Box::new(filter.seed)]
                },
            ),
            list(
                "by seed",
                Box::new(move |key| RunFilter { seed: Some((key % 100).cast_signed()), ..f() }),
                by("run_by_seed", "r.seed = ?1"),
                |filter| vec![Box::new(filter.seed)],
            ),
            list("by root hash", Box::new(by_root), by("run_by_root", "r.root_hash = ?1"), |filter| {
                vec![Box::new(bytes(filter.root_hash.as_ref()))]
            }),
            list(
                "by behaviour hash",
                Box::new(by_behaviour),
                by("run_by_behaviour", "r.behaviour_hash = ?1"),
                |filter| vec![Box::new(bytes(filter.behaviour_hash.as_ref()))],
            ),
            List {
                has_many: true,
                sort: Some((RunSort::Cost, Order::Newest)),
                ..list("by cost, the greatest first", Box::new(move |_| f()), by_cost("1", "DESC"), |_| vec![])
            },
            List {
                has_many: true,
                sort: Some((RunSort::Cost, Order::Oldest)),
                ..list("by cost, a quarter of all cost the same", Box::new(move |_| f()), by_cost("1", ""), |_| vec![])
            },
            list(
                "by a range of costs",
                Box::new(move |key| {
                    let cost = |cents: u64| cents.to_string().parse().ok();
                    RunFilter { cost: Between { least: cost(key * 30), most: cost(key * 30 + 200) }, ..f() }
                }),
                by_cost("r.cost >= ?1 AND r.cost <= ?2", "DESC"),
                |filter| {
                    let bound = |cost: Option<Cost>| cost.map(Cost::as_micro_cents);
                    vec![Box::new(bound(filter.cost.least)) as Box<dyn ToSql>, Box::new(bound(filter.cost.most))]
                },
            ),
        ])
    }
}

type Values = fn(&RunFilter) -> Vec<Box<dyn ToSql>>;

/// One list.
struct List<'a> {
    what: &'static str,
    filter: Box<dyn Fn(u64) -> RunFilter + 'a>,
    sort: Option<(RunSort, Order)>,
    /// SQL that finds the same runs' first entries, and copies them out.
    sql: String,
    values: Values,
    /// Whether it is long enough for a page far down.
    has_many: bool,
}

fn list<'a>(what: &'static str, filter: Box<dyn Fn(u64) -> RunFilter + 'a>, sql: String, values: Values) -> List<'a> {
    List { what, filter, sort: None, sql, values, has_many: false }
}

fn bytes(hash: Option<&Hash>) -> Option<Vec<u8>> {
    hash.map(|hash| hash.as_bytes().to_vec())
}

fn by(index: &str, condition: &str) -> String {
    format!(
        "SELECT e.body FROM run r INDEXED BY {index} CROSS JOIN entry e ON e.log_index = r.run_no WHERE {condition} \
         ORDER BY r.started_at DESC, r.run_no DESC LIMIT {PAGE}"
    )
}

fn by_cost(condition: &str, way: &str) -> String {
    format!(
        "SELECT e.body FROM run r INDEXED BY run_by_cost CROSS JOIN entry e ON e.log_index = r.run_no \
         WHERE r.cost IS NOT NULL AND {condition} ORDER BY r.cost {way}, r.run_no {way} LIMIT {PAGE}"
    )
}

const BY_TAG: &str = "SELECT e.body FROM run_tag g CROSS JOIN entry e ON e.log_index = g.run_no WHERE g.tag = ?1 \
                      ORDER BY g.started_at DESC, g.run_no DESC LIMIT 50";

impl List<'_> {
    fn query(&self, key: u64) -> RunQuery {
        let (sort, order) = self.sort.unzip();
        let page = PageRequest::first(PAGE);
        RunQuery { filter: (self.filter)(key), sort, order: order.unwrap_or(Order::Newest), page }
    }

    fn measure(
        &self,
        asked: &Asked,
        report: &mut Report,
        many: &Many,
        ledger: &SqliteLedger,
        plain: &Plain,
    ) -> Result<()> {
        let queries: Vec<_> = (0..KEYS).map(|key| self.query(key)).collect();
        let values: Vec<_> = queries.iter().map(|query| (self.values)(&query.filter)).collect();
        let found = |key: u64| -> Result<u64> {
            let values: Vec<&dyn ToSql> = values[key as usize].iter().map(AsRef::as_ref).collect();
            plain.bodies(&self.sql, &values)
        };
        let hits = (0..KEYS).map(found).collect::<Result<Vec<_>>>()?;
        if hits.contains(&0) {
            return Err(format!("{}: SQL finds nothing", self.what).into());
        }
        let read = |query: &RunQuery, hits: u64| -> Result<()> {
            let items = block_on(ledger.runs(query))?.items.len() as u64;
            if items == hits { Ok(()) } else { Err(format!("{}: {items} of {hits}", self.what).into()) }
        };
        let [first, sql] = paired(
            asked.rounds,
            KEYS,
            |key| read(&queries[key as usize], hits[key as usize]),
            |key| found(key).map(drop),
        )?;
        let mut cells = self.cells(report, first, sql);
        cells.extend(if self.has_many {
            let far = far_down(ledger, &queries[0], many.deep)?;
            let [far, near] = paired(asked.rounds, 1, |_| read(&far, PAGE.into()), |_| read(&queries[0], PAGE.into()))?;
            let to_first = far.median / near.median;
            let bar = report.judge(&format!("runs {}, far down to the first page", self.what), to_first, FLAT, ratio);
            [far.show(us), ratio(to_first), bar]
        } else {
            ["-", "-", "-"].map(str::to_owned)
        });
        report.row(&cells);
        Ok(())
    }

    fn cells(&self, report: &mut Report, ours: Spread, sql: Spread) -> Vec<String> {
        let bar = report.judge(&format!("runs {}", self.what), ours.median, LIST, us);
        vec![self.what.to_owned(), ours.show(us), bar, sql.show(us), ratio(ours.median / sql.median)]
    }
}

/// The query for the page after so many pages.
fn far_down(ledger: &SqliteLedger, query: &RunQuery, pages: u64) -> Result<RunQuery> {
    let mut query = query.clone();
    for _ in 0..pages {
        query.page.cursor = block_on(ledger.runs(&query))?.next_cursor;
        if query.page.cursor.is_none() {
            return Err("the list is shorter than it should be".into());
        }
    }
    Ok(query)
}

fn counts(asked: &Asked, report: &mut Report, ledger: &SqliteLedger) -> Result<()> {
    let count = |filter: &RunFilter| -> Result<()> {
        let count = block_on(ledger.run_count(filter))?;
        if count.complete { Ok(()) } else { Err("a count that is kept is complete".into()) }
    };
    let running = RunFilter { status: Some(RunStatus::Running), ..RunFilter::default() };
    let [all, of_status] = paired(asked.rounds, 1, |_| count(&RunFilter::default()), |_| count(&running))?;
    let agent = RunFilter { agent: Some("common".to_owned()), ..RunFilter::default() };
    let text = RunFilter { text: Some("nowhere".to_owned()), ..RunFilter::default() };
    let [walked, read] = paired(
        asked.rounds,
        1,
        |_| Ok(block_on(ledger.run_count(&agent)).map(|_| ())?),
        |_| Ok(block_on(ledger.run_count(&text)).map(|_| ())?),
    )?;
    report.note(&format!(
        "Counts: all {} µs, of a status {} µs. A count to the end of its budget: 10,000 rows {} µs, 3,333 goals {} µs.",
        all.show(us),
        of_status.show(us),
        walked.show(us),
        read.show(us)
    ));
    Ok(())
}

fn whole_run(asked: &Asked, report: &mut Report, ledger: &SqliteLedger, plain: &Plain) -> Result<()> {
    let big: RunId = "big".parse()?;
    let run = block_on(ledger.run(&big))?.ok_or("the run with steps is missing")?;
    let sql =
        "SELECT e.body FROM step s CROSS JOIN entry e ON e.log_index = s.log_index WHERE s.run_no = ?1 ORDER BY s.idx";
    let number = run.log_index.cast_signed();
    let [ours, sql] = paired(
        asked.rounds,
        1,
        |_| {
            let run = block_on(ledger.run(&big))?;
            let steps = block_on(ledger.steps(&big, &PageRequest::first(STEPS)))?.items.len();
            if run.is_some() && steps == STEPS as usize { Ok(()) } else { Err("steps are missing".into()) }
        },
        |_| plain.bodies(sql, &[&number]).map(drop),
    )?;
    let columns = ["read", "Tracekeep", "bar", "SQL alone", "times SQL"];
    report.table("A run with its 1,000 steps, warm, through the library, µs (median of a pass)", &columns);
    let bar = report.judge("a run with 1,000 steps", ours.median, WHOLE_RUN, us);
    let times = ratio(ours.median / sql.median);
    report.row(&["get_run and get_steps".to_owned(), ours.show(us), bar, sql.show(us), times]);
    Ok(())
}
