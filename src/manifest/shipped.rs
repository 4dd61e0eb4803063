//! The manifests that come with the program, and the choice among them.
//!
//! In: a name, or a kernel's version. Out: one of the texts under `manifests/`, embedded.

use super::{KernelRange, Manifest, ManifestFault, parse};
use crate::kernel_version::KernelVersion;

/// A manifest that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// The name it is chosen by.
    pub name: &'static str,
    /// Its text, comments included.
    pub text: &'static str,
}

/// The shipped manifests, oldest kernels first.
pub const SHIPPED: [Shipped; 4] = [
    Shipped {
        name: "el4",
        text: include_str!("../../manifests/el4.toml"),
    },
    Shipped {
        name: "el5",
        text: include_str!("../../manifests/el5.toml"),
    },
    Shipped {
        name: "native",
        text: include_str!("../../manifests/native.toml"),
    },
    Shipped {
        name: "busybox",
        text: include_str!("../../manifests/busybox.toml"),
    },
];

impl Shipped {
    /// Reads the text.
    ///
    /// # Errors
    /// None in a release: a test reads every shipped text.
    pub fn manifest(&self) -> Result<Manifest, Vec<ManifestFault>> {
        parse(self.text)
    }
}

/// The shipped manifest of that name.
#[must_use]
pub fn find(name: &str) -> Option<Shipped> {
    SHIPPED.into_iter().find(|shipped| shipped.name == name)
}

/// What was chosen for a kernel, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The manifest's name.
    pub name: &'static str,
    /// The manifest.
    pub manifest: Manifest,
    /// Why, in words: `kernel 2.6.9 is in el4's range, 2.6.9 up to but not including 2.6.18`.
    pub reason: String,
}

/// Said when no shipped manifest serves a kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no manifest for kernel {version}")]
pub struct NoneServes {
    /// The kernel.
    pub version: KernelVersion,
}

impl NoneServes {
    /// The kernels that are served, by manifest.
    #[must_use]
    pub fn served(&self) -> String {
        served()
    }
}

/// Chooses the first shipped manifest that serves a kernel.
///
/// # Errors
/// When none does: the kernel is older than any of them.
pub fn choose(version: KernelVersion) -> Result<Choice, NoneServes> {
    let serves = |(name, manifest): (&'static str, Manifest)| {
        let range = manifest.kernels;
        range.contains(version).then(|| Choice {
            name,
            manifest,
            reason: format!("kernel {version} is in {name}'s range, {}", shown(range)),
        })
    };
    readable().find_map(serves).ok_or(NoneServes { version })
}

/// The shipped manifests that serve a kernel and of which `is_it` holds, by name.
pub fn serving(version: KernelVersion, is_it: impl Fn(&Manifest) -> bool) -> Vec<&'static str> {
    let serves = |manifest: &Manifest| manifest.kernels.contains(version) && is_it(manifest);
    let found = readable().filter(|(_, manifest)| serves(manifest));
    found.map(|(name, _)| name).collect()
}

fn readable() -> impl Iterator<Item = (&'static str, Manifest)> {
    let read = |shipped: Shipped| Some((shipped.name, shipped.manifest().ok()?));
    SHIPPED.into_iter().filter_map(read)
}

/// What each manifest serves.
fn served() -> String {
    let one = |(name, manifest): (&str, Manifest)| format!("{name}: {}", shown(manifest.kernels));
    readable().map(one).collect::<Vec<_>>().join("; ")
}

fn shown(range: KernelRange) -> String {
    match (range.from, range.before) {
        (None, None) => "all kernels".to_owned(),
        (Some(from), None) => format!("{from} and later"),
        (None, Some(before)) => format!("those before {before}"),
        (Some(from), Some(before)) => format!("{from} up to but not including {before}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_manifest_reads_without_a_fault_and_has_its_own_name() {
        for shipped in SHIPPED {
            let manifest = shipped.manifest();
            let faults = manifest.as_ref().err();
            assert_eq!(faults, None, "manifests/{}.toml", shipped.name);
            assert_eq!(manifest.unwrap().name, shipped.name);
            assert_eq!(find(shipped.name), Some(shipped));
        }
        assert_eq!(find("el6"), None);
    }

    #[test]
    fn the_example_of_the_documentation_reads_without_a_fault() {
        let text = include_str!("../../docs/manifests.md");
        let (_, rest) = text.split_once("```toml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        assert_eq!(parse(example).unwrap().name, "lab");
    }

    #[test]
    fn the_kernels_version_chooses_the_manifest() {
        let cases = [
            ("2.6.9-67.0.1.ELxenU", "el4"),
            ("2.6.17", "el4"),
            ("2.6.18-398.el5xen", "el5"),
            ("2.6.23", "el5"),
            ("2.6.24", "native"),
            ("6.12.57+deb13-amd64", "native"),
        ];
        for (release, name) in cases {
            let choice = choose(release.parse().unwrap()).unwrap();
            assert_eq!(choice.name, name, "{release}");
        }
    }

    #[test]
    fn a_choice_says_why_and_so_does_a_refusal() {
        let choice = choose(KernelVersion::new(2, 6, 9)).unwrap();
        assert_eq!(
            choice.reason,
            "kernel 2.6.9 is in el4's range, 2.6.9 up to but not including 2.6.18"
        );
        let none = choose(KernelVersion::new(2, 4, 21)).unwrap_err();
        assert_eq!(none.to_string(), "no manifest for kernel 2.4.21");
        assert_eq!(
            none.served(),
            "el4: 2.6.9 up to but not including 2.6.18; \
             el5: 2.6.18 up to but not including 2.6.24; native: 2.6.24 and later; \
             busybox: 2.6.24 and later"
        );
    }
}
