//! Real files.

use std::fs;

use tracekeep::{KeyFolder, KeyStore, Signer, Tracekeep};

use crate::{opened, record};

#[test]
fn the_folder_is_its_owners_alone_and_the_ledger_does_not_hold_the_key() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let tracekeep = Tracekeep::open(&path).unwrap();
    record(&tracekeep);
    assert!(!folder.path().join("x.db.keys").exists(), "nothing is made before it is needed");
    let signed = tracekeep.signer().checkpoint().unwrap();
    opened(tracekeep.signer(), tracekeep.ledger(), &signed);
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("x.db.keys"), 0o700);
    for name in ["key", "head", "lock"] {
        assert_eq!(mode(&format!("x.db.keys/{name}")), 0o600, "{name}");
    }
    let secret = fs::read_to_string(folder.path().join("x.db.keys/key")).unwrap();
    assert!(secret.starts_with("PRIVATE+KEY+tracekeep/"), "a header word and the key's name");
    drop(tracekeep);
    let seed = secret.trim_end().splitn(5, '+').last().unwrap().as_bytes().to_vec();
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(seed.len()).any(|window| window == seed), "the database holds the private key");
    let again = Tracekeep::open(&path).unwrap();
    assert_eq!(again.signer().checkpoint().unwrap(), signed, "the head as it was");
}

#[test]
fn one_process_has_the_keys_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let tracekeep = Tracekeep::open(&path).unwrap();
    tracekeep.signer().checkpoint().unwrap();
    let other = KeyFolder::beside(&path);
    assert_eq!(other.key().unwrap_err().code(), "ledger_locked");
    let other = Signer::new(tracekeep.ledger().clone(), std::sync::Arc::new(other));
    assert_eq!(other.checkpoint().unwrap_err().code(), "ledger_locked");
}

#[test]
fn what_else_lies_there_is_refused_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let tracekeep = Tracekeep::open(&path).unwrap();
    tracekeep.signer().checkpoint().unwrap();
    for name in ["key", "head"] {
        let file = folder.path().join("x.db.keys").join(name);
        let good = fs::read(&file).unwrap();
        for bad in [&b"nonsense"[..], b"", &good[..good.len() / 2], &[0xff; 100]] {
            fs::write(&file, bad).unwrap();
            record(&tracekeep);
            assert_eq!(tracekeep.signer().checkpoint().unwrap_err().code(), "keys_damaged", "{name}: {bad:?}");
            assert_eq!(fs::read(&file).unwrap(), bad);
        }
        fs::write(&file, &good).unwrap();
        tracekeep.signer().checkpoint().unwrap();
    }
}

#[test]
fn what_was_planted_is_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let (keys, away) = (folder.path().join("x.db.keys"), folder.path().join("away"));
    let tracekeep = Tracekeep::open(&path).unwrap();
    fs::create_dir(&away).unwrap();
    fs::set_permissions(&away, PermissionsExt::from_mode(0o700)).unwrap();
    symlink(&away, &keys).unwrap();
    record(&tracekeep);
    assert_eq!(tracekeep.signer().checkpoint().unwrap_err().code(), "keys_unsafe", "a folder that is a link");
    assert_eq!(fs::read_dir(&away).unwrap().count(), 0, "nothing was put there");
    fs::remove_file(&keys).unwrap();
    tracekeep.signer().checkpoint().unwrap();
    for name in ["key", "head"] {
        fs::rename(keys.join(name), away.join(name)).unwrap();
        symlink(away.join(name), keys.join(name)).unwrap();
        assert_eq!(tracekeep.signer().checkpoint().unwrap_err().code(), "keys_unsafe", "{name} is a link");
        fs::rename(away.join(name), keys.join(name)).unwrap();
    }
    for name in ["key", "head"] {
        fs::rename(keys.join(name), away.join(name)).unwrap();
        fs::create_dir(keys.join(name)).unwrap();
        assert_eq!(tracekeep.signer().checkpoint().unwrap_err().code(), "keys_unsafe", "{name} is a folder");
        fs::remove_dir(keys.join(name)).unwrap();
        // Whoever opens a pipe waits for somebody at its other end.
        let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(keys.join(name)).status();
        assert!(made.unwrap().success());
        assert_eq!(tracekeep.signer().checkpoint().unwrap_err().code(), "keys_unsafe", "{name} is a pipe");
        fs::rename(away.join(name), keys.join(name)).unwrap();
    }
    tracekeep.signer().checkpoint().unwrap();
    // Only root can give a folder away.
    if std::os::unix::fs::chown(&keys, Some(12_345), None).is_ok() {
        assert_eq!(tracekeep.signer().checkpoint().unwrap_err().code(), "keys_unsafe", "another user's");
    }
}

#[test]
fn the_key_before_is_kept_aside_for_what_it_signed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let tracekeep = Tracekeep::open(&path).unwrap();
    let first = tracekeep.signer().checkpoint().unwrap();
    tracekeep.signer().rotate(tracekeep::Declaring::default()).unwrap();
    let retired = folder.path().join("x.db.keys/retired");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut files = fs::read_dir(&retired).unwrap().map(|file| file.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|of| of == "key")).unwrap();
    assert_eq!((mode(&retired), mode(&file)), (0o700, 0o600));
    assert_eq!(tracekeep.signer().checkpoint_at(1).unwrap(), first);
    drop(tracekeep);
    let tracekeep = Tracekeep::open(&path).unwrap();
    assert_eq!(tracekeep.signer().checkpoint_at(1).unwrap(), first);
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(tracekeep.signer().checkpoint_at(1).unwrap_err().code(), "keys_unsafe");
    fs::remove_file(&file).unwrap();
    assert_eq!(tracekeep.signer().checkpoint_at(1).unwrap_err().code(), "key_missing");
    tracekeep.signer().checkpoint().unwrap();
}
