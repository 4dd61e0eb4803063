//! `xinitrd inspect`: images judged, whoever made them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::explain;
use super::guest::choose_kernel;
use super::image::{Flaws, broken_off, name, once};
use super::layers::{Opened, open_layers};
use super::observer::Observer;
use super::obstacles::Obstacles;
use super::{json_line, output_error, print, processors};
use crate::cli::InspectArgs;
use crate::error::{Error, Obstacle};
use crate::host::image::{self, Again};
use crate::inspect::guest_kernel::GuestKernel;
use crate::inspect::read::Depth;
use crate::inspect::report::InspectionReport;
use crate::inspect::verdict::Policy;
use crate::inspect::{Guest, inspect, inspect_for_own_kernel};
use crate::parallel;
use crate::problem::Problem;
use crate::report::RefusalReport;

/// What stands for every rule, where rules are denied.
const WARNINGS: &str = "warnings";

/// Judges the images, and prints for each what is in it and what was found, as soon as that and what stands
/// before it is known.
///
/// # Errors
/// When an image is judged bad, or cannot be read; the others are judged all the same.
pub fn run(args: &InspectArgs) -> Result<(), Error> {
    let (policy, guest) = asked(args)?;
    let mut told = Told {
        json: args.json,
        ..Told::default()
    };
    let mut failed = None;
    let images: Vec<&PathBuf> = args.images.iter().collect();
    let judge = |path: &PathBuf| judge(path, args, &guest, &policy);
    parallel::each(images, processors(args.threads), judge, |path, judged| {
        failed = told.tell(path, judged).err();
        failed.is_none()
    });
    failed.map_or_else(|| told.answer(), Err)
}

/// What has been told so far.
#[derive(Default)]
struct Told {
    json: bool,
    /// Whether a report has been printed.
    has_begun: bool,
    is_bad: bool,
    problems: Vec<Problem<Obstacle>>,
}

impl Told {
    fn tell(&mut self, path: &Path, judged: Result<InspectionReport, Error>) -> Result<(), Error> {
        match judged {
            Ok(report) => {
                self.is_bad |= report.errors > 0;
                print(&text(&report, !self.has_begun, self.json)?)?;
                self.has_begun = true;
            }
            Err(error) => {
                if self.json {
                    print(&refusal(path, &error)?)?;
                }
                self.problems.extend(refused(error)?);
            }
        }
        Ok(())
    }

    fn answer(self) -> Result<(), Error> {
        let Told {
            is_bad, problems, ..
        } = self;
        match (is_bad, problems.is_empty()) {
            (false, true) => Ok(()),
            (true, true) => Err(Error::Answered),
            (is_bad, false) => Err(Error::Unreadable { problems, is_bad }),
        }
    }
}

/// What the images are to be judged by, and for what guest.
fn asked(args: &InspectArgs) -> Result<(Policy, Guest), Error> {
    let mut obstacles = Obstacles::default();
    obstacles.keep(once(&args.images));
    let policy = policy(args, &mut obstacles);
    let root = guest_kernel(args, &mut obstacles);
    // A directory may be called otherwise; then its modules say what they are of.
    let in_root = root.as_ref().and_then(|kernel| kernel.release.parse().ok());
    let said = args.kernel_version.as_ref();
    let guest = Guest {
        kernel: said.map(|said| said.version).or(in_root),
        release: said.and_then(|said| said.release.clone()),
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
    let limits = args.limits.limits();
    let inspected = match guest.kernel {
        Some(_) => {
            let source = image::open(path).map_err(unreadable)?;
            inspect(source, limits, guest, Depth::Facts)
        }
        None => {
            let (source, kept) = Again::behind(path).map_err(unreadable)?;
            inspect_for_own_kernel(source, || kept.reader(), limits, guest, Depth::Facts)
        }
    };
    let broken = |error| broken_off(path, &mut Flaws::default(), error);
    let mut inspection = inspected.map_err(broken)?;
    let verdict = policy.weigh(std::mem::take(&mut inspection.findings));
    Ok(InspectionReport::new(name(path), &inspection, &verdict))
}

/// What the user makes of the rules.
fn policy(args: &InspectArgs, obstacles: &mut Obstacles) -> Policy {
    let (denied, deny_warnings) = named(&args.deny, obstacles);
    let (allowed, allow_warnings) = named(&args.allow, obstacles);
    Policy {
        denied,
        deny_warnings,
        allowed,
        allow_warnings,
    }
}

/// The rules of these names, and whether all warnings are named among them.
fn named(names: &[String], obstacles: &mut Obstacles) -> (HashSet<&'static str>, bool) {
    let (warnings, rules): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(String::as_str)
        .partition(|name| *name == WARNINGS);
    let find = |name: &str| obstacles.keep(explain::find(name, &[WARNINGS]));
    let rules = rules.into_iter().filter_map(find);
    (rules.map(|rule| rule.name).collect(), !warnings.is_empty())
}

/// What the guest's root says of its kernel: of the one that is named, or the only one there is.
fn guest_kernel(args: &InspectArgs, obstacles: &mut Obstacles) -> Option<GuestKernel> {
    if args.layers.0.is_empty() {
        return None;
    }
    let Opened { root, packages } = open_layers(
        &args.layers,
        processors(args.threads),
        &Observer::idle(),
        obstacles,
    )?;
    let chosen = choose_kernel(args.kernel.as_deref(), &root, &packages);
    let kernel = obstacles.keep(chosen)?;
    let shown = root.shown(&kernel.modules);
    let read = GuestKernel::read(&root, &kernel.name).and_then(|read| read.with_modules(root));
    let unusable = |error| {
        let Problem { place, fault } = Problem::of_lookup(shown, error);
        Problem::<Obstacle>::new(place, Obstacle::GuestRoot(fault))
    };
    obstacles.keep(read.map_err(unusable))
}

/// A report, as text with an empty line between two.
fn text(report: &InspectionReport, is_first: bool, json: bool) -> Result<String, Error> {
    match (json, is_first) {
        (true, _) => json_line(report).map_err(output_error),
        (false, true) => Ok(report.to_string()),
        (false, false) => Ok(format!("\n{report}")),
    }
}

/// Why there is no report of an image.
#[derive(Serialize)]
struct Unread {
    image: String,
    verdict: &'static str,
    #[serde(flatten)]
    refusal: RefusalReport,
}

fn refusal(path: &Path, error: &Error) -> Result<String, Error> {
    let unread = Unread {
        image: name(path),
        verdict: "unreadable",
        refusal: error.report(),
    };
    json_line(&unread).map_err(output_error)
}
