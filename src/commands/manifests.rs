//! `xinitrd manifests`: what is shipped.

use super::print;
use crate::error::{Error, Obstacle};
use crate::manifest::{SHIPPED, Shipped, find};
use crate::nearest::nearest;
use crate::problem::Problem;

/// Lists the shipped manifests, or prints the one called `name`.
///
/// # Errors
/// When there is none of that name, or standard output cannot be written.
pub fn run(name: Option<&str>) -> Result<(), Error> {
    match name {
        Some(name) => match find(name) {
            Some(shipped) => print(shipped.text),
            None => Err(Error::one(format!("manifest {name}"), unknown(name))),
        },
        None => print(&SHIPPED.iter().map(line).collect::<Result<String, _>>()?),
    }
}

fn line(shipped: &Shipped) -> Result<String, Error> {
    let manifest = shipped.manifest().map_err(|faults| {
        let problems = faults.into_iter();
        let problem = |fault| Problem::of_manifest(shipped.name, fault).into();
        Error::Refused(problems.map(problem).collect())
    })?;
    Ok(format!("{:<9} {}\n", shipped.name, manifest.summary))
}

/// What is said of a name that is no manifest's.
pub(super) fn unknown(name: &str) -> Obstacle {
    let shipped = SHIPPED.iter().map(|shipped| shipped.name.to_owned());
    let nearest = nearest(name, shipped);
    Obstacle::ManifestUnknown { nearest }
}
