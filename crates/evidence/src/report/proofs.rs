//! What is proven, by what, and what is not.

use super::page::Page;
use super::{Cover, withheld};
use crate::bundle::{Kind, Record};

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

/// What is not proven; of a period, nothing is said of one run alone.
pub(super) fn not_proven(page: &mut Page, kind: Kind) {
    page.heading("What is not proven");
    let is_of_run = kind != Kind::Period;
    let of_run = |said| is_of_run.then_some(said);
    let made_anew = "That whoever holds the log's key has not made the log anew, or shows others another one: whoever kept a \
         checkpoint from before sees that, and nobody else.";
    let once = if is_of_run { " Nor that the log has a run under this id once only." } else { "" };
    let said = [
        Some(
            "That what the agent or its operator recorded is true: it is proven that it stands in the log whose checkpoint is \
             signed.",
        ),
        Some(&*format!("{made_anew}{once}")),
        Some("Times that are claimed: only the ledger's own clock is in the proof, and only its order."),
        Some("That nothing was done beside the record."),
        Some("What came after the checkpoint."),
        of_run(
            "How other runs came out: where they are compared with this one, that is claimed and signed, and their entries are \
             not in here.",
        ),
        Some(
            "That a run without seal is whole, or what follows a run's last seal: the log may have entries of the run there that \
             this bundle does not show, such as another incident, or the end of a hold. That every check passes does not say \
             that there are none.",
        ),
        of_run("Which runs are related to the one that this is about: another one may have been left out, or erased before."),
        Some("Nothing at all to whoever takes the key out of the same hands as the bundle."),
    ]
    .map(|said| said.map(str::to_owned));
    page.list(&said.into_iter().flatten().collect::<Vec<_>>());
}
