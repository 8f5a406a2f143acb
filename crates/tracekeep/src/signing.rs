//! The keys beside a ledger's file: `x.db.keys/` beside `x.db`.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracekeep_evidence::{NOTE_BYTES_MAX, SigningKey};
use tracekeep_store::{Code, Error, KeyStore, Result};

const KEY: &str = "key";
const NEXT: &str = "key.next";
const HEAD: &str = "head";
const LOCK: &str = "lock";

/// A folder of files that their owner alone can read (0700, 0600): `key` and, while it is being replaced, `key.next`, each
/// a private key on one line; `head`, the checkpoint that was signed last; `lock`, held by the process that signs. Whatever is
/// written is written beside, synced, and renamed.
#[derive(Debug)]
pub struct KeyFolder {
    path: PathBuf,
    lock: Mutex<Option<File>>,
}

impl KeyFolder {
    /// The folder beside the ledger at `path`. Nothing is made before the first key is.
    #[must_use]
    pub fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".keys");
        Self { path: name.into(), lock: Mutex::new(None) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the folder is there; it is locked then, and nobody else's to read.
    fn enter(&self) -> Result<bool> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let held = match fs::metadata(&self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed("the folder of the keys cannot be looked at", error)),
        };
        private(&self.path, &held.permissions())?;
        if lock.is_none() {
            let place = self.path.join(LOCK);
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(place);
            let file = file.map_err(|error| failed("the lock of the keys cannot be made", error))?;
            file.try_lock().map_err(|_| Error::new(Code::LedgerLocked, "another process signs with these keys"))?;
            *lock = Some(file);
        }
        Ok(true)
    }

    fn make(&self) -> Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => {
                let above = self.path.parent().filter(|above| !above.as_os_str().is_empty());
                sync_folder(above.unwrap_or(Path::new(".")))?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("the folder of the keys cannot be made", error)),
        }
        self.enter().map(|_| ())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        if !self.enter()? {
            return Ok(None);
        }
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("a file of the keys cannot be read", error)),
        };
        let found = file.metadata().map_err(|error| failed("a file of the keys cannot be looked at", error))?;
        private(&path, &found.permissions())?;
        let mut bytes = Vec::new();
        let read = file.take(NOTE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| failed("a file of the keys cannot be read", error))?;
        Ok(Some(bytes))
    }

    fn key_in(&self, name: &str) -> Result<Option<SigningKey>> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged(name))?;
        SigningKey::from_secret(text).map(Some).map_err(|_| damaged(name))
    }

    /// Puts a file where nobody sees half of it.
    fn write(&self, name: &str, text: &str) -> Result<()> {
        self.make()?;
        let (path, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let put = || {
            match fs::remove_file(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        put().map_err(|error| failed("a file of the keys cannot be written", error))?;
        sync_folder(&self.path)
    }
}

impl KeyStore for KeyFolder {
    fn key(&self) -> Result<Option<SigningKey>> {
        self.key_in(KEY)
    }

    fn put_key(&self, key: &SigningKey) -> Result<()> {
        if self.read(KEY)?.is_some() {
            return Err(Error::new(Code::Conflict, "a key is there already"));
        }
        self.write(KEY, &format!("{}\n", key.to_secret()))
    }

    fn next(&self) -> Result<Option<SigningKey>> {
        self.key_in(NEXT)
    }

    fn put_next(&self, key: &SigningKey) -> Result<()> {
        self.write(NEXT, &format!("{}\n", key.to_secret()))
    }

    fn promote(&self) -> Result<()> {
        let old = OpenOptions::new().write(true).open(self.path.join(KEY)).ok();
        fs::rename(self.path.join(NEXT), self.path.join(KEY))
            .map_err(|error| failed("the new key cannot take its place", error))?;
        sync_folder(&self.path)?;
        // The name is gone; what the disk still holds under none is written over, as far as the disk lets it be.
        if let Some(mut old) = old {
            let wipe = |old: &mut File| {
                let length = old.metadata()?.len().min(NOTE_BYTES_MAX as u64);
                old.rewind()?;
                old.write_all(&vec![0; usize::try_from(length).unwrap_or(0)])?;
                old.sync_all()
            };
            wipe(&mut old).map_err(|error| failed("the old key could not be written over", error))?;
        }
        Ok(())
    }

    fn head(&self) -> Result<Option<Vec<u8>>> {
        self.read(HEAD)
    }

    fn put_head(&self, note: &str) -> Result<()> {
        self.write(HEAD, note)
    }

    fn forget_head(&self) -> Result<()> {
        match fs::remove_file(self.path.join(HEAD)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("what was signed last cannot be let go of", error))
            }
            _ if self.path.exists() => sync_folder(&self.path),
            _ => Ok(()),
        }
    }

    fn is_lasting(&self) -> bool {
        true
    }
}

/// Refuses what others than its owner could read.
fn private(path: &Path, permissions: &Permissions) -> Result<()> {
    let mode = permissions.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let detail = format!("{} has mode {mode:03o}: others than its owner could sign", path.display());
    Err(Error::new(Code::KeysUnsafe, detail))
}

fn sync_folder(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|error| failed("a folder cannot be synced", error))
}

fn damaged(name: &str) -> Error {
    Error::new(Code::KeysDamaged, format!("the file {name} beside the ledger holds no private key"))
}

fn failed(what: &str, error: std::io::Error) -> Error {
    let code = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::StorageFull,
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Code::ReadOnly,
        _ => Code::StorageFailed,
    };
    Error::new(code, format!("{what}: {error}")).because(error)
}
