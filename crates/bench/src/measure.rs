//! Times and what is said of them.

use std::time::{Duration, Instant};

use crate::Result;

/// What a load came to.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Records a second.
    pub(crate) rate: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Cell {
    /// Of `count` records in `elapsed`, from the times that the calls took.
    pub(crate) fn of(count: usize, elapsed: Duration, mut calls_us: Vec<f64>) -> Self {
        calls_us.sort_by(f64::total_cmp);
        Self {
            rate: count as f64 / elapsed.as_secs_f64(),
            p50_us: percentile(&calls_us, 0.5),
            p99_us: percentile(&calls_us, 0.99),
        }
    }
}

/// Of sorted values.
pub(crate) fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Microseconds that something took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let began = Instant::now();
    let done = work();
    (began.elapsed().as_secs_f64() * 1e6, done)
}

/// Median, least and most of a few.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 0 && middle > 0 {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values.get(middle).copied().unwrap_or(f64::NAN)
        };
        let (min, max) = (values.first().copied(), values.last().copied());
        Self { median, min: min.unwrap_or(f64::NAN), max: max.unwrap_or(f64::NAN) }
    }

    /// Of one figure of each cell.
    pub(crate) fn over(cells: &[Cell], figure: impl Fn(&Cell) -> f64) -> Self {
        Self::of(cells.iter().map(figure))
    }

    /// Of the ratio of each pair: both sides of a pair were measured one after the other.
    pub(crate) fn ratio(ours: &[Cell], theirs: &[Cell], figure: impl Fn(&Cell) -> f64) -> Self {
        Self::of(ours.iter().zip(theirs).map(|(ours, theirs)| figure(ours) / figure(theirs)))
    }

    /// `median [min-max]`, each as `show` writes it.
    pub(crate) fn show(&self, show: impl Fn(f64) -> String) -> String {
        format!("{} [{}-{}]", show(self.median), show(self.min), show(self.max))
    }
}

/// A rate: 12,345.
pub(crate) fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 && digit.is_ascii_digit() {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A ratio: 0.93.
pub(crate) fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

/// Microseconds as milliseconds: 1.23.
pub(crate) fn ms(us: f64) -> String {
    format!("{:.2}", us / 1_000.0)
}

/// Microseconds: 12.3.
pub(crate) fn us(us: f64) -> String {
    format!("{us:.1}")
}

/// Calls of a pass, and of one that takes its time.
const CALLS: u64 = 150;
const CALLS_SLOW: usize = 3;
/// Microseconds after which a pass of slow calls ends.
const PASS_US: f64 = 400_000.0;

/// Two ways to read the same, warm: each key once, then pass by pass, beginning in turn. The medians of the passes.
pub(crate) fn paired(
    passes: usize,
    keys: u64,
    mut ours: impl FnMut(u64) -> Result<()>,
    mut theirs: impl FnMut(u64) -> Result<()>,
) -> Result<[Spread; 2]> {
    for key in 0..keys {
        ours(key)?;
        theirs(key)?;
    }
    let (mut of_ours, mut of_theirs) = (Vec::new(), Vec::new());
    for pass in 0..passes.max(3) {
        if pass % 2 == 0 {
            of_ours.push(median_call(keys, &mut ours)?);
            of_theirs.push(median_call(keys, &mut theirs)?);
        } else {
            of_theirs.push(median_call(keys, &mut theirs)?);
            of_ours.push(median_call(keys, &mut ours)?);
        }
    }
    Ok([Spread::of(of_ours), Spread::of(of_theirs)])
}

fn median_call(keys: u64, read: &mut impl FnMut(u64) -> Result<()>) -> Result<f64> {
    let (mut calls, mut all_us) = (Vec::new(), 0.0);
    for call in 0..keys.max(CALLS) {
        if all_us > PASS_US && calls.len() >= CALLS_SLOW {
            break;
        }
        let (us, done) = timed(|| read(call % keys));
        done?;
        all_us += us;
        calls.push(us);
    }
    calls.sort_by(f64::total_cmp);
    Ok(percentile(&calls, 0.5))
}
