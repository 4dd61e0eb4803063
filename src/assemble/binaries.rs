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
use crate::problem::Fault;
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

impl Assembler<'_> {
    /// Puts every binary that applies, and its libraries, into the plan.
    pub(super) fn binaries(&mut self, guest: Arch) -> Vec<PlacedBinary> {
        let request = self.request;
        let (root, bins) = (self.root, self.bins);
        let libraries = match Libraries::new(root, bins, guest) {
            Ok(libraries) => libraries,
            Err(error) => {
                self.problem("/etc/ld.so.conf", error);
                return Vec::new();
            }
        };
        let mut reports = Vec::new();
        for spec in &request.manifest.binaries {
            if self.applies(spec.when) {
                self.binary(spec, guest, &libraries, &mut reports);
            }
        }
        reports
    }

    fn binary(
        &mut self,
        spec: &Binary,
        guest: Arch,
        libraries: &Libraries<'_>,
        reports: &mut Vec<PlacedBinary>,
    ) {
        let found = match self.find_binary(spec) {
            Ok(found) => found,
            Err((place, fault)) => return self.problem(place, fault),
        };
        let facts = match judged(&found.bytes, guest) {
            Ok(facts) => facts,
            Err(fault) => {
                let package = Some(spec.package.clone());
                return self.problem(
                    found.origin,
                    Fault::Program {
                        fault,
                        guest,
                        package,
                    },
                );
            }
        };
        self.applets(spec, &found);
        if facts.is_dynamic() {
            let origin = found.origin.clone();
            let (needed, problems) =
                libraries.needed_by(facts.clone(), origin, &found.in_root, &spec.path);
            self.problems.extend(problems);
            needed
                .into_iter()
                .for_each(|library| self.library(library, guest, reports));
        }
        reports.push(report(
            &spec.path,
            &found.origin,
            &found.bytes,
            facts.is_dynamic(),
            guest,
        ));
        self.add_file(
            spec.path.clone(),
            0o755,
            Purpose::Binary,
            found.bytes,
            found.origin,
        );
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
fn missing_strings(wanted: &[String], bytes: &[u8]) -> Vec<String> {
    let mut missing = Vec::new();
    let mut around = bytes;
    for name in wanted {
        let string = [b"\0", name.as_bytes(), b"\0"].concat();
        if memmem::find(around, &string).is_some() {
            continue;
        }
        match memmem::find(bytes, &string) {
            Some(at) => {
                let end = bytes.len().min(at + AROUND);
                around = bytes.get(at.saturating_sub(AROUND)..end).unwrap_or(bytes);
            }
            None => missing.push(name.clone()),
        }
    }
    missing
}

fn judged(bytes: &[u8], guest: Arch) -> Result<ProgramFacts, ElfFault> {
    let facts = ProgramFacts::parse(bytes)?;
    facts.judge(guest.elf(), Role::Executable)?;
    Ok(facts)
}

fn report(
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
