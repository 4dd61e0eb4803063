//! `xinitrd manifests`: what is shipped.

use super::print;
use crate::error::Error;
use crate::manifest::{SHIPPED, find};
use crate::nearest::nearest;

/// Lists the shipped manifests, or prints the one called `name`.
///
/// # Errors
/// When there is none of that name, or standard output cannot be written.
pub fn run(name: Option<&str>) -> Result<(), Error> {
    match name {
        Some(name) => print(find(name).ok_or_else(|| unknown(name))?.text),
        None => {
            let mut text = String::new();
            for shipped in SHIPPED {
                let faults = |faults| Error::Manifest {
                    name: shipped.name.to_owned(),
                    faults,
                };
                let summary = shipped.manifest().map_err(faults)?.summary;
                text += &format!("{:<9} {summary}\n", shipped.name);
            }
            print(&text)
        }
    }
}

/// What is said of a name that is no manifest's.
pub(super) fn unknown(name: &str) -> Error {
    let names = || SHIPPED.iter().map(|shipped| shipped.name.to_owned());
    let near = nearest(name, names());
    let shown = if near.is_empty() {
        names().collect()
    } else {
        near
    };
    Error::Usage(format!(
        "no manifest {name}; did you mean {}?",
        shown.join(", ")
    ))
}
