//! Configuration: flags over `TRACEKEEP_*` over `tracekeep.toml` over defaults. Unknown keys are errors.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::args::Common;
use crate::exit::Failure;

/// The file in the working directory.
const FILE: &str = "tracekeep.toml";

/// Where the ledger is unless told.
const LEDGER: &str = "tracekeep.db";

/// Where serve listens unless told.
const LISTEN: &str = "127.0.0.1:4318";

/// How much safety the deployment demands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// A developer's machine: volatile stores are allowed.
    #[default]
    Local,
    /// As prod, for tests of a deployment.
    Test,
    /// Only what is durable, and nothing open to a network without a key.
    Prod,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ledger: Option<PathBuf>,
    server: Option<String>,
    listen: Option<String>,
    mode: Option<Mode>,
}

/// What holds after all layers.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) ledger: PathBuf,
    pub(crate) server: Option<String>,
    pub(crate) listen: String,
    pub(crate) mode: Mode,
    pub(crate) json: bool,
}

impl Config {
    pub(crate) fn load(common: &Common) -> Result<Self, Failure> {
        let file = read(Path::new(FILE))?;
        let mode = match std::env::var("TRACEKEEP_MODE") {
            Ok(text) => Some(mode(&text)?),
            Err(_) => file.mode,
        };
        Ok(Self {
            ledger: common.ledger.clone().or(file.ledger).unwrap_or_else(|| LEDGER.into()),
            server: common.server.clone().or(file.server),
            listen: file.listen.unwrap_or_else(|| LISTEN.to_owned()),
            mode: mode.unwrap_or_default(),
            json: common.json,
        })
    }

    /// Whether the ledger is to be kept in memory.
    pub(crate) fn is_volatile(&self) -> bool {
        self.ledger.as_os_str() == ":memory:"
    }
}

fn mode(text: &str) -> Result<Mode, Failure> {
    match text {
        "local" => Ok(Mode::Local),
        "test" => Ok(Mode::Test),
        "prod" => Ok(Mode::Prod),
        _ => Err(Failure::Usage("TRACEKEEP_MODE is local, test or prod".to_owned())),
    }
}

fn read(path: &Path) -> Result<File, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
        Err(error) => Err(Failure::Usage(format!("{}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_errors() {
        assert!(toml::from_str::<File>("ledger = \"x.db\"\nmode = \"prod\"").is_ok());
        assert!(toml::from_str::<File>("legder = \"x.db\"").is_err());
        assert!(toml::from_str::<File>("mode = \"production\"").is_err());
    }
}
