//! Files that commands make.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::exit::Failure;

/// A file that nobody sees half of, and that only its owner can read: it is written beside its place under a name that was
/// free, and gone unless it is put there.
pub(crate) struct Output {
    folder: PathBuf,
    place: PathBuf,
    overwrite: bool,
    file: NamedTempFile,
}

impl Output {
    /// A file to be put at a path. What is there already is replaced only where that is said; a link is replaced, too, and
    /// never followed.
    pub(crate) fn open(path: &Path, overwrite: bool) -> Result<Self, Failure> {
        let refused = |detail: &str| Failure::Usage(format!("{}: {detail}", path.display()));
        if path == Path::new("-") {
            return Err(refused(
                "what is exported is put into a file, and not written to stdout; a file of that name is ./-",
            ));
        }
        let name = path.file_name().ok_or_else(|| refused("is no name of a file"))?;
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new(".")).to_owned();
        let place = folder.join(name);
        if place.is_dir() {
            return Err(refused("is a directory"));
        }
        if !overwrite && fs::symlink_metadata(&place).is_ok() {
            return Err(refused("is there already: --overwrite replaces it"));
        }
        let file = tempfile::Builder::new().prefix(".tracekeep-").suffix(".part").tempfile_in(&folder);
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => refused(&error.to_string()),
            _ => failed(path, &error),
        })?;
        Ok(Self { folder, place, overwrite, file })
    }

    /// Writes all of it, so that it outlasts a crash.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let file = self.file.as_file_mut();
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| failed(&self.place, &error))
    }

    /// Puts what was written in its place. Where that cannot be done any more it stays where it is, and the failure names it.
    pub(crate) fn put(self) -> Result<(), Failure> {
        let Self { folder, place, overwrite, file } = self;
        let put = if overwrite { file.persist(&place) } else { file.persist_noclobber(&place) };
        match put {
            Ok(_) => File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(&place, &error)),
            Err(unput) => {
                let stays = unput.file.keep().map_err(|lost| failed(&place, &lost.error))?.1;
                Err(Failure::Other(format!("{}: {}: it is left at {}", place.display(), unput.error, stays.display())))
            }
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Other(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_take_its_place_any_more_is_left_where_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("b.zip");
        let mut output = Output::open(&place, false).unwrap();
        output.write(b"a bundle").unwrap();
        fs::write(&place, "of somebody else").unwrap();
        let failure = output.put().expect_err("the place is taken").to_string();
        let left = failure.split("it is left at ").nth(1).unwrap();
        assert_eq!(fs::read(left).unwrap(), b"a bundle");
        assert_eq!(fs::read(&place).unwrap(), b"of somebody else");
    }
}
