//! `xinitrd inspect`: images judged, whoever made them.

use std::path::{Path, PathBuf};

use super::explain;
use super::guest::{choose_kernel, open_root};
use super::image::{broken_off, name};
use super::obstacles::Obstacles;
use super::{print, processors};
use crate::cli::InspectArgs;
use crate::error::{Error, Obstacle};
use crate::host;
use crate::inspect::guest_kernel::GuestKernel;
use crate::inspect::read::Depth;
use crate::inspect::report::InspectionReport;
use crate::inspect::verdict::Policy;
use crate::inspect::{Guest, inspect};
use crate::parallel;
use crate::problem::Problem;
use crate::report::RefusalReport;

/// Judges the images, and prints for each what is in it and what was found.
///
/// # Errors
/// When an image is judged bad, or cannot be read; the others are judged all the same.
pub fn run(args: &InspectArgs) -> Result<(), Error> {
    let policy = policy(args)?;
    let guest = guest(args)?;
    let images = args.images.iter().collect();
    let judged = parallel::map(images, processors(args.threads), |path: &PathBuf| {
        judge(path, args, &guest, &policy)
    });
    let mut is_bad = false;
    let mut unreadable = Vec::new();
    for report in judged {
        match report {
            Ok(report) => {
                is_bad |= report.errors > 0;
                print(&text(&report, args.json)?)?;
            }
            Err(error) => {
                if args.json {
                    print(&refusal(&error)?)?;
                }
                unreadable.push(error);
            }
        }
    }
    answer(is_bad, unreadable)
}

/// What is said of all images together.
fn answer(is_bad: bool, unreadable: Vec<Error>) -> Result<(), Error> {
    let mut problems = Vec::new();
    for error in unreadable {
        match error {
            Error::Refused(some) => problems.extend(some),
            other => return Err(other),
        }
    }
    match (is_bad, problems.is_empty()) {
        (false, true) => Ok(()),
        (true, true) => Err(Error::Answered),
        (is_bad, false) => Err(Error::Unreadable { problems, is_bad }),
    }
}

fn judge(
    path: &Path,
    args: &InspectArgs,
    guest: &Guest,
    policy: &Policy,
) -> Result<InspectionReport, Error> {
    let unreadable = |source| Error::one(name(path), Obstacle::Unreadable(source));
    let source = host::image::open(path).map_err(unreadable)?;
    let mut inspection = inspect(source, args.limits.limits(), guest, Depth::Facts)
        .map_err(|error| broken_off(path, &mut Vec::new(), error))?;
    let verdict = policy.weigh(std::mem::take(&mut inspection.findings));
    Ok(InspectionReport::new(name(path), &inspection, &verdict))
}

/// What the user makes of the rules.
fn policy(args: &InspectArgs) -> Result<Policy, Error> {
    let mut policy = Policy::default();
    for rule in &args.deny {
        match rule.as_str() {
            "warnings" => policy.deny_warnings = true,
            name => drop(policy.denied.insert(explain::find(name)?.name)),
        }
    }
    for name in &args.allow {
        policy.allowed.insert(explain::find(name)?.name);
    }
    Ok(policy)
}

/// What is known of the guest.
fn guest(args: &InspectArgs) -> Result<Guest, Error> {
    let mut obstacles = Obstacles::default();
    let root = guest_kernel(args, &mut obstacles);
    let release = args.kernel_version.as_deref().or(args.kernel.as_deref());
    let kernel = release.and_then(|release| {
        let unknown = |error| {
            let place = format!("kernel {release}");
            Problem::<Obstacle>::new(place, Obstacle::KernelVersion(error))
        };
        obstacles.keep(release.parse().map_err(unknown))
    });
    let guest = Guest {
        kernel,
        arch: args.arch,
        root,
        xen: args.xen,
        devices: args.device.clone(),
    };
    obstacles.none_before(Some(guest))
}

/// What the guest's root says of its kernel, where one was named.
fn guest_kernel(args: &InspectArgs, obstacles: &mut Obstacles) -> Option<GuestKernel> {
    let (path, kernel) = (args.root.as_deref()?, args.kernel.as_deref()?);
    let root = obstacles.keep(open_root("--root", "the guest's root", path))?;
    let kernel = obstacles.keep(choose_kernel(Some(kernel), &root))?;
    let read = GuestKernel::read(&root, &kernel.name);
    let problem = |error| Problem::of_lookup(root.shown(&kernel.modules), error);
    obstacles.keep(read.map_err(problem))
}

fn text(report: &InspectionReport, json: bool) -> Result<String, Error> {
    match json {
        true => line(report),
        false => Ok(report.to_string()),
    }
}

/// A document in one line.
fn line(document: &impl serde::Serialize) -> Result<String, Error> {
    let text =
        serde_json::to_string(document).map_err(|error| super::output_error(error.into()))?;
    Ok(text + "\n")
}

fn refusal(error: &Error) -> Result<String, Error> {
    let report: RefusalReport = error.report();
    line(&report)
}
