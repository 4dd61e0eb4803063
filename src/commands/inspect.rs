//! `xinitrd inspect`: images judged, whoever made them.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::explain;
use super::guest::{choose_kernel, open_root};
use super::image::{broken_off, name, once};
use super::obstacles::Obstacles;
use super::{json_line, output_error, print, processors};
use crate::cli::InspectArgs;
use crate::error::{Error, Obstacle};
use crate::host::image::Again;
use crate::inspect::guest_kernel::GuestKernel;
use crate::inspect::read::Depth;
use crate::inspect::report::InspectionReport;
use crate::inspect::verdict::Policy;
use crate::inspect::{Guest, inspect, inspect_as};
use crate::parallel;
use crate::problem::Problem;
use crate::report::RefusalReport;

/// What stands for every rule, where rules are denied.
const WARNINGS: &str = "warnings";

/// Judges the images, and prints for each what is in it and what was found.
///
/// # Errors
/// When an image is judged bad, or cannot be read; the others are judged all the same.
pub fn run(args: &InspectArgs) -> Result<(), Error> {
    let (policy, guest) = asked(args)?;
    let images = args.images.iter().collect();
    let judged = parallel::map(images, processors(args.threads), |path: &PathBuf| {
        let report = judge(path, args, &guest, &policy);
        (path, report)
    });
    let mut is_bad = false;
    let mut problems = Vec::new();
    for (number, (path, judged)) in judged.into_iter().enumerate() {
        match judged {
            Ok(report) => {
                is_bad |= report.errors > 0;
                print(&text(&report, number, args.json)?)?;
            }
            Err(error) => {
                if args.json {
                    print(&refusal(path, &error)?)?;
                }
                problems.extend(refused(error)?);
            }
        }
    }
    match (is_bad, problems.is_empty()) {
        (false, true) => Ok(()),
        (true, true) => Err(Error::Answered),
        (is_bad, false) => Err(Error::Unreadable { problems, is_bad }),
    }
}

/// What the images are to be judged by, and for what guest.
fn asked(args: &InspectArgs) -> Result<(Policy, Guest), Error> {
    let mut obstacles = Obstacles::default();
    obstacles.keep(once(&args.images));
    let policy = policy(args, &mut obstacles);
    let root = guest_kernel(args, &mut obstacles);
    let named = args.kernel.as_deref();
    let guest = Guest {
        // A directory may be called otherwise; then its modules say what they are of.
        kernel: args.kernel_version.or_else(|| named?.parse().ok()),
        arch: args.arch,
        root,
        xen: args.xen,
        devices: args.device.clone(),
    };
    obstacles.none_before(Some((policy, guest)))
}

/// What stands in one image's way.
fn refused(error: Error) -> Result<Vec<Problem<Obstacle>>, Error> {
    match error {
        Error::Refused(problems) => Ok(problems),
        other => Err(other),
    }
}

fn judge(
    path: &Path,
    args: &InspectArgs,
    guest: &Guest,
    policy: &Policy,
) -> Result<InspectionReport, Error> {
    let unreadable = |source| Error::one(name(path), Obstacle::Unreadable(source));
    let (source, again) = Again::behind(path).map_err(unreadable)?;
    let limits = args.limits.limits();
    let broken = |error| broken_off(path, &mut Vec::new(), error);
    let mut inspection = inspect(source, limits, guest, Depth::Facts).map_err(broken)?;
    if let Some(kernel) = inspection.other_kernel {
        let source = again.reader().map_err(unreadable)?;
        inspection = inspect_as(source, limits, guest, Depth::Facts, kernel).map_err(broken)?;
    }
    let verdict = policy.weigh(std::mem::take(&mut inspection.findings));
    Ok(InspectionReport::new(name(path), &inspection, &verdict))
}

/// What the user makes of the rules.
fn policy(args: &InspectArgs, obstacles: &mut Obstacles) -> Policy {
    let (warnings, denied): (Vec<&str>, Vec<&str>) = args
        .deny
        .iter()
        .map(String::as_str)
        .partition(|rule| *rule == WARNINGS);
    let mut find = |rule: &str, others: &[&str]| {
        let found = obstacles.keep(explain::find(rule, others));
        found.map(|rule| rule.name)
    };
    Policy {
        denied: denied
            .into_iter()
            .filter_map(|rule| find(rule, &[WARNINGS]))
            .collect(),
        deny_warnings: !warnings.is_empty(),
        allowed: args
            .allow
            .iter()
            .filter_map(|rule| find(rule, &[]))
            .collect(),
    }
}

/// What the guest's root says of its kernel, where one was named.
fn guest_kernel(args: &InspectArgs, obstacles: &mut Obstacles) -> Option<GuestKernel> {
    let (path, kernel) = (args.root.as_deref()?, args.kernel.as_deref()?);
    let root = obstacles.keep(open_root("--root", "the guest's root", path))?;
    let kernel = obstacles.keep(choose_kernel(Some(kernel), &root))?;
    let shown = root.shown(&kernel.modules);
    let read = GuestKernel::read(&root, &kernel.name).and_then(|read| read.with_modules(root));
    obstacles.keep(read.map_err(|error| Problem::of_lookup(shown, error)))
}

/// The report of the image of that number, as text with an empty line between two.
fn text(report: &InspectionReport, number: usize, json: bool) -> Result<String, Error> {
    match (json, number) {
        (true, _) => json_line(report).map_err(output_error),
        (false, 0) => Ok(report.to_string()),
        (false, _) => Ok(format!("\n{report}")),
    }
}

/// Why there is no report of an image.
#[derive(Serialize)]
struct Unread {
    image: String,
    #[serde(flatten)]
    refusal: RefusalReport,
}

fn refusal(path: &Path, error: &Error) -> Result<String, Error> {
    let unread = Unread {
        image: name(path),
        refusal: error.report(),
    };
    json_line(&unread).map_err(output_error)
}
