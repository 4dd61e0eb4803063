//! The command's own error: what went wrong, and the exit code that says so.

use std::path::PathBuf;

use crate::kmod::order::OrderFault;
use crate::manifest::ManifestFault;
use crate::problem::Problem;
use crate::root::LookupError;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input was judged bad, or could not be read; every problem there is.
    #[error("{}", list(.0))]
    Refused(Vec<Problem>),
    /// A manifest has faults; every one.
    #[error("{}", manifest_faults(.name, .faults))]
    Manifest {
        /// Its file or name.
        name: String,
        /// What is wrong with it.
        faults: Vec<ManifestFault>,
    },
    /// A load order cannot be made.
    #[error("{}", .0.iter().map(order_fault).collect::<Vec<_>>().join("\n"))]
    Order(Vec<OrderFault>),
    /// The command was used wrongly.
    #[error("{0}")]
    Usage(String),
    /// A file of the host cannot be read or written.
    #[error("cannot {operation} {}: {source}", path.display())]
    Host {
        /// `read`, `write`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of the root cannot be read.
    #[error("cannot read {place}: {source}")]
    Root {
        /// The file.
        place: String,
        /// Why.
        source: LookupError,
    },
    /// A signal came.
    #[error("interrupted; nothing was written")]
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
    /// Whoever read standard output has gone: nothing is said.
    #[error("standard output was closed")]
    ClosedOutput,
}

impl Error {
    /// The exit code: 1, the input was judged bad; 2, usage, or something cannot be read or
    /// written; 128 and the signal's number, as shells have it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Refused(problems) if problems.iter().any(Problem::is_judgement) => 1,
            Error::Manifest { .. } => 1,
            Error::Order(faults) => {
                let judged =
                    |fault: &OrderFault| !matches!(fault, OrderFault::Lookup(e) if e.is_io());
                if faults.iter().any(judged) { 1 } else { 2 }
            }
            Error::Interrupted { signal } => {
                128u8.saturating_add(u8::try_from(*signal).unwrap_or(0))
            }
            _ => 2,
        }
    }
}

fn list(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 problem; nothing was written".to_owned(),
        n => format!("{n} problems; nothing was written"),
    };
    problems
        .iter()
        .map(ToString::to_string)
        .chain([count])
        .collect::<Vec<_>>()
        .join("\n")
}

fn manifest_faults(name: &str, faults: &[ManifestFault]) -> String {
    faults
        .iter()
        .map(|fault| format!("{name}:{fault}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn order_fault(fault: &OrderFault) -> String {
    match fault {
        OrderFault::NotFound { nearest, .. } if !nearest.is_empty() => {
            format!("{fault}; did you mean {}?", nearest.join(" or "))
        }
        _ => fault.to_string(),
    }
}
