//! The keys beside a ledger's file: `x.db.keys/` beside `x.db`.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;
use tracekeep_core::hash::sha256;
use tracekeep_evidence::{NOTE_BYTES_MAX, NoteKey, SigningKey};
use tracekeep_store::{Code, Error, KeyStore, Result};

const KEY: &str = "key";
const NEXT: &str = "key.next";
const HEAD: &str = "head";
const LOCK: &str = "lock";
const RETIRED: &str = "retired";

/// A folder of files that their owner alone can read (0700, 0600): `key` and, while it is being replaced, `key.next`, each
/// a private key on one line; `head`, the checkpoint that was signed last; `retired/`, what of all this was before; `lock`,
/// held by the process that signs. Whatever is written is written beside, synced, and renamed.
///
/// In `retired/`: `ID-HASH.key`, a key that signed before, ID being the key's own; `HASH.key`, what was in the place of the
/// key and is none; `HASH.head`, what was signed last when its key was given up; `ID.handover`, the note by which the key of
/// this ID was handed the log over.
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
        if !is_own_folder(&self.path)? {
            return Ok(false);
        }
        if lock.is_none() {
            let place = self.path.join(LOCK);
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true).mode(0o600).custom_flags(NO_LINK);
            let file = options.open(place);
            let file = file.map_err(|error| failed("the lock of the keys cannot be made", error))?;
            file.try_lock().map_err(|_| Error::new(Code::LedgerLocked, "another process signs with these keys"))?;
            *lock = Some(file);
        }
        Ok(true)
    }

    fn make(&self) -> Result<()> {
        make_folder(&self.path)?;
        self.enter().map(|_| ())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        if !self.enter()? {
            return Ok(None);
        }
        read_own(&self.path.join(name))
    }

    /// Keeps aside what was, under this name.
    fn retire(&self, name: &str, old: &[u8]) -> Result<()> {
        let place = self.path.join(RETIRED);
        make_folder(&place)?;
        is_own_folder(&place)?;
        put(&place, name, old)
    }

    fn key_in(&self, name: &str) -> Result<Option<SigningKey>> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        key_of(&bytes).map(Some).ok_or_else(|| damaged(name))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        self.make()?;
        put(&self.path, name, text.as_bytes())
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
        if let Some(old) = self.read(KEY)? {
            let id = key_of(&old).map(|key| format!("{:08x}-", key.public().id())).unwrap_or_default();
            self.retire(&format!("{id}{}.key", short_hash(&old)), &old)?;
        }
        fs::rename(self.path.join(NEXT), self.path.join(KEY))
            .map_err(|error| failed("the new key cannot take its place", error))?;
        sync_folder(&self.path)
    }

    fn retired(&self, public: &str) -> Result<Option<SigningKey>> {
        let place = self.path.join(RETIRED);
        if !self.enter()? || !is_own_folder(&place)? {
            return Ok(None);
        }
        let unread = |error| failed("the keys that were kept aside cannot be read", error);
        for file in fs::read_dir(&place).map_err(unread)? {
            let bytes = read_own(&file.map_err(unread)?.path())?.unwrap_or_default();
            // What is no key was kept aside all the same.
            if let Some(key) = key_of(&bytes).filter(|key| key.public().to_string() == public) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    fn head(&self) -> Result<Option<Vec<u8>>> {
        self.read(HEAD)
    }

    fn put_head(&self, note: &str) -> Result<()> {
        self.write(HEAD, note)
    }

    fn set_head_aside(&self) -> Result<()> {
        let Some(head) = self.read(HEAD)? else { return Ok(()) };
        self.retire(&format!("{}.head", short_hash(&head)), &head)
    }

    fn put_handover(&self, key: &NoteKey, note: &str) -> Result<()> {
        self.make()?;
        self.retire(&handover_of(key), note.as_bytes())
    }

    fn handover(&self, key: &NoteKey) -> Result<Option<Vec<u8>>> {
        let place = self.path.join(RETIRED);
        if !self.enter()? || !is_own_folder(&place)? {
            return Ok(None);
        }
        read_own(&place.join(handover_of(key)))
    }

    fn is_lasting(&self) -> bool {
        true
    }
}

fn key_of(bytes: &[u8]) -> Option<SigningKey> {
    std::str::from_utf8(bytes).ok().and_then(|text| SigningKey::from_secret(text).ok())
}

/// A name for these bytes: the same are kept once, and nothing else in their place.
fn short_hash(bytes: &[u8]) -> String {
    sha256(&[bytes]).to_string()[..16].to_owned()
}

fn handover_of(key: &NoteKey) -> String {
    format!("{:08x}.handover", key.id())
}

/// Puts a file where nobody sees half of it.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (path, new) = (folder.join(name), folder.join(format!("{name}.new")));
    let put = || {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    put().map_err(|error| failed("a file of the keys cannot be written", error))?;
    sync_folder(folder)
}

fn make_folder(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            let above = path.parent().filter(|above| !above.as_os_str().is_empty());
            sync_folder(above.unwrap_or(Path::new(".")))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed("a folder of the keys cannot be made", error)),
    }
}

/// Whether the folder is there. One that is a link, or somebody else's, or not its owner's alone is refused.
fn is_own_folder(path: &Path) -> Result<bool> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("a folder of the keys cannot be looked at", error)),
    };
    if !found.is_dir() {
        return Err(unsafe_at(path, "is no folder"));
    }
    private(path, &found).map(|()| true)
}

/// A file's bytes, cut where no key and no note could go on; `None` where there is none.
fn read_own(path: &Path) -> Result<Option<Vec<u8>>> {
    // Without O_NONBLOCK, a pipe that somebody put there would hold us for good.
    let file = match OpenOptions::new().read(true).custom_flags(NO_LINK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) => {
            return Err(unsafe_at(path, "is a link").because(error));
        }
        Err(error) => return Err(failed("a file of the keys cannot be read", error)),
    };
    let found = file.metadata().map_err(|error| failed("a file of the keys cannot be looked at", error))?;
    if !found.is_file() {
        return Err(unsafe_at(path, "is no file"));
    }
    private(path, &found)?;
    let mut bytes = Vec::new();
    let read = file.take(NOTE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed("a file of the keys cannot be read", error))?;
    Ok(Some(bytes))
}

const NO_LINK: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// Refuses what is not this process's user's, and what others could read.
fn private(path: &Path, found: &Metadata) -> Result<()> {
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(unsafe_at(path, &format!("belongs to user {}", found.uid())));
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(unsafe_at(path, &format!("has mode {mode:03o}: others than its owner could sign")))
}

fn unsafe_at(path: &Path, why: &str) -> Error {
    Error::new(Code::KeysUnsafe, format!("{} {why}", path.display()))
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
