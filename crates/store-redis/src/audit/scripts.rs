//! The scripts of audits.

use crate::script::Operation;

macro_rules! operation {
    ($name:literal) => {
        Operation {
            name: $name,
            text: concat!(
                include_str!("../lua/audit/common.lua"),
                "\n",
                include_str!(concat!("../lua/audit/", $name, ".lua"))
            ),
            // Every fact has a name of its own, by which it is a duplicate the second time.
            is_repeatable: true,
        }
    };
}

pub(crate) const EXPECT: Operation = operation!("expect");
pub(crate) const ACK: Operation = operation!("ack");
pub(crate) const SAY: Operation = operation!("say");
pub(crate) const HELD: Operation = operation!("held");
pub(crate) const RELEASE: Operation = operation!("release");
pub(crate) const DROP: Operation = operation!("drop");
pub(crate) const PARK: Operation = operation!("park");
pub(crate) const PARKED: Operation = operation!("parked");
pub(crate) const INDEX: Operation =
    Operation { name: "index", text: include_str!("../lua/audit/index.lua"), is_repeatable: true };

pub(crate) const ALL: &[Operation] = &[EXPECT, ACK, SAY, HELD, RELEASE, DROP, PARK, PARKED, INDEX];
