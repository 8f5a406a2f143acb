//! The unchanged bundle in another zip verifies; cut, it does not.

use std::io::Write as _;
use std::process::{Command, Stdio};

use tracekeep_evidence::bundle::{Options, Outcome, Verdict, build, verify};

use super::ledger::{Ledger, golden, story};
use super::negative::repacked;

fn verdicts(ledger: &Ledger, bundle: &[u8]) -> [Verdict; 5] {
    verify(bundle, &ledger.public(), &Options::default()).verdicts
}

fn small() -> (Ledger, Vec<u8>) {
    let mut ledger = Ledger::new();
    ledger.start("run-1");
    ledger.step("run-1", 0, "success", "1");
    ledger.start("run-2");
    let contents = ledger.contents(tracekeep_evidence::bundle::Kind::Evidence, ledger.of_runs(&["run-1"]));
    let bundle = build(&contents, &ledger.key).unwrap();
    (ledger, bundle)
}

#[test]
fn a_bundle_that_was_packed_anew_says_the_same() {
    let ledger = story();
    for (name, contents) in golden(&ledger) {
        let bundle = build(&contents, &ledger.key).unwrap();
        assert_eq!(verdicts(&ledger, &repacked(&bundle)), verdicts(&ledger, &bundle), "{name}");
    }
}

#[test]
fn a_bundle_that_python_packed_anew_says_the_same() {
    const SCRIPT: &str = "import io, sys, zipfile\n\
        source = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))\n\
        packed = io.BytesIO()\n\
        with zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as target:\n\
        \u{20}   for name in reversed(source.namelist()): target.writestr(name, source.read(name))\n\
        sys.stdout.buffer.write(packed.getvalue())";
    let (ledger, bundle) = small();
    let mut python = Command::new("python3");
    let mut python = python.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    python.stdin.take().unwrap().write_all(&bundle).unwrap();
    let packed = python.wait_with_output().unwrap().stdout;
    assert!(packed.len() < bundle.len() && packed.starts_with(b"PK"));
    assert_eq!(verdicts(&ledger, &packed), verdicts(&ledger, &bundle));
}

/// As Info-ZIP does it: with extra fields, and of a stream with data descriptors.
#[test]
fn a_bundle_that_was_zipped_as_a_stream_says_the_same() {
    const SCRIPT: &str = "import io, sys, zipfile\n\
        class Stream(io.RawIOBase):\n\
        \u{20}   def writable(self): return True\n\
        \u{20}   def write(self, data): sys.stdout.buffer.write(data); return len(data)\n\
        source = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))\n\
        with zipfile.ZipFile(Stream(), 'w', zipfile.ZIP_DEFLATED) as target:\n\
        \u{20}   for name in source.namelist():\n\
        \u{20}       with target.open(name, 'w', force_zip64=name < 'm') as member: member.write(source.read(name))";
    let (ledger, bundle) = small();
    let mut python = Command::new("python3");
    let mut python = python.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    python.stdin.take().unwrap().write_all(&bundle).unwrap();
    let packed = python.wait_with_output().unwrap().stdout;
    assert!(packed.windows(4).any(|part| part == b"PK\x07\x08"));
    assert_eq!(verdicts(&ledger, &packed), verdicts(&ledger, &bundle));
}

#[test]
fn no_cut_goes_unseen() {
    let (ledger, bundle) = small();
    for length in (0..bundle.len()).rev().step_by(7).chain(bundle.len() - 64..bundle.len()) {
        let report = verify(&bundle[..length], &ledger.public(), &Options::default());
        assert_eq!(report.outcome(), Outcome::Fail, "{length} bytes");
    }
}
