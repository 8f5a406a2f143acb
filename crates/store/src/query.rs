//! Queries, pages and cursors.

mod incidents;
mod runs;

pub use incidents::{IncidentFilter, IncidentIndex, IncidentQuery};
pub use runs::{Between, RunFilter, RunIndex, RunQuery, RunSort};

use tracekeep_core::TimeRange;
use tracekeep_core::compare::Level;
use tracekeep_core::hash::sha256;
use tracekeep_core::id::TraceId;
use tracekeep_core::limits::{
    PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, TAGS_MAX, TEXT_QUERY_BYTES_MAX, TEXT_QUERY_WORDS_MAX, TRACE_IDS_MAX,
};
use tracekeep_core::model::TraceStatus;
use tracekeep_core::wire::words;

use crate::error::{Code, Error, Result};
use crate::words::Words;

words! {
    /// The direction of a list.
    pub enum Order {
        /// Ascending by time.
        Oldest = "oldest",
        /// Descending by time.
        Newest = "newest",
    }
}

/// How many items, from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Items at most: 1 to 1,000, 50 unless told.
    pub limit: u32,
    /// Where the page before ended: its `next_cursor`, made by the same query.
    pub cursor: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: PAGE_ITEMS_DEFAULT, cursor: None }
    }
}

impl PageRequest {
    /// The first page of `limit` items.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { limit, cursor: None }
    }

    /// Demands a limit of 1 to 1,000.
    ///
    /// # Errors
    /// `invalid_parameter`.
    pub fn check(&self) -> Result<()> {
        if (1..=PAGE_ITEMS_MAX).contains(&self.limit) {
            return Ok(());
        }
        Err(Error::new(Code::InvalidParameter, format!("limit is 1 to {PAGE_ITEMS_MAX}")).at("limit"))
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items; may be fewer than asked for, even none, while there is a next cursor.
    pub items: Vec<T>,
    /// What the next page starts from; `None` at the end.
    pub next_cursor: Option<String>,
    /// Whether the walk is over all that was recorded when it began. Only a search in texts may begin before its index has
    /// caught up with the log: it is then a walk over what the index had seen, to its last page. Begun again, it sees more.
    pub complete: bool,
}

impl<T> Page<T> {
    /// A page of all there is to look at.
    #[must_use]
    pub const fn of(items: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { items, next_cursor, complete: true }
    }
}

/// Which traces of a run; every attribute that is there must fit.
///
/// By one attribute, with any range of times, a page costs what it returns. Several together walk the one that fits the
/// fewest traces, [`SCAN_ROWS_MAX`](tracekeep_core::limits::SCAN_ROWS_MAX) rows a page at most: a page may then be short,
/// even empty, and have a cursor all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceFilter {
    /// One of these ids, 64 at most; any where there is none.
    pub ids: Vec<TraceId>,
    /// The type's name, or a Custom trace's own.
    pub type_name: Option<String>,
    /// Tags that it has, all of them; 64 at most.
    pub tags: Vec<String>,
    /// Tags of which it has at least one; 64 at most, any where there is none.
    pub any_tags: Vec<String>,
    /// The trace that it hangs on.
    pub parent: Option<TraceId>,
    /// Only those among the roots.
    pub roots: bool,
    /// How it stands.
    pub status: Option<TraceStatus>,
    /// When it began.
    pub time: TimeRange,
    /// Words that its text holds, all of them: see [`words`](crate::words).
    pub text: Option<String>,
}

impl TraceFilter {
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |path: &str, detail: String| Err(Error::new(Code::InvalidParameter, detail).at(path));
        if self.ids.len() > TRACE_IDS_MAX as usize {
            return refuse("id", format!("at most {TRACE_IDS_MAX} ids"));
        }
        for (tags, path) in [(&self.tags, "tag"), (&self.any_tags, "any_tag")] {
            if tags.len() > TAGS_MAX as usize {
                return refuse(path, format!("at most {TAGS_MAX} tags"));
            }
        }
        check_text(self.text.as_deref())
    }
}

fn check_text(text: Option<&str>) -> Result<()> {
    let refuse = |detail: String| Err(Error::new(Code::InvalidParameter, detail).at("text"));
    let Some(text) = text else { return Ok(()) };
    if text.len() > TEXT_QUERY_BYTES_MAX as usize {
        return refuse(format!("at most {TEXT_QUERY_BYTES_MAX} bytes"));
    }
    match Words::of_query(text).count() {
        0 => refuse("holds no word".to_owned()),
        count if count > TEXT_QUERY_WORDS_MAX as usize => {
            refuse(format!("at most {TEXT_QUERY_WORDS_MAX} words; each character of some scripts is one"))
        }
        _ => Ok(()),
    }
}

/// Which of the counters of a run's traces; all where none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountsQuery {
    /// Of this type.
    pub type_name: Option<String>,
    /// Of this tag.
    pub tag: Option<String>,
}

/// A list of traces, oldest first unless told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceQuery {
    /// Which.
    pub filter: TraceFilter,
    /// In which direction.
    pub order: Order,
    /// How many, from where.
    pub page: PageRequest,
}

impl Default for TraceQuery {
    fn default() -> Self {
        Self { filter: TraceFilter::default(), order: Order::Oldest, page: PageRequest::default() }
    }
}

/// A walk through a run's forest, in pre-order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeQuery {
    /// The trace to start from; the whole forest where absent.
    pub root: Option<TraceId>,
    /// Levels below the start that are shown; all where absent.
    pub depth: Option<u32>,
    /// How many nodes, from where.
    pub page: PageRequest,
}

/// A comparison of two runs, and a page of what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompareQuery {
    /// [`Level::Behaviour`]: of runs that diverged, only what of behaviour differs.
    pub level: Level,
    /// Whether the first divergence is to be proved: takes a pass over both runs' step rows.
    pub proof: bool,
    /// How many differences, from where.
    pub page: PageRequest,
}

impl Default for CompareQuery {
    fn default() -> Self {
        Self { level: Level::Exact, proof: false, page: PageRequest::default() }
    }
}

/// Where a walk goes on. Opaque outside: hex of a version, a check of the query, and the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The tree size of the walk's first page.
    pub(crate) as_of: u64,
    /// Two words of position; what they mean is the query's own.
    pub(crate) at: (i64, i64),
    /// A third: depth in a tree.
    pub(crate) depth: u32,
}

const CURSOR_VERSION: u8 = 1;
const CURSOR_BYTES: usize = 1 + 8 + 8 + 8 + 8 + 4;

impl Cursor {
    pub(crate) fn write(&self, query: &str) -> String {
        let mut bytes = vec![CURSOR_VERSION];
        bytes.extend_from_slice(&self.as_of.to_be_bytes());
        bytes.extend_from_slice(&self.at.0.to_be_bytes());
        bytes.extend_from_slice(&self.at.1.to_be_bytes());
        bytes.extend_from_slice(&self.depth.to_be_bytes());
        bytes.extend_from_slice(&check(&bytes, query));
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn read(text: &str, query: &str) -> Result<Self> {
        let refuse = || Error::new(Code::InvalidCursor, "the cursor was not made by this query").at("cursor");
        let digits: Vec<u8> = text
            .bytes()
            .map(|digit| match digit {
                b'0'..=b'9' => Ok(digit - b'0'),
                b'a'..=b'f' => Ok(digit - b'a' + 10),
                _ => Err(refuse()),
            })
            .collect::<Result<_>>()?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        if digits.len() != CURSOR_BYTES * 2 || bytes[0] != CURSOR_VERSION {
            return Err(refuse());
        }
        let (said, checked) = bytes.split_at(CURSOR_BYTES - 8);
        if checked != check(said, query) {
            return Err(refuse());
        }
        let word = |at: usize| -> [u8; 8] { said[at..at + 8].try_into().expect("invariant: eight bytes") };
        Ok(Self {
            as_of: u64::from_be_bytes(word(1)),
            at: (i64::from_be_bytes(word(9)), i64::from_be_bytes(word(17))),
            depth: u32::from_be_bytes(said[25..29].try_into().expect("invariant: four bytes")),
        })
    }
}

/// Binds a cursor to its query, so that one of another query is refused instead of giving a wrong page.
fn check(said: &[u8], query: &str) -> [u8; 8] {
    let hash = sha256(&[b"tracekeep/cursor/1\n", said, query.as_bytes()]);
    hash.as_bytes()[..8].try_into().expect("invariant: a hash has 32 bytes")
}

impl TraceQuery {
    pub(crate) fn fingerprint(&self, run: &str) -> String {
        format!("traces {run} {:?} {}", self.filter, self.order)
    }
}

impl TreeQuery {
    pub(crate) fn fingerprint(&self, run: &str) -> String {
        format!("tree {run} {:?} {:?}", self.root, self.depth)
    }
}
