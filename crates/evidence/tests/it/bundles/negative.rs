//! One bundle for each reason, refused for it: in vectors/bundles/, where the second verifier finds them too.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tracekeep_core::json::Json;
use tracekeep_evidence::bundle::{Aspect, Contents, Kind, Options, Outcome, Reason, build, verify};
use tracekeep_evidence::{Checkpoint, NoteKey};

use super::forge::{Members, Stated, canonical, envelope, forged, lines, text_of, unzip, zip, zip_plain};
use super::ledger::{Ledger, at, golden, key_of, story};

/// A bundle, what is brought to it, and the reason that some verdict gives.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) bundle: Vec<u8>,
    pub(super) keys: Vec<NoteKey>,
    pub(super) old: Option<String>,
    pub(super) reason: Option<Reason>,
}

pub(super) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/bundles"))
}

pub(super) fn cases() -> Vec<Case> {
    let ledger = story();
    let mut cases = Vec::new();
    let case = |name, bundle, reason| Case { name, bundle, keys: ledger.public(), old: None, reason };
    let golden = golden(&ledger);
    for (name, contents) in &golden {
        cases.push(case(name, build(contents, &ledger.key).unwrap(), None));
    }
    let (ledger_of_hostile, contents) = super::hostile::hostile();
    cases.push(case("hostile_text", build(&contents, &ledger_of_hostile.key).unwrap(), None));
    let (diverging, contents) = super::compared::diverged();
    cases.push(case("diverged", build(&contents, &diverging.key).unwrap(), None));
    let of = |name: &str| golden.iter().find(|(of, _)| *of == name).map(|(_, contents)| contents.clone()).unwrap();
    let evidence = of("evidence");
    let bundle = build(&evidence, &ledger.key).unwrap();
    let extending = build(&of("withheld"), &ledger.key).unwrap();
    cases.extend(of_zips(&bundle).into_iter().map(|(name, bytes, reason)| case(name, bytes, Some(reason))));
    cases.extend(of_files(&ledger, &bundle).into_iter().map(|(name, bytes, reason)| case(name, bytes, Some(reason))));
    for (name, contents, reason) in of_contents(&ledger, &golden) {
        cases.push(case(name, build(&contents, &ledger.key).unwrap(), Some(reason)));
    }
    for (name, ledger, reason) in of_ledgers() {
        let mut contents = ledger.contents(Kind::Evidence, ledger.of_runs(&["run-1", ""]));
        contents.forced = true;
        cases.push(case(name, build(&contents, &ledger.key).unwrap(), reason));
    }
    let small = cases.iter().find(|case| case.name == "erased").map(|case| repacked(&case.bundle)).unwrap();
    cases.push(case("erased_repacked", small, None));
    let kept = super::structure::kept(&ledger, &bundle);
    cases.extend(kept.into_iter().map(|(name, bytes, reason)| case(name, bytes, Some(reason))));
    cases.extend(super::structure::made().into_iter().map(|(name, bytes, reason)| case(name, bytes, Some(reason))));
    cases.extend(super::violations::of_violations().into_iter().map(|(name, bytes, reason)| case(name, bytes, reason)));
    for (name, bundle) in super::structure::rotated() {
        let keys = vec![ledger.public().remove(0), key_of(ledger.id, 8).public().clone()];
        cases.push(Case { keys, ..case(name, bundle, Some(Reason::SupersededKey)) });
    }
    let beside = |statement: &mut Value| {
        statement["predicate"]["period"] = json!({"from": at(100).to_string(), "to": at(200).to_string()});
    };
    let soc2 = build(&of("soc2"), &ledger.key).unwrap();
    let beside = forged(&ledger, &soc2, |_| {}, beside);
    let mut commented = bundle[..bundle.len() - 2].to_vec();
    commented.extend([132, 0]);
    commented.extend(b"PK\x01\x02".repeat(33));
    cases.push(case("comment_of_records", commented, Some(Reason::StrayBytes)));
    cases.push(case("period_beside_run", beside, Some(Reason::Incomplete)));
    for (name, key, bundle, reason) in super::structure::named_otherwise(&ledger, &bundle) {
        let keys = vec![key.public().clone(), ledger.key.public().clone()];
        cases.push(Case { keys, ..case(name, bundle, Some(reason)) });
    }
    cases.push(case("undeclared_key", super::structure::undeclared(), Some(Reason::SupersededKey)));
    let foreign = vec![key_of(ledger.id, 8).public().clone()];
    cases.push(Case { keys: foreign, ..case("foreign_key", bundle.clone(), Some(Reason::UnknownSigner)) });
    cases.push(Case { keys: Vec::new(), ..case("no_key", bundle.clone(), Some(Reason::NoKey)) });
    let note = |checkpoint: &Checkpoint| Some(checkpoint.sign(&ledger.key).unwrap().to_string());
    let with_old = |name, old, reason| Case { old, ..case(name, extending.clone(), reason) };
    cases.push(with_old("extends_old", note(&ledger.checkpoint(6)), None));
    cases.push(with_old("extends_old_by_a_record", note(&ledger.checkpoint(4)), None));
    cases.push(with_old("the_same_as_old", note(&ledger.checkpoint(10)), None));
    cases.push(with_old("no_consistency_proof", note(&ledger.checkpoint(3)), Some(Reason::NoConsistencyProof)));
    let forked = Checkpoint { root: ledger.checkpoint(3).root, ..ledger.checkpoint(6) };
    cases.push(with_old("wrong_consistency", note(&forked), Some(Reason::WrongConsistency)));
    let larger = Checkpoint { size: 11, ..ledger.checkpoint(10) };
    let another = Checkpoint { origin: "another".to_owned(), ..ledger.checkpoint(4) };
    cases.push(with_old("old_of_other_log", note(&another), Some(Reason::UnknownOldCheckpoint)));
    let foreign = ledger.checkpoint(4).sign(&key_of(ledger.id, 8)).unwrap().to_string();
    cases.push(with_old("old_by_other_key", Some(foreign), Some(Reason::UnknownOldCheckpoint)));
    let period = build(&of("period"), &ledger.key).unwrap();
    let shown = |members: &mut Members| lines(members, "records.jsonl", |lines| lines[0]["members"] = json!([]));
    cases.push(case("leaf_with_members", forged(&ledger, &period, shown, |_| {}), Some(Reason::WrongCommitment)));
    let renamed = |members: &mut Members| {
        lines(members, "records.jsonl", |lines| {
            let members = lines.iter_mut().filter_map(|line| line["members"].as_array_mut()).flatten();
            let withheld =
                |member: &&mut Value| member[0] == "params" && member.as_array().is_some_and(|m| m.len() == 2);
            members.filter(withheld).for_each(|member| member[0] = json!("paramt"));
        });
    };
    let renamed = forged(&ledger, &extending, renamed, |_| {});
    cases.push(case("withheld_member_renamed", renamed, Some(Reason::WrongCommitment)));
    cases.push(with_old("older_than_known", note(&larger), Some(Reason::OlderThanKnown)));
    cases.push(with_old("unknown_old_checkpoint", Some("no note\n".to_owned()), Some(Reason::UnknownOldCheckpoint)));
    cases
}

pub(crate) type Made = (&'static str, Vec<u8>, Reason);

/// Extra fields: one that says nothing, and the name that tools which know it unpack a member under.
const ALIAS: &[u8] = b"UT\x01\0\0up\x0f\0\x01\0\0\0\0README.txt";

/// What a zip can say that a bundle may not.
fn of_zips(bundle: &[u8]) -> Vec<Made> {
    let members = unzip(bundle);
    let plain: Vec<Stated<'_>> = members.iter().map(|(name, bytes)| Stated::plain(name, bytes)).collect();
    let with = |more: Stated<'static>| zip(&[plain.clone(), vec![more]].concat());
    let hostile = |name: &'static [u8]| Stated { name, ..Stated::plain("", b"hello") };
    let changed = |change: &dyn Fn(&mut Stated<'_>)| {
        let mut plain = plain.clone();
        change(plain.iter_mut().find(|member| member.name == b"report.html").unwrap());
        zip(&plain)
    };
    let unlisted = Stated { is_listed: false, ..Stated::plain("report.html", b"another report") };
    let mut flipped = bundle.to_vec();
    let at = bundle.windows(8).position(|window| window == b"a report").unwrap();
    flipped[at] ^= 1;
    // A whole entry, which a reader of streams would find where the directory names none.
    let hidden = zip(&[Stated { is_listed: false, ..Stated::plain("report.html", b"another report") }]);
    let hidden = hidden[..hidden.len() - 22].to_vec();
    let folder = |bytes: &[u8]| Stated { name: b"records/", ..Stated::plain("", bytes) };
    let packed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut plain = plain.clone();
        for member in plain.iter_mut().filter(|member| member.name == b"proof.json") {
            let says = (u32::try_from(member.bytes.len()).unwrap(), rawzip::crc32(&member.bytes));
            let mut bytes = deflated(&member.bytes);
            change(&mut bytes);
            *member = Stated { bytes, method: 8, says: Some(says), ..member.clone() };
        }
        zip(&plain)
    };
    let mut unsaid = plain.clone();
    for member in unsaid.iter_mut().filter(|member| member.name == b"proof.json") {
        let says = (u32::try_from(member.bytes.len()).unwrap(), rawzip::crc32(&member.bytes));
        *member = Stated { bytes: deflated(&member.bytes), method: 8, flags: 8, says: Some(says), ..member.clone() };
    }
    let unsaid = zip(&unsaid);
    let mut lying = unsaid.clone();
    let is_header = |window: &[u8]| window.starts_with(b"PK\x03\x04") && window.ends_with(b"proof.json");
    let header = lying.windows(40).position(is_header).unwrap();
    lying[header + 18..header + 26].fill(1);
    let mut located = plain.clone();
    let locator = [&b"PK\x06\x07"[..], &[0; 16]].concat();
    located.last_mut().unwrap().extra[1] = &locator;
    let located = zip(&located);
    let local = |change: &dyn Fn(&mut [u8], usize)| {
        let mut bundle = bundle.to_vec();
        let name = bundle.windows(12).position(|window| window == b"report.html<").unwrap();
        change(&mut bundle, name - 30);
        bundle
    };
    let mut spaced = zip(&plain);
    let directory = u32::from_le_bytes(spaced[spaced.len() - 6..spaced.len() - 2].try_into().unwrap());
    spaced.splice(directory as usize..directory as usize, *b"more");
    let end = spaced.len();
    spaced[end - 6..end - 2].copy_from_slice(&(directory + 4).to_le_bytes());
    let mut counted = bundle.to_vec();
    let end = counted.len();
    counted[end - 12] -= 1;
    let mut renamed = bundle.to_vec();
    let name = bundle.windows(12).position(|window| window == b"report.html<").unwrap();
    renamed[name] = b'R';
    vec![
        ("not_a_zip", b"PK\x03\x04 and no more".to_vec(), Reason::NotAZip),
        ("cut_tail", bundle[..bundle.len() - 1].to_vec(), Reason::NotAZip),
        ("many_members", zip(&vec![hostile(b"x"); 33]), Reason::TooManyMembers),
        ("slip_up", with(hostile(b"../../etc/cron.d/x")), Reason::UnexpectedMember),
        ("slip_root", with(hostile(b"/etc/passwd")), Reason::UnexpectedMember),
        ("slip_backslash", with(hostile(b"records\\..\\..\\x")), Reason::UnexpectedMember),
        ("slip_drive", with(hostile(b"C:x")), Reason::UnexpectedMember),
        ("name_not_ascii", with(hostile(b"r\xffport.html")), Reason::UnexpectedMember),
        ("name_with_nul", with(hostile(b"report.html\0.exe")), Reason::UnexpectedMember),
        ("symlink", changed(&|member| member.attributes = 0o120_777 << 16), Reason::UnexpectedMember),
        ("directory", with(hostile(b"reports/")), Reason::UnexpectedMember),
        ("directory_of_dos", changed(&|member| member.attributes = 0x10), Reason::UnexpectedMember),
        ("stream_without_descriptor", unsaid, Reason::StrayBytes),
        ("stream_of_other_lengths", lying, Reason::DamagedMember),
        ("another_directory", located, Reason::StrayBytes),
        ("encrypted_member", changed(&|member| member.flags = 1), Reason::UnexpectedMember),
        ("unsupported_compression", changed(&|member| member.method = 12), Reason::UnexpectedMember),
        ("stray_member", with(hostile(b"extra.txt")), Reason::UnexpectedMember),
        ("duplicate_member", with(hostile(b"report.html")), Reason::UnexpectedMember),
        ("stray_entry", zip(&[vec![unlisted.clone()], plain.clone()].concat()), Reason::StrayBytes),
        ("stray_entry_behind", with(unlisted), Reason::StrayBytes),
        ("stray_tail", [bundle, &b"more"[..]].concat(), Reason::StrayBytes),
        ("too_large", changed(&|member| member.says = Some((u32::MAX - 1, 0))), Reason::TooLarge),
        ("flipped_bit", flipped, Reason::WrongMembers),
        ("renamed_inside", renamed, Reason::DamagedMember),
        ("no_deflate", changed(&|member| member.method = 8), Reason::DamagedMember),
        ("bomb", bomb(&members), Reason::DamagedMember),
        ("deflated_out_of_nothing", changed(&out_of_nothing), Reason::DamagedMember),
        ("hidden_in_directory", with(Stated { says: Some((0, 0)), ..folder(&hidden) }), Reason::UnexpectedMember),
        ("hidden_behind_deflated", packed(&|packed| packed.extend(&hidden)), Reason::DamagedMember),
        ("deflated_without_end", packed(&|packed| assert!(packed.pop().is_some())), Reason::DamagedMember),
        ("directory_once", zip(&[vec![folder(b"")], plain.clone()].concat()), Reason::UnexpectedMember),
        ("local_of_other_method", local(&|bundle, at| bundle[at + 8] = 8), Reason::DamagedMember),
        ("local_of_other_length", local(&|bundle, at| bundle[at + 18] ^= 1), Reason::DamagedMember),
        ("stray_bytes_behind_member", spaced, Reason::StrayBytes),
        ("counted_wrong", counted, Reason::StrayBytes),
        ("stored_as_a_stream", changed(&|member| member.flags = 8), Reason::DamagedMember),
        ("alias_in_front", changed(&|member| member.extra[0] = ALIAS), Reason::UnexpectedMember),
        ("alias_in_directory", changed(&|member| member.extra[1] = ALIAS), Reason::UnexpectedMember),
    ]
}

/// What another tool makes of a bundle: the same members, deflated, in its own order.
pub(super) fn repacked(bundle: &[u8]) -> Vec<u8> {
    let members = unzip(bundle);
    let deflate = |(name, bytes)| {
        let plain: Stated<'_> = Stated::plain(name, bytes);
        let says = Some((u32::try_from(plain.bytes.len()).unwrap(), rawzip::crc32(&plain.bytes)));
        Stated { bytes: deflated(&plain.bytes), method: 8, says, ..plain }
    };
    zip(&members.iter().rev().map(|(name, bytes)| deflate((name, bytes))).collect::<Vec<_>>())
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A member whose first bytes are said to be those in front of it, of which there are none: some tools take zeros for them.
fn out_of_nothing(member: &mut Stated<'_>) {
    let says = Some((3, rawzip::crc32(&[0; 3])));
    *member = Stated { bytes: b"\x03\x02\0".to_vec(), method: 8, says, ..member.clone() };
}

/// A member of 4 MiB of zeros, packed, that says it is as long as the report.
fn bomb(members: &Members) -> Vec<u8> {
    let packed = deflated(&vec![0; 4 << 20]);
    let member = |(name, bytes): (&'static str, &Vec<u8>)| match name {
        "report.html" => Stated { bytes: packed.clone(), method: 8, says: Some((9, 0)), ..Stated::plain(name, b"") },
        _ => Stated::plain(name, bytes),
    };
    let names: Vec<&'static str> = members.keys().map(|name| &*Box::leak(name.clone().into_boxed_str())).collect();
    zip(&names.iter().map(|name| member((name, &members[*name]))).collect::<Vec<_>>())
}

/// What somebody with the key can write into the files.
fn of_files(ledger: &Ledger, bundle: &[u8]) -> Vec<Made> {
    let file = |change: &dyn Fn(&mut Members)| forged(ledger, bundle, change, |_| {});
    let claim = |change: &dyn Fn(&mut Value)| forged(ledger, bundle, |_| {}, change);
    let raw = |change: &dyn Fn(&mut Members)| {
        let mut members = unzip(bundle);
        change(&mut members);
        zip_plain(&members)
    };
    let manifest = |change: &dyn Fn(&mut Value)| {
        raw(&|members| {
            let mut envelope: Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
            change(&mut envelope);
            members.insert("manifest.json".to_owned(), canonical(&envelope));
        })
    };
    let records = |change: &dyn Fn(&mut Vec<Value>)| file(&|members| lines(members, "records.jsonl", change));
    let text =
        |name: &'static str, from: &'static str, to: &'static str| file(&|members| text_of(members, name, from, to));
    let predicate = |change: &dyn Fn(&mut Value)| claim(&|statement| change(&mut statement["predicate"]));
    let noted = |note: &str| {
        file(&|members| {
            members.insert("checkpoint".to_owned(), note.as_bytes().to_vec());
        })
    };
    let signed = |checkpoint: &Checkpoint| checkpoint.sign(&ledger.key).unwrap().to_string();
    let size = ledger.size();
    vec![
        ("missing_member", raw(&|members| drop(members.remove("report.html"))), Reason::MissingMember),
        ("missing_manifest", raw(&|members| drop(members.remove("manifest.json"))), Reason::MissingMember),
        ("missing_records", file(&|members| drop(members.remove("records.jsonl"))), Reason::MissingMember),
        ("member_absent", raw(&|members| drop(members.remove("comparison.json"))), Reason::WrongMembers),
        ("missing_readme", file(&|members| drop(members.remove("README.txt"))), Reason::MissingMember),
        (
            "member_of_other_name",
            file(&|members| drop(members.insert("extra.txt".to_owned(), b"{}".to_vec()))),
            Reason::UnexpectedMember,
        ),
        (
            "member_unnamed",
            raw(&|members| drop(members.insert("controls.json".to_owned(), b"{}".to_vec()))),
            Reason::WrongMembers,
        ),
        (
            "manifest_with_space",
            raw(&|members| members.get_mut("manifest.json").unwrap().push(b'\n')),
            Reason::MalformedManifest,
        ),
        ("manifest_unsigned", manifest(&|envelope| envelope["signatures"] = json!([])), Reason::UnknownSigner),
        (
            "bad_signature",
            manifest(&|envelope| {
                let other = self::envelope(ledger, b"something else");
                envelope["signatures"] = other["signatures"].clone();
            }),
            Reason::BadSignature,
        ),
        (
            "bad_signature_and_no_base64",
            manifest(&|envelope| {
                envelope["signatures"][0]["sig"] = json!("AAAA");
                envelope["signatures"].as_array_mut().unwrap().push(json!({"keyid": "another", "sig": "A"}));
            }),
            Reason::MalformedManifest,
        ),
        (
            "base64_of_other_text",
            manifest(&|envelope| {
                let text = envelope["signatures"][0]["sig"].as_str().unwrap();
                let (front, last) = text.trim_end_matches('=').split_at(85);
                // The lowest bits of the last character say nothing.
                let other = char::from(last.as_bytes()[0] + 1);
                envelope["signatures"][0]["sig"] = json!(format!("{front}{other}=="));
            }),
            Reason::MalformedManifest,
        ),
        (
            "files_out_of_order",
            claim(&|statement| statement["subject"].as_array_mut().unwrap().reverse()),
            Reason::WrongMembers,
        ),
        ("predicate_with_more", predicate(&|predicate| predicate["more"] = json!(1)), Reason::MalformedManifest),
        (
            "predicate_with_null",
            predicate(&|predicate| predicate["incident_id"] = json!(null)),
            Reason::MalformedManifest,
        ),
        (
            "many_signatures",
            manifest(&|envelope| {
                let row = envelope["signatures"][0].clone();
                envelope["signatures"] = vec![row; 101].into();
            }),
            Reason::MalformedManifest,
        ),
        ("unknown_format", claim(&|statement| statement["predicateType"] = json!("v2")), Reason::UnknownFormat),
        ("format_of_5", claim(&|statement| statement["predicateType"] = json!(5)), Reason::UnknownFormat),
        ("subject_of_5", claim(&|statement| statement["subject"] = json!([5])), Reason::MalformedManifest),
        ("wrong_digest", raw(&|members| text_of(members, "report.html", "a report", "a deport")), Reason::WrongMembers),
        ("replaced_record", raw(&|members| text_of(members, "records.jsonl", "4111", "4112")), Reason::WrongMembers),
        ("malformed_note", noted("nothing"), Reason::MalformedCheckpoint),
        (
            "wrong_origin",
            noted(&signed(&Checkpoint { origin: "another".to_owned(), ..ledger.checkpoint(size) })),
            Reason::UnknownSigner,
        ),
        (
            "malformed_checkpoint",
            noted(&tracekeep_evidence::Note::sign("one line\n", &ledger.key).unwrap().to_string()),
            Reason::MalformedCheckpoint,
        ),
        (
            "note_of_short_signature",
            noted(&format!("{}\u{2014} somebody AAAAAA==\n", signed(&ledger.checkpoint(size)))),
            Reason::MalformedCheckpoint,
        ),
        (
            "checkpoint_of_other_number",
            noted(&{
                let note = signed(&ledger.checkpoint(size));
                let text = format!("{}\n", note.split_once("\n\n").unwrap().0).replace("\n10\n", "\n010\n");
                tracekeep_evidence::Note::sign(&text, &ledger.key).unwrap().to_string()
            }),
            Reason::MalformedCheckpoint,
        ),
        (
            "checkpoint_by_other_key",
            noted(&ledger.checkpoint(size).sign(&key_of(ledger.id, 8)).unwrap().to_string()),
            Reason::UnknownSigner,
        ),
        (
            "note_of_long_name",
            noted(&format!("{}\u{2014} {} AAAAAAA=\n", signed(&ledger.checkpoint(size)), "\u{e9}".repeat(128))),
            Reason::MalformedCheckpoint,
        ),
        ("checkpoint_flipped", text("checkpoint", "\n10\n", "\n11\n"), Reason::BadSignature),
        ("older_checkpoint", noted(&signed(&ledger.checkpoint(size - 1))), Reason::WrongProof),
        ("record_with_space", text("records.jsonl", "{\"leaf\":", "{ \"leaf\":"), Reason::MalformedRecord),
        ("record_of_float", text("records.jsonl", "\"log_index\":1,", "\"log_index\":1.0,"), Reason::MalformedRecord),
        ("record_of_minus_zero", text("records.jsonl", "{\"hits\":0}", "{\"hits\":-0}"), Reason::MalformedRecord),
        ("record_of_long_zero", text("records.jsonl", "{\"hits\":0}", "{\"hits\":0e+0}"), Reason::MalformedRecord),
        (
            "record_of_minus_long_zero",
            text("records.jsonl", "{\"hits\":0}", "{\"hits\":-0e+0}"),
            Reason::MalformedRecord,
        ),
        ("record_of_infinity", text("records.jsonl", "{\"hits\":0}", "{\"hits\":1e999}"), Reason::MalformedRecord),
        ("record_of_long_number", text("records.jsonl", "{\"hits\":0}", "{\"hits\":1.50}"), Reason::MalformedRecord),
        (
            "record_of_huge_integer",
            text(
                "records.jsonl",
                "{\"hits\":0}",
                &*Box::leak(format!("{{\"hits\":{}}}", "1".repeat(400)).into_boxed_str()),
            ),
            Reason::MalformedRecord,
        ),
        (
            "record_of_29_february",
            records(&|lines| lines[1]["leaf"]["recorded_at"] = json!("2026-02-29T10:00:01.000000000Z")),
            Reason::MalformedRecord,
        ),
        (
            "record_of_far_future",
            records(&|lines| lines[1]["leaf"]["recorded_at"] = json!("2999-11-20T10:00:01.000000000Z")),
            Reason::MalformedRecord,
        ),
        (
            "members_out_of_order",
            records(&|lines| lines[1]["members"].as_array_mut().unwrap().swap(0, 1)),
            Reason::MalformedRecord,
        ),
        (
            "record_named_twice",
            text("records.jsonl", "\"log_index\":1,", "\"log_index\":1,\"log_index\":1,"),
            Reason::MalformedRecord,
        ),
        (
            "record_without_newline",
            file(&|members| assert_eq!(members.get_mut("records.jsonl").unwrap().pop(), Some(b'\n'))),
            Reason::MalformedRecord,
        ),
        ("record_of_version", records(&|lines| lines[0]["leaf"]["v"] = json!(2)), Reason::MalformedRecord),
        (
            "record_too_deep",
            file(&|members| {
                let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
                text_of(members, "records.jsonl", "{\"q\":\"FRA-LIS\"}", &deep);
            }),
            Reason::MalformedRecord,
        ),
        ("wrong_ledger", records(&|lines| lines[0]["leaf"]["ledger"] = json!("f".repeat(32))), Reason::WrongLedger),
        ("beyond_checkpoint", records(&|lines| lines[5]["log_index"] = json!(10)), Reason::Misordered),
        ("reordered_records", records(&|lines| lines.reverse()), Reason::Misordered),
        ("record_twice", records(&|lines| lines.insert(0, lines[0].clone())), Reason::Misordered),
        ("wrong_commitment", text("records.jsonl", "4111", "4112"), Reason::WrongCommitment),
        (
            "member_dropped",
            records(&|lines| drop(lines[0]["members"].as_array_mut().unwrap().pop())),
            Reason::WrongCommitment,
        ),
        ("wrong_proof", records(&|lines| lines[1]["leaf"]["seq"] = json!(7)), Reason::WrongProof),
        ("proof_of_other_index", records(&|lines| lines[1]["log_index"] = json!(2)), Reason::WrongProof),
        ("record_dropped", records(&|lines| drop(lines.remove(0))), Reason::WrongProof),
        (
            "proof_with_more",
            text(
                "proof.json",
                "\"nodes\":[",
                &*Box::leak(format!("\"nodes\":[\"{}\",", "0".repeat(64)).into_boxed_str()),
            ),
            Reason::WrongProof,
        ),
        ("malformed_proof", text("proof.json", "\"nodes\"", "\"hashes\""), Reason::WrongProof),
        (
            "created_early",
            predicate(&|predicate| predicate["created_at"] = json!(at(1).to_string())),
            Reason::TimeRunsBack,
        ),
        ("another_run", predicate(&|predicate| predicate["run_id"] = json!("run-2")), Reason::WrongIncident),
        (
            "created_behind_all_time",
            predicate(&|predicate| predicate["created_at"] = json!("2262-04-11T23:47:16.854775808Z")),
            Reason::MalformedManifest,
        ),
        (
            "created_before_all_time",
            predicate(&|predicate| predicate["created_at"] = json!("1677-09-21T00:12:43.145224191Z")),
            Reason::MalformedManifest,
        ),
        (
            "created_in_the_far_future",
            predicate(&|predicate| predicate["created_at"] = json!("2300-01-01T00:00:00.000000000Z")),
            Reason::MalformedManifest,
        ),
        (
            "period_of_no_time",
            predicate(&|predicate| {
                predicate["kind"] = json!("period");
                predicate["period"] = json!({"from": at(1).to_string(), "to": at(1).to_string()});
            }),
            Reason::Incomplete,
        ),
        ("incomplete", predicate(&|predicate| predicate["tenant_id"] = json!("")), Reason::Incomplete),
        ("called_incomplete", predicate(&|predicate| predicate["missing"] = json!(["run"])), Reason::Incomplete),
    ]
}

/// What a bundle can claim that its records do not bear out.
fn of_contents(ledger: &Ledger, golden: &[(&'static str, Contents)]) -> Vec<(&'static str, Contents, Reason)> {
    let changed = |of: &str, change: &dyn Fn(&mut Contents)| {
        let mut contents = golden.iter().find(|(name, _)| *name == of).map(|(_, contents)| contents.clone()).unwrap();
        change(&mut contents);
        ledger.prove(&mut contents);
        contents
    };
    let without = |log_index: u64| {
        changed("evidence", &|contents| contents.records.retain(|record| record.log_index != log_index))
    };
    let erased = changed("evidence", &|contents| contents.records[1].left = None);
    vec![
        ("missing_entry", without(3), Reason::MissingEntry),
        ("missing_first", without(0), Reason::MissingEntry),
        (
            "wrong_incident",
            changed("evidence", &|contents| contents.incident_id = Some("inc-2".to_owned())),
            Reason::WrongIncident,
        ),
        (
            "period_omits_entries",
            changed("period", &|contents| contents.records[8].left = None),
            Reason::UnnamedErasure,
        ),
        (
            "wrong_controls",
            changed("soc2", &|contents| {
                let text = contents.controls.as_ref().unwrap().as_str().replacen("partial", "demonstrated", 1);
                contents.controls = Some(Json::parse(&text).unwrap());
            }),
            Reason::WrongControls,
        ),
        (
            "wrong_debrief",
            changed("executive_debrief", &|contents| contents.debrief = Some(Json::empty_object())),
            Reason::WrongDebrief,
        ),
        ("wrong_created_at", changed("period", &|contents| contents.created_at = at(10)), Reason::TimeRunsBack),
        ("missing_leaf", changed("period", &|contents| drop(contents.records.remove(4))), Reason::MissingLeaf),
        ("leaves_end_early", changed("period", &|contents| contents.records.truncate(7)), Reason::MissingLeaf),
        ("leaves_begin_late", changed("period", &|contents| drop(contents.records.drain(..2))), Reason::MissingLeaf),
        ("no_leaves", changed("period", &|contents| contents.records.clear()), Reason::MissingLeaf),
        (
            "missing_run",
            changed("period", &|contents| contents.records.iter_mut().for_each(|record| record.left = None)),
            Reason::MissingEntry,
        ),
        ("unnamed_erasure", erased, Reason::UnnamedErasure),
    ]
}

/// What a ledger can hold that is wrong in itself, and what is not.
fn of_ledgers() -> Vec<(&'static str, Ledger, Option<Reason>)> {
    let mut back = Ledger::new();
    back.start("run-1");
    back.step("run-1", 0, "success", "1");
    back.entries[0].recorded_at = at(5);
    let back = back.again();
    let mut root = Ledger::new();
    root.start("run-1");
    root.seal("run-1", 0, 0, 0);
    root.step("run-1", 0, "success", "1");
    let mut sealed = root.entries[1].clone();
    sealed.seq = 2;
    let mut wrong_root = Ledger::new();
    wrong_root.start("run-1");
    wrong_root.step("run-1", 0, "success", "1");
    wrong_root.entries.push(sealed);
    // With two faults, the gap is found first, though the root is wrong in front of it.
    let mut gap = Ledger::new();
    gap.start("run-1");
    gap.seal("run-1", 0, 0, 0);
    let mut again = gap.entries[1].clone();
    again.seq = 2;
    let mut far = gap.entries[0].clone();
    (far.seq, far.recorded_at) = (7, at(4));
    gap.entries.extend([again, far]);
    // An erased run: of its entries nothing is left but the redaction that says so.
    // Of one that was erased in part, what is left would be somebody's choice.
    let erased = |entries: usize| {
        let mut erased = Ledger::new();
        erased.start("run-1");
        erased.step("run-1", 0, "success", "1");
        let body = r#"{"entries":2,"op":"erase_run","reason":"asked for","run_id":"run-1","steps":1,"traces":0}"#;
        erased.push("redaction", "run-1", body);
        erased.entries[..entries].iter_mut().for_each(|record| record.left = None);
        erased
    };
    // A step of which the ledger withholds params.
    let mut redacted = Ledger::new();
    redacted.start("run-1");
    let step = redacted.step("run-1", 0, "success", r#"{"card":"4111"}"#);
    let left = redacted.entries[1].left.clone().unwrap().without(&["params"]).unwrap();
    let body = format!(
        r#"{{"members":["params"],"op":"redact","reason":"a card","remainders":[{}],"replaces":[],"run_id":"run-1","step":0}}"#,
        tracekeep_core::wire::to_json(&left)
    );
    redacted.push("redaction", "run-1", &body);
    redacted.entries[step as usize].left = Some(left);
    // A key that the log itself declares.
    let mut declared = Ledger::new();
    let key = declared.key.public().to_string();
    declared.push("signing_key", "", &format!(r#"{{"key":"{key}","op":"declare_key","reason":"first"}}"#));
    declared.start("run-1");
    // What is computed with, of another form: `true` is not 1.
    let mut true_seal = Ledger::new();
    true_seal.start("run-1");
    let root = true_seal.run_root("run-1");
    true_seal.push("sealed", "run-1", &format!(r#"{{"entries":true,"op":"seal_run","run_root":"{root}"}}"#));
    let mut no_key = Ledger::new();
    no_key.start("run-1");
    no_key.push("signing_key", "", r#"{"key":5,"op":"declare_key"}"#);
    let mut object_key = Ledger::new();
    object_key.start("run-1");
    object_key.push("signing_key", "", r#"{"key":{},"op":"declare_key"}"#);
    // What is never withheld of an incident is, of the notice that it was exported.
    let mut notice = Ledger::new();
    notice.start("run-1");
    let body = r#"{"by":"anna","export_id":"e","incident_id":"inc-1","kind":"evidence","op":"record_export","size":1}"#;
    notice.push("export", "run-1", body);
    notice.entries[1].left = Some(notice.entries[1].left.as_ref().unwrap().without(&["incident_id"]).unwrap());
    // A redaction takes the place of another, and of nothing else.
    let mut replaced = Ledger::new();
    replaced.start("run-1");
    replaced.step("run-1", 0, "success", "1");
    let body = r#"{"op":"redact","remainders":[],"replaces":[{"log_index":1,"reason":"a card"}],"run_id":"run-1"}"#;
    replaced.push("redaction", "run-1", body);
    replaced.entries[1].left = None;
    vec![
        ("declared_key", declared, None),
        ("signing_key_of_object", object_key, Some(Reason::SupersededKey)),
        ("replaced_step", replaced, Some(Reason::UnnamedErasure)),
        ("withheld_in_a_notice", notice, None),
        ("seal_of_true", true_seal, Some(Reason::WrongRunRoot)),
        ("signing_key_5", no_key, Some(Reason::SupersededKey)),
        ("time_runs_back", back, Some(Reason::TimeRunsBack)),
        ("wrong_run_root", wrong_root.again(), Some(Reason::WrongRunRoot)),
        ("root_then_gap", gap.again(), Some(Reason::MissingEntry)),
        ("erased", erased(2), None),
        ("erased_in_part", erased(1), Some(Reason::UnnamedErasure)),
        ("redacted", redacted, None),
    ]
}

#[test]
fn each_reason_has_a_bundle_that_is_refused_for_it() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        let options = Options { old_checkpoint: case.old.as_deref().map(str::as_bytes) };
        let report = verify(&case.bundle, &case.keys, &options);
        let reasons: BTreeSet<Reason> = report.verdicts.iter().filter_map(|verdict| verdict.reason).collect();
        match case.reason {
            None => assert_eq!(report.outcome(), Outcome::Pass, "{}: {}", case.name, report.to_json()),
            Some(reason) => {
                assert!(reasons.contains(&reason), "{}: {}", case.name, report.to_json());
                assert_ne!(report.outcome(), Outcome::Pass, "{}", case.name);
                let others = BTreeSet::from([reason, Reason::NotChecked]);
                assert!(reasons.is_subset(&others), "{}: {}", case.name, report.to_json());
            }
        }
        seen.extend(reasons);
    }
    // Of what stands by itself, and no bundle.
    seen.insert(Reason::NotBrought);
    let missing: Vec<_> = Reason::ALL.iter().filter(|reason| !seen.contains(*reason)).collect();
    assert!(missing.is_empty(), "reasons without a bundle: {missing:?}");
}

#[test]
fn the_fixtures_are_those_in_the_tree() {
    let folder = folder();
    let writes = std::env::var_os("TRACEKEEP_WRITE_VECTORS").is_some();
    if writes {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
    }
    let mut rows = Vec::new();
    for case in cases() {
        let options = Options { old_checkpoint: case.old.as_deref().map(str::as_bytes) };
        let report = verify(&case.bundle, &case.keys, &options);
        let verdict = |aspect: &Aspect| {
            let verdict = report.verdict(*aspect);
            let remarks: Vec<_> = verdict.remarks.iter().map(|remark| remark.as_str()).collect();
            let reason = verdict.reason.map(|reason| reason.as_str());
            (aspect.as_str().to_owned(), json!([verdict.outcome.as_str(), reason, remarks]))
        };
        let verdicts: serde_json::Map<_, _> = Aspect::ALL.iter().map(verdict).collect();
        let keys: Vec<_> = case.keys.iter().map(ToString::to_string).collect();
        rows.push(json!({"name": case.name, "keys": keys, "old_checkpoint": case.old, "verdicts": verdicts}));
        let path = folder.join(format!("{}.zip", case.name));
        if writes {
            fs::write(&path, &case.bundle).unwrap();
        }
        assert!(fs::read(&path).unwrap() == case.bundle, "{} is not what is made now", case.name);
    }
    let text = format!("{}\n", serde_json::to_string_pretty(&rows).unwrap());
    let path = folder.join("cases.json");
    if writes {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "vectors/bundles/cases.json is out of date");
}

#[test]
fn what_is_required_is_refused_unless_it_is_forced() {
    let ledger = story();
    let mut contents = ledger.contents(Kind::ExecutiveDebrief, ledger.of_runs(&["run-1"]));
    let missing = |contents: &Contents| match build(contents, &ledger.key) {
        Err(tracekeep_evidence::bundle::BuildError::Incomplete(missing)) => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(&contents), ["debrief", "incident", "policy", "severity", "violation_at"]);
    contents.incident_id = Some("inc-1".to_owned());
    assert_eq!(missing(&contents), ["debrief"]);
    contents.forced = true;
    let report = verify(&build(&contents, &ledger.key).unwrap(), &ledger.public(), &Options::default());
    assert_eq!(report.outcome(), Outcome::Pass);
    assert!(report.to_json().as_str().contains("\"forced\""));
    let mut empty = ledger.contents(Kind::Evidence, Vec::new());
    empty.tenant_id = String::new();
    empty.exported_by = String::new();
    assert_eq!(missing(&empty), ["exported_by", "run", "tenant_id"]);
    let mut soc2 = ledger.contents(Kind::Soc2, ledger.of_runs(&["run-1"]));
    soc2.controls = Some(Json::empty_object());
    assert_eq!(missing(&soc2), ["period"]);
}

#[test]
fn tens_of_thousands_of_members_are_refused_before_they_are_read() {
    let members = vec![Stated::plain("x", b"hello"); 60_000];
    let report = verify(&zip(&members), &[], &Options::default());
    assert_eq!(report.verdict(Aspect::Integrity).reason, Some(Reason::TooManyMembers));
}
