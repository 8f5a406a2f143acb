//! What is proven, by what, and what is not.

use super::page::Page;
use super::{Cover, withheld};
use crate::bundle::Record;

pub(super) fn write(page: &mut Page, cover: &Cover<'_>, records: &[Record]) {
    page.heading("Proofs");
    let erased = records.iter().filter(|record| record.left.is_none()).count();
    let mut pairs = vec![
        ("ledger", cover.ledger.to_string()),
        ("tenant", cover.tenant_id.to_owned()),
        ("exported by", cover.exported_by.to_owned()),
        ("time of the checkpoint", cover.created_at.to_string()),
        ("entries of the log", cover.size.to_string()),
        ("root", cover.root.to_string()),
        ("entries in this bundle", records.len().to_string()),
    ];
    if erased > 0 {
        pairs
            .push(("of these erased", format!("{erased}: nothing is left of them but that they were there, and when")));
    }
    page.pairs(&pairs);
    page.text("Check it with a key that you have from elsewhere: tracekeep verify bundle.zip --key KEY");
    withheld::list(page, cover, records);
}

pub(super) fn not_proven(page: &mut Page) {
    page.heading("What is not proven");
    page.list(
        &[
            "That what the agent or its operator recorded is true: it is proven that it stands in the log whose checkpoint is \
             signed.",
            "That whoever holds the log's key has not made the log anew, or shows others another one: whoever kept a checkpoint \
             from before sees that, and nobody else. Nor that the log has a run under this id once only.",
            "Times that are claimed: only the ledger's own clock is in the proof, and only its order.",
            "That nothing was done beside the record.",
            "What came after the checkpoint.",
            "How other runs came out: where they are compared with this one, that is claimed and signed, and their entries are not \
             in here.",
            "That a run without seal is whole, or what follows a run's last seal: the log may have entries of the run there that \
             this bundle does not show, such as another incident, or the end of a hold. That every check passes does not say that \
             there are none.",
            "Which runs are related to the one that this is about: another one may have been left out, or erased before.",
            "Nothing at all to whoever takes the key out of the same hands as the bundle.",
        ]
        .map(str::to_owned),
    );
}
