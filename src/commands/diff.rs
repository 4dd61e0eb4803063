//! `xinitrd diff`: two images compared by what a guest would get of them.

use std::path::Path;

use serde::Serialize;

use super::image::{Flaws, broken_off, name, of_flaws, once};
use super::obstacles::Obstacles;
use super::{json, output_error, print};
use crate::cli::DiffArgs;
use crate::error::{Error, Obstacle};
use crate::host;
use crate::inspect::compare::Comparison;
use crate::inspect::picture::Picture;
use crate::inspect::read::Depth;
use crate::inspect::{Guest, Inspection, inspect};
use crate::problem::Problem;
use crate::report::{GENERATOR, SCHEMA_VERSION};

/// The comparison, for pipelines.
#[derive(Serialize)]
struct Document<'d> {
    schema_version: u32,
    generator: &'static str,
    first: String,
    second: String,
    same: bool,
    #[serde(flatten)]
    comparison: &'d Comparison,
}

/// Prints what tells two images apart.
///
/// # Errors
/// When they differ, or one of them cannot be read to its end.
pub fn run(args: &DiffArgs) -> Result<(), Error> {
    let mut obstacles = Obstacles::default();
    obstacles.keep(once([&args.first, &args.second]));
    obstacles.none_before(Some(()))?;
    let (first, second) = both(read(&args.first, args), read(&args.second, args))?;
    let comparison = Comparison::of(&first, &second);
    let text = match args.json {
        true => json(&Document {
            schema_version: SCHEMA_VERSION,
            generator: GENERATOR,
            first: name(&args.first),
            second: name(&args.second),
            same: comparison.is_same(),
            comparison: &comparison,
        })
        .map_err(output_error)?,
        false => comparison.to_string(),
    };
    print(&text)?;
    match comparison.is_same() {
        true => Ok(()),
        false => Err(Error::Answered),
    }
}

/// Two images; or all that stands in the way of either.
fn both<T>(first: Result<T, Error>, second: Result<T, Error>) -> Result<(T, T), Error> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(Error::Refused(mut problems)), Err(Error::Refused(more))) => {
            problems.extend(more);
            Err(Error::Refused(problems))
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// The image, whole: what could not be read cannot be compared.
fn read(path: &Path, args: &DiffArgs) -> Result<Inspection, Error> {
    let unreadable = |source| Error::one(name(path), Obstacle::Unreadable(source));
    let source = host::image::open(path).map_err(unreadable)?;
    let told = |error| broken_off(path, &mut Flaws::default(), error);
    let limits = args.limits.limits();
    let inspection = inspect(source, limits, &Guest::default(), Depth::Digests).map_err(told)?;
    let Picture { flaws, limit, .. } = &*inspection.picture;
    let losses = flaws.iter().filter(|flaw| flaw.kind.loses_content());
    let flaws = of_flaws(path, losses.cloned());
    let limit = limit.map(|limit| Problem::new(name(path), Obstacle::LimitMet(limit)));
    let not_whole = |problem: Problem<Obstacle>| {
        Problem::new(problem.place, Obstacle::NotWhole(Box::new(problem.fault)))
    };
    let problems: Vec<_> = flaws.into_iter().chain(limit).map(not_whole).collect();
    match problems.is_empty() {
        true => Ok(inspection),
        false => Err(Error::Refused(problems)),
    }
}
