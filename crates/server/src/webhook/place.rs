//! How far the log was told: a file that a restart reads.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes of the file at most.
const BYTES_MAX: u64 = 256;

/// The log index to look at next; `None` where no file says so of this ledger.
pub(super) fn read(path: &Path, ledger: &str) -> io::Result<Option<u64>> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file.take(BYTES_MAX).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let said = text.trim_end().split_once(' ');
    Ok(said.filter(|(of, _)| *of == ledger).and_then(|(_, next)| next.parse().ok()))
}

/// Says so, whole or not at all.
pub(super) fn write(path: &Path, ledger: &str, next: u64) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = File::create(&beside)?;
    file.write_all(format!("{ledger} {next}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
