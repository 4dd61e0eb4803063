//! `xinitrd inspect`: images judged, whoever made them.

use std::path::Path;

use super::explain;
use super::guest::open_root;
use super::image::{Image, name};
use super::obstacles::Obstacles;
use super::{print, processors, shown};
use crate::cli::InspectArgs;
use crate::error::{Error, Obstacle};
use crate::inspect::guest_kernel::GuestKernel;
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
    let judged = parallel::map(
        images,
        processors(args.threads),
        |path: &std::path::PathBuf| judge(path, args, &guest, &policy),
    );
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
    let mut image = Image::open(path, args.limits.limits())?;
    let mut inspection = image.read(|archive| inspect(archive, guest))?;
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
    let kernel = args.kernel_version.as_deref().map(|release| {
        let unknown = |error| {
            let place = format!("--kernel-version {release}");
            Problem::<Obstacle>::new(place, Obstacle::KernelVersion(error))
        };
        obstacles.keep(release.parse().map_err(unknown))
    });
    let guest = Guest {
        kernel: kernel.flatten(),
        arch: args.arch,
        root: guest_kernel(args, &mut obstacles),
        xen: args.xen,
    };
    obstacles.none_before(Some(guest))
}

/// What the guest's root says of its kernel.
fn guest_kernel(args: &InspectArgs, obstacles: &mut Obstacles) -> Option<GuestKernel> {
    let (directory, kernel) = (args.root.as_ref()?, args.kernel.as_ref()?);
    let root = obstacles.keep(open_root("--root", "the guest's root", directory))?;
    let read = GuestKernel::read(&root, kernel);
    obstacles.keep(read.map_err(|error| {
        let problem = Problem::of_lookup(format!("--root {}", shown(directory)), error);
        Problem::<Obstacle>::from(problem)
    }))
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
