//! docs/reliability.md: the figures that commands write into it stand between markers.

use std::fs;

use crate::sh::{Failed, Outcome, root};

const PAGE: &str = "docs/reliability.md";

/// Puts a table between the markers of its name.
pub(crate) fn write(name: &str, table: &str) -> Outcome {
    let path = root().join(PAGE);
    let failed = |error: std::io::Error| Failed::new(format!("{PAGE}: {error}"));
    let page = fs::read_to_string(&path).map_err(failed)?;
    fs::write(&path, filled(&page, name, table)?).map_err(failed)?;
    println!("written into {PAGE}");
    Ok(())
}

/// Refuses a name without markers: a table that took long to measure would have no place.
pub(crate) fn demand(name: &str) -> Outcome {
    let page = fs::read_to_string(root().join(PAGE)).map_err(|error| Failed::new(format!("{PAGE}: {error}")))?;
    filled(&page, name, "").map(drop)
}

fn filled(page: &str, name: &str, table: &str) -> Outcome<String> {
    let [begin, end] = ["begin", "end"].map(|which| format!("<!-- {name}:{which} -->"));
    let missing = || Failed::new(format!("{PAGE} needs the lines {begin} and {end}: the table goes between them"));
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{table}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_replaces_what_stood_between_the_markers() {
        let page = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n<!-- y:begin -->\n<!-- y:end -->\n";
        let expect = "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n<!-- y:begin -->\n<!-- y:end -->\n";
        assert_eq!(filled(page, "x", "new\n").unwrap(), expect);
        assert!(filled(page, "z", "new\n").is_err());
    }

    #[test]
    fn a_name_without_markers_is_refused() {
        assert!(demand("crash").is_ok() && demand("crash-redaction").is_ok());
        assert!(demand("crash-nothing").unwrap_err().to_string().contains("<!-- crash-nothing:begin -->"));
    }
}
