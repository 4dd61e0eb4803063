//! The executables: found, proved to be the guest's, and followed to the libraries they need.

use memchr::memmem;

use super::{Assembler, PlacedBinary};
use crate::arch::Arch;
use crate::digest::Digest;
use crate::elf::ElfFault;
use crate::elf::program::{ProgramFacts, Role};
use crate::image_path::ImagePath;
use crate::libraries::{Libraries, Library};
use crate::manifest::Binary;
use crate::plan::{Entry, Node, Purpose};
use crate::problem::{Fault, Problem};
use crate::root::LookupError;

/// How far from one applet's name the others are looked for first: all of busybox's take 3 KB.
const AROUND: usize = 16 << 10;

/// A binary that was found.
struct FoundBinary {
    bytes: Vec<u8>,
    /// Where it really lies; nowhere in the root when it came from a `--bins` directory.
    in_root: ImagePath,
    origin: String,
}

/// A binary that the guest can run.
struct JudgedBinary<'m> {
    spec: &'m Binary,
    found: FoundBinary,
    facts: ProgramFacts,
}

impl Assembler<'_> {
    /// Puts every binary that applies, and its libraries, into the plan.
    pub(super) fn binaries(&mut self, guest: Arch) -> Vec<PlacedBinary> {
        let request = self.request;
        let mut judged = Vec::new();
        for spec in &request.manifest.binaries {
            if self.applies(spec.when) {
                judged.extend(self.judged_binary(spec, guest));
            }
        }
        let is_dynamic = |binary: &JudgedBinary<'_>| binary.facts.is_dynamic();
        let mut reports = Vec::new();
        if judged.iter().any(is_dynamic) {
            self.libraries(&judged, guest, &mut reports);
        }
        for binary in judged {
            self.place_binary(binary, guest, &mut reports);
        }
        reports
    }

    /// The binary, proved to be the guest's; that it is not is a problem.
    fn judged_binary<'m>(&mut self, spec: &'m Binary, guest: Arch) -> Option<JudgedBinary<'m>> {
        let found = match self.find_binary(spec) {
            Ok(found) => found,
            Err((place, fault)) => {
                self.problem(place, fault);
                return None;
            }
        };
        match judged(&found.bytes, guest) {
            Ok(facts) => Some(JudgedBinary { spec, found, facts }),
            Err(fault) => {
                let fault = Fault::Program {
                    fault,
                    guest,
                    package: Some(spec.package.clone()),
                };
                self.problem(found.origin, fault);
                None
            }
        }
    }

    fn place_binary(
        &mut self,
        binary: JudgedBinary<'_>,
        guest: Arch,
        reports: &mut Vec<PlacedBinary>,
    ) {
        let JudgedBinary { spec, found, facts } = binary;
        self.applets(spec, &found);
        let FoundBinary { bytes, origin, .. } = found;
        let dynamic = facts.is_dynamic();
        reports.push(report(&spec.path, &origin, &bytes, dynamic, guest));
        self.add_file(spec.path.clone(), 0o755, Purpose::Binary, bytes, origin);
    }

    /// Puts the libraries of the dynamic ones of `binaries` into the plan.
    fn libraries(
        &mut self,
        binaries: &[JudgedBinary<'_>],
        guest: Arch,
        reports: &mut Vec<PlacedBinary>,
    ) {
        let libraries = match Libraries::new(self.root, self.bins, guest) {
            Ok(libraries) => libraries,
            Err(error) => {
                self.problems
                    .push(Problem::of_lookup("ld.so.conf".to_owned(), error));
                return;
            }
        };
        for JudgedBinary { spec, found, facts } in binaries {
            if facts.is_dynamic() {
                let (facts, origin) = (facts.clone(), found.origin.clone());
                let (needed, problems) =
                    libraries.needed_by(facts, origin, &found.in_root, &spec.path);
                self.problems.extend(problems);
                needed
                    .into_iter()
                    .for_each(|library| self.library(library, guest, reports));
            }
        }
    }

    fn library(&mut self, library: Library, guest: Arch, reports: &mut Vec<PlacedBinary>) {
        let Library {
            path,
            bytes,
            origin,
        } = library;
        if self.plan.get(&path).is_none() {
            reports.push(report(&path, &origin, &bytes, true, guest));
        }
        self.add_file(path, 0o755, Purpose::Library, bytes, origin);
    }

    /// The binary by file name in the `--bins` directories, then at its places in the root. A place
    /// that is there and cannot be read ends the search: what was meant is not what would be taken.
    fn find_binary(&self, spec: &Binary) -> Result<FoundBinary, (String, Fault)> {
        let mut searched = Vec::new();
        let by_name = ImagePath::new(&spec.file_name).unwrap_or_default();
        let places = self.bins.iter().map(|bins| (bins, &by_name, true));
        let candidates = spec.candidates.iter().map(|path| (self.root, path, false));
        for (root, path, from_bins) in places.chain(candidates) {
            let origin = root.shown(path);
            let read = root
                .resolve(path)
                .and_then(|(real, _)| Ok((root.read(&real)?, real)));
            match read {
                Ok((bytes, real)) => {
                    let in_root = if from_bins {
                        ImagePath::default()
                    } else {
                        real
                    };
                    return Ok(FoundBinary {
                        bytes,
                        in_root,
                        origin,
                    });
                }
                Err(LookupError::Missing) => searched.push(origin),
                Err(error) => return Err((origin, error.into())),
            }
        }
        let package = spec.package.clone();
        Err((
            spec.file_name.clone(),
            Fault::BinaryMissing { searched, package },
        ))
    }

    /// Proves that a multi-call program has the applets its image uses, and links them. Such a
    /// program holds its applets' names as C strings (busybox's `applet_names`).
    fn applets(&mut self, spec: &Binary, found: &FoundBinary) {
        let wanted = &spec.applets;
        let missing = missing_strings(wanted, &found.bytes);
        if !missing.is_empty() {
            self.problem(found.origin.clone(), Fault::AppletsMissing(missing));
        }
        let directory = spec.path.parent().unwrap_or_default();
        for name in wanted {
            let Ok(path) = directory.join(name.as_bytes()) else {
                continue;
            };
            let target = Node::Symlink(spec.path.file_name().to_vec());
            let origin = format!("manifest {}", self.request.manifest.name);
            self.add(
                path,
                Entry {
                    node: target,
                    mode: 0o777,
                    purpose: Purpose::Structure,
                    origin,
                },
            );
        }
    }
}

/// Those of `wanted` that stand nowhere in `bytes` as a C string of their own. Such strings lie
/// close together: each is looked for around the one before, and only then in the whole.
pub(super) fn missing_strings<S: AsRef<str>>(wanted: &[S], bytes: &[u8]) -> Vec<String> {
    let mut missing = Vec::new();
    let mut around = bytes;
    for name in wanted.iter().map(AsRef::as_ref) {
        let string = [b"\0", name.as_bytes(), b"\0"].concat();
        if memmem::find(around, &string).is_some() {
            continue;
        }
        match memmem::find(bytes, &string) {
            Some(at) => {
                let end = bytes.len().min(at + AROUND);
                around = bytes.get(at.saturating_sub(AROUND)..end).unwrap_or(bytes);
            }
            None => missing.push(name.to_owned()),
        }
    }
    missing
}

fn judged(bytes: &[u8], guest: Arch) -> Result<ProgramFacts, ElfFault> {
    let facts = ProgramFacts::parse(bytes)?;
    facts.judge(guest.elf(), Role::Executable)?;
    Ok(facts)
}

/// What is told of a binary.
pub(super) fn report(
    path: &ImagePath,
    origin: &str,
    bytes: &[u8],
    dynamic: bool,
    guest: Arch,
) -> PlacedBinary {
    PlacedBinary {
        path: path.to_string(),
        source: origin.to_owned(),
        size: bytes.len() as u64,
        sha256: Digest::of(bytes),
        dynamic,
        kind: guest.elf().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_counts_wherever_it_stands_if_it_stands_alone() {
        let far = [
            b"\0cat\0dd\0".as_slice(),
            &[1; 5 * AROUND],
            b"\0sh\0catalog\0x",
        ]
        .concat();
        let wanted = ["cat", "dd", "sh", "cata", "x", "cat"].map(str::to_owned);
        assert_eq!(missing_strings(&wanted, &far), ["cata", "x"]);
    }
}
