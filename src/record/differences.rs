//! How what is there now differs from what a lock file has.

use std::collections::BTreeSet;
use std::fmt;

use super::lock::{FileFacts, Lock, LockedImage, LockedLayer, LockedPackage, Setting};

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The program.
    Tool,
    /// The kernel's name.
    Kernel,
    /// The release that its modules say.
    Release,
    /// The architecture.
    Arch,
    /// The manifest.
    Manifest,
    /// What an option says, by its name in the lock.
    Setting(String),
    /// How many layers there are, and what each is for.
    Layers,
    /// The package that is the layer of that number.
    Package(usize),
    /// A file of the layer of that number.
    File(usize, String),
    /// The image, though nothing else differs.
    Image,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub what: What,
    /// What is there.
    pub found: String,
    /// What the lock has.
    pub expected: String,
}

impl Difference {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self.what {
            What::Tool => "take that version, or lock anew with --lock",
            What::Image => {
                "take the very program that the lock was written by, or lock anew with --lock"
            }
            What::Kernel | What::Setting(_) | What::Layers => {
                "say what was said then, or lock anew with --lock"
            }
            _ => "take what was locked, or lock anew with --lock",
        }
    }
}

/// Two things of a kind, if they differ.
fn between<T: PartialEq + fmt::Display>(what: What, locked: &T, now: &T) -> Option<Difference> {
    (locked != now).then(|| Difference {
        what,
        found: brief(now.to_string(), WORDS),
        expected: brief(locked.to_string(), WORDS),
    })
}

/// The most bytes that are told of one value: a lock file may say anything.
const WORDS: usize = 1000;

/// A text as far as it can be told.
#[must_use]
pub fn brief(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let length = text.len();
        let mut ends = (0..=limit).rev();
        let end = ends.find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or_default());
        text += &format!(" ... ({length} bytes)");
    }
    text
}

/// Everything but the image in which `now` differs from `locked`.
#[must_use]
pub fn all(locked: &Lock, now: &Lock) -> Vec<Difference> {
    let mut found = Vec::new();
    found.extend(between(What::Tool, &locked.generator, &now.generator));
    found.extend(between(What::Kernel, &locked.kernel, &now.kernel));
    found.extend(between(What::Release, &locked.release, &now.release));
    found.extend(between(What::Arch, &locked.arch, &now.arch));
    found.extend(manifest(locked, now));
    found.extend(settings(locked, now));
    found.extend(layers(&locked.layers, &now.layers, Extent::Whole));
    found
}

/// The same of a build that came to nothing: what differs of the files that it had read by then. What it had not
/// is not missed.
#[must_use]
pub fn so_far(locked: &Lock, generator: &str, now: &[LockedLayer]) -> Vec<Difference> {
    let mut found = Vec::new();
    found.extend(between(
        What::Tool,
        &locked.generator,
        &generator.to_owned(),
    ));
    found.extend(layers(&locked.layers, now, Extent::Part));
    found
}

/// The image, if it differs.
#[must_use]
pub fn image(locked: &Lock, now: &LockedImage) -> Option<Difference> {
    between(What::Image, locked.image.as_ref()?, now)
}

fn manifest(locked: &Lock, now: &Lock) -> Option<Difference> {
    let named = |lock: &Lock| {
        let manifest = &lock.manifest;
        format!("{}, sha256 {}", manifest.name, manifest.sha256)
    };
    between(What::Manifest, &named(locked), &named(now))
}

fn settings(locked: &Lock, now: &Lock) -> Vec<Difference> {
    let (locked, now) = (&locked.options, &now.options);
    let names: BTreeSet<&String> = locked.keys().chain(now.keys()).collect();
    let differs = names.into_iter().filter_map(|name| {
        let [locked, now] = [locked, now].map(|options| options.get(name));
        let [locked, now] = [locked, now].map(|setting| setting.unwrap_or(&Setting::Unset));
        between(What::Setting(name.clone()), locked, now)
    });
    differs.collect()
}

/// How much of what a build reads is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Part,
}

fn layers(locked: &[LockedLayer], now: &[LockedLayer], extent: Extent) -> Vec<Difference> {
    let [roles_locked, roles_now] = [locked, now].map(roles);
    if roles_locked != roles_now {
        // What was opened by then may be less than what was named.
        let whole = between(What::Layers, &roles_locked, &roles_now);
        let whole = whole.filter(|_| extent == Extent::Whole);
        return whole.into_iter().collect();
    }
    let pairs = locked.iter().zip(now).enumerate();
    pairs
        .flat_map(|(number, (locked, now))| layer(number, locked, now, extent))
        .collect()
}

fn roles(layers: &[LockedLayer]) -> String {
    let roles = layers.iter().map(|layer| layer.role.to_string());
    roles.collect::<Vec<_>>().join(" ")
}

fn layer(
    number: usize,
    locked: &LockedLayer,
    now: &LockedLayer,
    extent: Extent,
) -> Vec<Difference> {
    let [package_locked, package_now] = [locked, now].map(|layer| Packed(layer.package.as_ref()));
    let package = between(What::Package(number), &package_locked, &package_now);
    let paths: BTreeSet<&String> = locked.files.keys().chain(now.files.keys()).collect();
    let files = paths.into_iter().filter_map(|path| {
        let [locked, now] = [locked, now].map(|layer| layer.files.get(path));
        let is_known = extent == Extent::Whole || (locked.is_some() && now.is_some());
        let difference = between(What::File(number, path.clone()), &Read(locked), &Read(now));
        difference.filter(|_| is_known)
    });
    package.into_iter().chain(files).collect()
}

/// A package, or what is none.
#[derive(PartialEq)]
struct Packed<'p>(Option<&'p LockedPackage>);

impl fmt::Display for Packed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no package"),
            Some(package) => package.fmt(f),
        }
    }
}

/// A file that was read, or not.
#[derive(PartialEq)]
struct Read<'f>(Option<&'f FileFacts>);

impl fmt::Display for Read<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("not read"),
            Some(FileFacts {
                sha256: Some(sha256),
                size,
            }) => write!(f, "sha256 {sha256}, {size} bytes"),
            Some(FileFacts { sha256: None, size }) => write!(f, "{size} bytes"),
        }
    }
}
