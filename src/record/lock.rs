//! A lock file: all that decides on an image, and the image itself, as a document that is kept, compared and held
//! against a later build (docs/records.md).
//!
//! It says nothing of the host: a layer is known by its place in order and what it is, a file by its path in
//! there, a package by what it says of itself and its digest.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, de};

use super::observed::{Content, Seen};
use crate::digest::Digest;
use crate::image_path::Shown;
use crate::report::PackageReport;

/// The version of the document's form: it grows when a field comes, goes or changes its meaning, for whoever reads it
/// must know all of them.
pub const SCHEMA_VERSION: u32 = 1;
/// The largest lock file that is read, in bytes: one that names every module of a distribution's kernel has a third
/// of it.
pub const LIMIT: u64 = 2 << 20;

/// What went into an image, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The program that made the image, and its version.
    pub generator: String,
    /// The name of the directory of the kernel's modules.
    pub kernel: String,
    /// The release its modules are of.
    pub release: String,
    /// The architecture.
    pub arch: String,
    /// The manifest.
    pub manifest: LockedManifest,
    /// What else was asked for that an image depends on, by the name of the option.
    pub options: BTreeMap<String, Setting>,
    /// What the files came from: the root's layers, the undermost first, then the configurations of modprobe that
    /// were named, then the directories of programs.
    pub layers: Vec<LockedLayer>,
    /// The image; nothing where it is not written yet.
    pub image: Option<LockedImage>,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedManifest {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its text.
    pub sha256: Digest,
}

/// What an option says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// Whether it is given.
    Flag(bool),
    /// A number.
    Number(u32),
    /// A word.
    Word(String),
    /// Words, in their order.
    Words(Vec<String>),
    /// Nothing.
    Unset,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Flag(true) => f.write_str("given"),
            Setting::Flag(false) | Setting::Unset => f.write_str("not given"),
            Setting::Number(number) => write!(f, "{number}"),
            Setting::Word(word) => f.write_str(word),
            Setting::Words(words) if words.is_empty() => f.write_str("not given"),
            Setting::Words(words) => f.write_str(&words.join(", ")),
        }
    }
}

impl From<&Option<String>> for Setting {
    fn from(word: &Option<String>) -> Self {
        word.clone().map_or(Setting::Unset, Setting::Word)
    }
}

/// What a layer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A directory of the guest's root.
    Root,
    /// A package of it.
    Package,
    /// Programs of the guest.
    Bins,
    /// A configuration of modprobe.
    ModprobeConf,
}

impl fmt::Display for Role {
    /// The option that names such.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Root => "--root",
            Role::Package => "--package",
            Role::Bins => "--bins",
            Role::ModprobeConf => "--modprobe-conf",
        })
    }
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedLayer {
    /// What it is for.
    pub role: Role,
    /// The package, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<LockedPackage>,
    /// The files of it that were read, by path; of a package none, which is known whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileFacts>,
}

impl LockedLayer {
    /// A layer that is no package.
    #[must_use]
    pub fn of_files(role: Role, seen: &Seen) -> LockedLayer {
        let files = seen.files.iter();
        LockedLayer {
            role,
            package: None,
            files: files
                .map(|(path, &content)| {
                    (Shown(path.as_bytes()).to_string(), FileFacts::from(content))
                })
                .collect(),
        }
    }

    /// A package.
    #[must_use]
    pub fn of_package(report: &PackageReport) -> LockedLayer {
        LockedLayer {
            role: Role::Package,
            package: Some(LockedPackage {
                format: report.format.clone(),
                name: report.name.clone(),
                version: report.version.clone(),
                arch: report.arch.clone(),
                sha256: report.sha256,
            }),
            files: BTreeMap::new(),
        }
    }
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its kind.
    pub format: String,
    /// Its name, where it says it.
    pub name: Option<String>,
    /// Its version, likewise.
    pub version: Option<String>,
    /// The architecture it is for, likewise.
    pub arch: Option<String>,
    /// The SHA-256 of its file.
    pub sha256: Digest,
}

impl fmt::Display for LockedPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LockedPackage { format, sha256, .. } = self;
        let said = [&self.name, &self.version, &self.arch];
        let [name, version, arch] = said.map(|said| said.as_deref().unwrap_or("-"));
        match self.name {
            Some(_) => write!(f, "{format} {name} {version} ({arch}), sha256 {sha256}"),
            None => write!(f, "{format}, sha256 {sha256}"),
        }
    }
}

/// A file that was read: one word and one number, so that it is a line of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Its digest; nothing where it is larger than any file that is read.
    pub sha256: Option<Digest>,
    /// Its size in bytes.
    pub size: u64,
}

impl From<Content> for FileFacts {
    fn from(Content { size, sha256 }: Content) -> Self {
        FileFacts { sha256, size }
    }
}

impl fmt::Display for FileFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sha256 {
            Some(sha256) => write!(f, "{sha256} {}", self.size),
            None => write!(f, "- {}", self.size),
        }
    }
}

impl FromStr for FileFacts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let facts = text.split_once(' ').and_then(|(sha256, size)| {
            let sha256 = match sha256 {
                "-" => None,
                digits => Some(digits.parse().ok()?),
            };
            let size = size.parse().ok()?;
            Some(FileFacts { sha256, size })
        });
        // A number is written in one way.
        let facts = facts.filter(|facts| facts.to_string() == text);
        facts.ok_or_else(|| "a SHA-256 and a size are expected".to_owned())
    }
}

impl Serialize for FileFacts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileFacts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// Its SHA-256.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl fmt::Display for LockedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256 {}, {} bytes", self.sha256, self.size)
    }
}

/// What is wrong with a lock file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockFault {
    /// It is of another form than this program writes.
    #[error("a lock file of form {found}")]
    Schema {
        /// Its form.
        found: u64,
    },
    /// It is none; in the words of what reads JSON.
    #[error("{0}")]
    NotALock(String),
    /// It says nothing of an image.
    #[error("no image in it")]
    NoImage,
    /// It is larger than any.
    #[error("more than the {LIMIT} bytes that this program reads of a lock file")]
    TooLarge,
}

/// What tells the form of a document, whatever else is in it.
#[derive(Deserialize)]
struct Form {
    schema_version: u64,
}

impl Lock {
    /// The lock file with this text.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(text: &[u8]) -> Result<Lock, LockFault> {
        if text.len() as u64 > LIMIT {
            return Err(LockFault::TooLarge);
        }
        let form = serde_json::from_slice::<Form>(text);
        let form = form.map_err(|error| LockFault::NotALock(error.to_string()))?;
        if form.schema_version != u64::from(SCHEMA_VERSION) {
            let found = form.schema_version;
            return Err(LockFault::Schema { found });
        }
        let lock: Lock =
            serde_json::from_slice(text).map_err(|error| LockFault::NotALock(error.to_string()))?;
        match lock.image {
            Some(_) => Ok(lock),
            None => Err(LockFault::NoImage),
        }
    }

    /// Its text: the same of the same lock.
    ///
    /// # Errors
    /// None that is known of.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
