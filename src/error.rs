//! The command's own error: everything that stood in the way, and the exit code that says so.
//!
//! What is wrong with the input is the core's [`Fault`]; here is what can go wrong around it: what
//! was typed, and the host's files.

mod words;

use std::io;

use crate::archive::{FlawKind, LimitMet};
use crate::compress::BadLevel;
use crate::host::destination::PlaceFault;
use crate::image_path::BadPath;
use crate::inspect::finding::Finding;
use crate::kernel_version::NotAVersion;
use crate::manifest::{NoneServes, SHIPPED};
use crate::package::PackageError;
use crate::problem::{Explain, Fault, Problem, as_advice, did_you_mean, medium_advice};
use crate::record::depfile::Unwritable;
use crate::record::differences::Difference;
use crate::record::lock::{self, LockFault};
use crate::report::{ProblemReport, RefusalReport};
use crate::root::LookupError;
use words::{add_packages, in_image, output_advice, output_expected, plain, room_advice, some_of};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something stood in the way; everything that did.
    #[error("{}", list(.0))]
    Refused(Vec<Problem<Obstacle>>),
    /// The answer is no, and is printed: an image is bad, or two differ.
    #[error("the answer is no")]
    Answered,
    /// Some images cannot be read; that is printed, where a document was asked for, and what the
    /// others are.
    #[error("{}", list(.problems))]
    Unreadable {
        /// What stood in the way.
        problems: Vec<Problem<Obstacle>>,
        /// Whether another was judged bad.
        is_bad: bool,
    },
    /// A signal came.
    #[error("interrupted; {left}")]
    Interrupted {
        /// The signal's number.
        signal: i32,
        /// What is left by then: `no image was written`.
        left: &'static str,
    },
    /// Whoever read standard output has gone: nothing is said.
    #[error("standard output was closed")]
    ClosedOutput,
}

/// What can stand in a command's way.
#[derive(Debug)]
pub enum Obstacle {
    /// The input was judged bad, or could not be read.
    Input(Fault),
    /// What the guest's root says of its kernel cannot be used: no image was judged by it.
    GuestRoot(Fault),
    /// The arguments make no sense together or apart; in the parser's words.
    CommandLine(String),
    /// A directory that an option names cannot be had.
    Directory {
        /// What it should hold: `the guest's root`.
        holds: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A package cannot be read, or is bad.
    Package(PackageError),
    /// There is no kernel in the root.
    NoKernel {
        /// The packages that were given.
        given: Vec<String>,
        /// Those that go with them and were not.
        lacking: Vec<String>,
    },
    /// There is a kernel without a part of it.
    PartMissing {
        /// The part: `modules`.
        part: &'static str,
        /// The packages that go with those that were given.
        lacking: Vec<String>,
    },
    /// No kernel of the root has that name.
    KernelUnknown {
        /// The kernels there are.
        there: Vec<String>,
        /// Those that are spelt nearly so.
        nearest: Vec<String>,
    },
    /// No kernel was named, and there are several.
    KernelNotSaid {
        /// The kernels there are.
        there: Vec<String>,
    },
    /// The kernel's name says no version.
    KernelVersion(NotAVersion),
    /// No manifest has that name.
    ManifestUnknown {
        /// Those that are spelt nearly so.
        nearest: Vec<String>,
    },
    /// No manifest serves the kernel.
    NoneServes(NoneServes),
    /// A text of the host cannot be read.
    Text {
        /// What it should be: `a manifest`.
        expected: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A text of the host is none.
    NotUtf8,
    /// There is no rule of that name.
    RuleUnknown {
        /// Those that are spelt nearly so.
        nearest: Vec<String>,
    },
    /// A pattern is none; in the words of what reads it.
    Pattern(String),
    /// Standard input is asked for more than once.
    InputTwice,
    /// So many problems more are there, which are not told.
    More(usize),
    /// An image cannot be read whole, for this, and is of no use so.
    NotWhole(Box<Obstacle>),
    /// What was asked for is no path.
    NoPath(BadPath),
    /// An image has no such file.
    InImage(LookupError),
    /// The compression has no such level.
    Level(BadLevel),
    /// `SOURCE_DATE_EPOCH` is no time; its text.
    SourceDate(String),
    /// An image cannot be read: nothing is known of it.
    Unreadable(io::Error),
    /// An image is not as the format has it.
    Flaw(FlawKind),
    /// An image that was made is bad.
    Judged(Box<Finding>),
    /// An entry cannot be put where it belongs.
    Place(PlaceFault),
    /// An entry's name is no path.
    BadPath(BadPath),
    /// An entry's mode says no type.
    UnknownType(u32),
    /// No entry is what was asked for.
    NothingMatches,
    /// An image is larger than it may be.
    LimitMet(LimitMet),
    /// The image's file cannot be written.
    Output(io::Error),
    /// A file beside the image cannot be written.
    Record {
        /// The option that names it.
        option: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A file is to be two at once.
    OutputTwice {
        /// The other option that names it.
        other: &'static str,
    },
    /// A depfile is asked for, and there is no file that it could be of.
    NoTarget,
    /// A path cannot stand in a depfile.
    Depfile(Unwritable),
    /// A lock file is none.
    Lock(LockFault),
    /// Something is not as a lock file has it.
    Locked {
        /// How a person names the lock file.
        lock: String,
        /// What is not.
        difference: Box<Difference>,
    },
    /// The image cannot be written to standard output.
    Stream(io::Error),
    /// A result cannot be printed.
    Print(io::Error),
    /// The image stands, and its report cannot be printed.
    ReportLost {
        /// How a person names the image.
        image: String,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    /// The one problem `obstacle` with `place`.
    #[must_use]
    pub fn one(place: impl Into<String>, obstacle: Obstacle) -> Error {
        Error::Refused(vec![Problem::new(place, obstacle)])
    }

    /// The exit code: 1, the input was judged bad; 2, usage, or something cannot be read or
    /// written; 128 and the signal's number, as shells have it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Refused(problems) if problems.iter().any(|p| p.fault.is_judgement()) => 1,
            Error::Answered | Error::Unreadable { is_bad: true, .. } => 1,
            Error::Refused(_) | Error::Unreadable { .. } | Error::ClosedOutput => 2,
            Error::Interrupted { signal, .. } => {
                128u8.saturating_add(u8::try_from(*signal).unwrap_or(0))
            }
        }
    }

    /// What is left behind by a command that writes, where there is something to say of it.
    #[must_use]
    pub fn left(&self, writes: Writes) -> Option<String> {
        let Error::Refused(problems) = self else {
            return None;
        };
        let mut obstacles = problems.iter().map(|problem| &problem.fault);
        match writes {
            Writes::Nothing | Writes::Tree => None,
            Writes::Image => obstacles
                .find_map(Obstacle::left_of_image)
                .or_else(|| Some("nothing was written".to_owned())),
            Writes::Entries => obstacles
                .all(Obstacle::is_of_an_entry)
                .then(|| "what else was asked for, and could be read, is extracted".to_owned()),
        }
    }

    /// The same, for pipelines.
    #[must_use]
    pub fn report(&self) -> RefusalReport {
        RefusalReport::of(match self {
            Error::Refused(problems) | Error::Unreadable { problems, .. } => {
                problems.iter().map(ProblemReport::from).collect()
            }
            Error::Interrupted { signal, left } => vec![ProblemReport {
                place: "xinitrd".to_owned(),
                found: format!("signal {signal}"),
                expected: "to be let finish".to_owned(),
                advice: format!("run it again; {left}"),
            }],
            Error::Answered | Error::ClosedOutput => Vec::new(),
        })
    }
}

fn list(problems: &[Problem<Obstacle>]) -> String {
    let counted = problems.iter().map(|problem| match problem.fault {
        Obstacle::More(count) => count,
        _ => 1,
    });
    let count = match counted.sum::<usize>() {
        1 => "1 problem".to_owned(),
        n => format!("{n} problems"),
    };
    let mut text: String = problems.iter().map(|p| format!("{p}\n")).collect();
    text += &count;
    text
}

/// What a command writes, besides what it prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writes {
    /// Nothing.
    #[default]
    Nothing,
    /// An image.
    Image,
    /// The entries of one.
    Entries,
    /// A directory, of packages.
    Tree,
}

impl Obstacle {
    /// What is left of an image that was to be written, where it is something.
    fn left_of_image(&self) -> Option<String> {
        match self {
            Obstacle::Stream(_) => Some("what was written is no whole image".to_owned()),
            Obstacle::ReportLost { image, .. } => Some(format!("{image} is written, and whole")),
            _ => None,
        }
    }

    /// Whether it was met while entries were extracted, others of which are there.
    fn is_of_an_entry(&self) -> bool {
        matches!(
            self,
            Obstacle::Flaw(_)
                | Obstacle::LimitMet(_)
                | Obstacle::Place(_)
                | Obstacle::BadPath(_)
                | Obstacle::UnknownType(_)
                | Obstacle::More(_)
                | Obstacle::NothingMatches
        )
    }
}

impl Explain for Obstacle {
    fn is_judgement(&self) -> bool {
        match self {
            Obstacle::Input(fault) => fault.is_judgement(),
            Obstacle::GuestRoot(_) => false,
            Obstacle::Place(fault) => fault.is_judgement(),
            Obstacle::Package(error) => error.is_judgement(),
            Obstacle::NotUtf8
            | Obstacle::InImage(_)
            | Obstacle::Judged(_)
            | Obstacle::Flaw(_)
            | Obstacle::LimitMet(_)
            | Obstacle::BadPath(_)
            | Obstacle::UnknownType(_)
            | Obstacle::More(_)
            | Obstacle::Lock(_)
            | Obstacle::Locked { .. }
            | Obstacle::NothingMatches => true,
            _ => false,
        }
    }

    fn found(&self) -> String {
        match self {
            Obstacle::Input(fault) | Obstacle::GuestRoot(fault) => fault.found(),
            Obstacle::CommandLine(words) => words.clone(),
            Obstacle::Judged(finding) => format!("{} ({})", finding.found, finding.rule.name),
            Obstacle::Place(fault) => fault.found(),
            Obstacle::Package(error) => error.to_string(),
            Obstacle::BadPath(bad) => bad.to_string(),
            Obstacle::UnknownType(mode) => format!("mode {mode:o}, which is of no type"),
            Obstacle::NothingMatches => "no entry matches".to_owned(),
            Obstacle::More(count) => format!("{count} more, which are not told one by one"),
            Obstacle::Pattern(words) => words.clone(),
            Obstacle::InputTwice => "it is named more than once".to_owned(),
            Obstacle::NoPath(bad) => bad.to_string(),
            Obstacle::NotWhole(obstacle) => obstacle.found(),
            Obstacle::InImage(error) => in_image(error),
            Obstacle::RuleUnknown { .. } => "no rule of that name".to_owned(),
            Obstacle::Flaw(flaw) => flaw.found(),
            Obstacle::LimitMet(limit) => limit.to_string(),
            Obstacle::Unreadable(source) => plain(source),
            Obstacle::SourceDate(text) => format!("`{text}`"),
            Obstacle::Directory { source, .. } | Obstacle::Text { source, .. } => plain(source),
            Obstacle::NoKernel { given, .. } if given.is_empty() => "no kernel".to_owned(),
            Obstacle::NoKernel { given, .. } => format!("no kernel; given are {}", some_of(given)),
            Obstacle::PartMissing { part, .. } => format!("a kernel without {part}"),
            Obstacle::KernelUnknown { .. } => "no kernel of that name".to_owned(),
            Obstacle::KernelNotSaid { .. } => "several kernels".to_owned(),
            Obstacle::KernelVersion(error) => error.to_string(),
            Obstacle::ManifestUnknown { .. } => "no manifest of that name".to_owned(),
            Obstacle::NoneServes(none) => none.to_string(),
            Obstacle::NotUtf8 => "bytes that are not UTF-8".to_owned(),
            Obstacle::Level(bad) => bad.to_string(),
            Obstacle::OutputTwice { other } => format!("the file that {other} names"),
            Obstacle::NoTarget => "-o -".to_owned(),
            Obstacle::Depfile(bad) => bad.to_string(),
            Obstacle::Lock(fault) => fault.to_string(),
            Obstacle::Locked { difference, .. } => difference.found.clone(),
            Obstacle::Output(source) | Obstacle::Record { source, .. } => match source.kind() {
                io::ErrorKind::AlreadyExists => "it is there already".to_owned(),
                io::ErrorKind::IsADirectory => "a directory".to_owned(),
                _ => plain(source),
            },
            Obstacle::Stream(source)
            | Obstacle::Print(source)
            | Obstacle::ReportLost { source, .. } => plain(source),
        }
    }

    fn expected(&self) -> String {
        match self {
            Obstacle::Input(fault) | Obstacle::GuestRoot(fault) => fault.expected(),
            Obstacle::Judged(finding) => finding.expected.clone(),
            Obstacle::Place(fault) => fault.expected(),
            Obstacle::Package(error) => error.expected().to_owned(),
            Obstacle::BadPath(_) => "a path inside the image".to_owned(),
            Obstacle::UnknownType(_) => {
                "a file, directory, link, device, pipe or socket".to_owned()
            }
            Obstacle::NothingMatches => "an entry of that path".to_owned(),
            Obstacle::More(_) => "none".to_owned(),
            Obstacle::Pattern(_) => {
                "a path; * and ? in it stand for any characters, [a-z] for one of these".to_owned()
            }
            Obstacle::InputTwice => "one image there: it can be read but once".to_owned(),
            Obstacle::NotWhole(obstacle) => obstacle.expected(),
            Obstacle::InImage(_) | Obstacle::NoPath(_) => {
                "the path of a file in the image".to_owned()
            }
            Obstacle::RuleUnknown { .. } => "one that `xinitrd explain` lists".to_owned(),
            Obstacle::Flaw(flaw) => flaw.expected(),
            Obstacle::LimitMet(_) => "an image that a guest could boot from".to_owned(),
            Obstacle::Unreadable(_) => "an image that can be read".to_owned(),
            Obstacle::CommandLine(_) => "arguments as --help has them".to_owned(),
            Obstacle::Directory { holds, .. } => format!("a directory: {holds}"),
            Obstacle::NoKernel { .. } => {
                "a directory called as the kernel's release, here or in usr/lib/modules".to_owned()
            }
            Obstacle::PartMissing { .. } => "all of it there".to_owned(),
            Obstacle::KernelUnknown { there, .. } | Obstacle::KernelNotSaid { there } => {
                format!("one of {}", some_of(there))
            }
            Obstacle::KernelVersion(_) => "a version first, as in 6.1.0-43-amd64".to_owned(),
            Obstacle::ManifestUnknown { .. } => {
                let shipped = SHIPPED.map(|shipped| shipped.name).join(", ");
                format!("one of {shipped}; or a file, as ./mine.toml")
            }
            Obstacle::NoneServes(none) => format!("a kernel of {}", none.served()),
            Obstacle::Text { expected, .. } => (*expected).to_owned(),
            Obstacle::NotUtf8 => "TOML, which is UTF-8".to_owned(),
            Obstacle::Level(bad) => {
                let levels = bad.compression.levels();
                format!("a level from {} to {}", levels.start(), levels.end())
            }
            Obstacle::SourceDate(_) => "seconds since 1970, below 2^32".to_owned(),
            Obstacle::OutputTwice { .. } => "a file of its own".to_owned(),
            Obstacle::NoTarget => "an image in a file, which depends on others".to_owned(),
            Obstacle::Depfile(_) => {
                "letters, digits, spaces and !#$()+,-./:@\\_{}~ in the paths".to_owned()
            }
            Obstacle::Lock(LockFault::Schema { .. }) => {
                format!("one of form {}", lock::SCHEMA_VERSION)
            }
            Obstacle::Lock(_) => "a file that --lock wrote, whole".to_owned(),
            Obstacle::Locked { lock, difference } => {
                format!("{}, as {lock} has it", difference.expected)
            }
            Obstacle::Output(source) | Obstacle::Record { source, .. } => {
                output_expected(source.kind()).to_owned()
            }
            Obstacle::Stream(_) => "to take the whole image".to_owned(),
            Obstacle::Print(_) => "to take all that is printed".to_owned(),
            Obstacle::ReportLost { .. } => "a place to print it".to_owned(),
        }
    }

    fn advice(&self) -> String {
        match self {
            Obstacle::Input(fault) | Obstacle::GuestRoot(fault) => fault.advice(),
            Obstacle::Judged(finding) => as_advice(finding.cure),
            Obstacle::Place(fault) => fault.advice(),
            Obstacle::Package(PackageError::Io(source)) => medium_advice(source).to_owned(),
            Obstacle::Package(error) => error.advice().to_owned(),
            Obstacle::BadPath(_) | Obstacle::UnknownType(_) => {
                "judge the image with xinitrd inspect before it is used".to_owned()
            }
            Obstacle::More(_) => "see to those above first, then look again".to_owned(),
            Obstacle::Pattern(_) => {
                "put a backslash before a character that stands for itself".to_owned()
            }
            Obstacle::InputTwice => "lay one of them in a file first".to_owned(),
            Obstacle::NotWhole(obstacle) => obstacle.advice(),
            Obstacle::InImage(LookupError::WrongKind { .. }) => "name a file".to_owned(),
            Obstacle::NothingMatches | Obstacle::InImage(_) | Obstacle::NoPath(_) => {
                "see xinitrd list, which prints the paths".to_owned()
            }
            Obstacle::RuleUnknown { nearest } => {
                did_you_mean(nearest, || "see xinitrd explain".to_owned())
            }
            Obstacle::Flaw(flaw) => flaw.advice(),
            Obstacle::LimitMet(limit) => {
                format!("if it is to be trusted, raise {}", limit.option())
            }
            Obstacle::Unreadable(source) => medium_advice(source).to_owned(),
            Obstacle::CommandLine(_) => "see xinitrd --help, and xinitrd COMMAND --help".to_owned(),
            Obstacle::Directory { source, .. } | Obstacle::Text { source, .. } => {
                medium_advice(source).to_owned()
            }
            Obstacle::NoKernel { given, lacking } if given.is_empty() && lacking.is_empty() => {
                "unpack the kernel's package there, or check --root".to_owned()
            }
            Obstacle::NoKernel { lacking, .. } | Obstacle::PartMissing { lacking, .. } => {
                add_packages(lacking)
            }
            Obstacle::KernelUnknown { nearest, .. } => {
                did_you_mean(nearest, || "take one of these, or check --root".to_owned())
            }
            Obstacle::KernelNotSaid { .. } => "say which with --kernel".to_owned(),
            Obstacle::KernelVersion(_) => {
                "call the directory as the kernel's release, a suffix after it".to_owned()
            }
            Obstacle::ManifestUnknown { nearest } => did_you_mean(nearest, || {
                "see xinitrd manifests, which lists them".to_owned()
            }),
            Obstacle::NoneServes(_) => "name one with --manifest".to_owned(),
            Obstacle::NotUtf8 => "save the file as UTF-8".to_owned(),
            Obstacle::Level(_) => "leave --level out: the default is a good one".to_owned(),
            Obstacle::SourceDate(_) => "unset it, or set it to such a number".to_owned(),
            Obstacle::OutputTwice { .. } => "name another file".to_owned(),
            Obstacle::NoTarget => "name the image's file with -o".to_owned(),
            Obstacle::Depfile(_) => "call it otherwise, or lay it elsewhere".to_owned(),
            Obstacle::Lock(LockFault::Schema { .. }) => {
                "take the version of xinitrd that wrote it, or lock anew with --lock".to_owned()
            }
            Obstacle::Lock(_) => {
                "take it from where it is kept, or lock anew with --lock".to_owned()
            }
            Obstacle::Locked { difference, .. } => difference.advice().to_owned(),
            Obstacle::Output(source) => output_advice(source.kind(), "-o"),
            Obstacle::Record { option, source } => output_advice(source.kind(), option),
            Obstacle::Stream(source) | Obstacle::Print(source) => {
                room_advice(source.kind()).to_owned()
            }
            Obstacle::ReportLost { .. } => {
                "use the image: it is good; for its report, run this again with -f".to_owned()
            }
        }
    }
}

impl From<Fault> for Obstacle {
    fn from(fault: Fault) -> Self {
        Obstacle::Input(fault)
    }
}

impl From<Problem> for Problem<Obstacle> {
    fn from(Problem { place, fault }: Problem) -> Self {
        Problem::new(place, fault)
    }
}
