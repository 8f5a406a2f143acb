//! From the start of the process to its first answer.

use crate::large::Large;
use crate::measure::{Spread, ms};
use crate::records::fresh;
use crate::report::{Bar, Report};
use crate::server::Server;
use crate::{Asked, Result};

pub(crate) fn start(asked: &Asked, report: &mut Report) -> Result<()> {
    report.table("Start to ready", &["ledger", "ms from exec to a 200 of /readyz", "bar"]);
    let mut ledgers = vec![("new".to_owned(), None), ("100,000 traces".to_owned(), Some(100_000))];
    if asked.full {
        ledgers.push(("1,000,000 traces".to_owned(), Some(1_000_000)));
    }
    for (what, traces) in ledgers {
        let mut times = Vec::new();
        for _ in 0..asked.rounds.max(5) {
            let path = match traces {
                None => fresh(asked, "start"),
                Some(traces) => Large::of(asked, traces)?.ledger,
            };
            let server = Server::start(&asked.binary, &path)?;
            times.push(server.ready.as_secs_f64() * 1e6);
        }
        let times = Spread::of(times);
        let bar = report.judge(&format!("start, {what}"), times.median, Bar::AtMost(100_000.0), ms);
        report.row(&[what, times.show(ms), bar]);
    }
    Ok(())
}
