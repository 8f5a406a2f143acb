//! The scripts: one for each operation, in a file of its own.

/// One operation as the server runs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    /// Whether the same call may be sent again by itself where its answer got lost. Not a deletion, which would delete what
    /// others were given meanwhile: whoever sent it decides. A failure is its bearer's alone, by the token.
    pub(crate) is_repeatable: bool,
}

macro_rules! operation {
    ($name:literal, $is_repeatable:literal $(, $before:literal)?) => {
        Operation {
            name: $name,
            text: concat!(
                include_str!("lua/clock.lua"),
                "\n",
                $(include_str!(concat!("lua/", $before, ".lua")), "\n",)?
                include_str!("lua/record.lua"),
                "\n",
                include_str!(concat!("lua/", $name, ".lua"))
            ),
            is_repeatable: $is_repeatable,
        }
    };
}

pub(crate) const CHECK: Operation = operation!("check", true, "new");
pub(crate) const COMPLETE: Operation = operation!("complete", true);
pub(crate) const FAIL: Operation = operation!("fail", true);
pub(crate) const RENEW: Operation = operation!("renew", true);
pub(crate) const STATUS: Operation = operation!("status", true);
pub(crate) const DELETE: Operation = operation!("delete", false);

pub(crate) const RECALL: Operation = operation!("recall", true);
/// A ruling is remembered once: sent again, it is older than itself.
pub(crate) const NOTE: Operation = operation!("note", true);

pub(crate) const ALONE: Operation = operation!("alone", true);

pub(crate) const ALL: &[Operation] = &[CHECK, COMPLETE, FAIL, RENEW, STATUS, DELETE, RECALL, NOTE, ALONE];
