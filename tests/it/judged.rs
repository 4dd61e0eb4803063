//! Archives made field by field, and what they are judged to be.

use std::fs;
use std::io::Cursor;
use std::process::Command;

use xinitrd::archive::Limits;
use xinitrd::image_path::Shown;
use xinitrd::init::busybox;
use xinitrd::inspect::finding::{Finding, Rule};
use xinitrd::inspect::read::Depth;
use xinitrd::inspect::{Guest, Inspection, inspect};

use crate::support::{testdata, utf8};

/// An entry.
#[derive(Clone)]
pub struct Made {
    name: Vec<u8>,
    mode: u32,
    data: Vec<u8>,
    ino: u32,
    nlink: u32,
    rdev: (u32, u32),
    uid: u32,
}

pub fn made(name: impl AsRef<[u8]>, mode: u32, data: impl AsRef<[u8]>) -> Made {
    Made {
        name: name.as_ref().to_vec(),
        mode,
        data: data.as_ref().to_vec(),
        ino: 0,
        nlink: 1,
        rdev: (0, 0),
        uid: 0,
    }
}

pub fn file(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Made {
    made(name, 0o100_644, data)
}

pub fn program(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Made {
    made(name, 0o100_755, data)
}

pub fn directory(name: impl AsRef<[u8]>) -> Made {
    made(name, 0o040_755, "")
}

pub fn link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Made {
    made(name, 0o120_777, target)
}

pub fn device(name: &str, major: u32, minor: u32) -> Made {
    Made {
        rdev: (major, minor),
        ..made(name, 0o020_600, "")
    }
}

/// What this program's busybox init calls: a busybox of which there is nothing but the mode, and links to it; and
/// what it mounts on.
pub fn applets(mode: u32) -> Vec<Made> {
    let links = busybox::APPLETS.iter();
    let links = links.map(|applet| link(format!("bin/{applet}"), "busybox"));
    let directories = ["bin", "proc", "sysroot"].map(directory);
    let busybox = made(busybox::BUSYBOX, mode, "");
    directories
        .into_iter()
        .chain([busybox])
        .chain(links)
        .collect()
}

impl Made {
    /// One of two names of a file.
    pub fn numbered(self, ino: u32) -> Made {
        let nlink = 2;
        Made { ino, nlink, ..self }
    }

    pub fn is_called(&self, name: &str) -> bool {
        self.name == name.as_bytes()
    }

    pub fn owned(self, uid: u32) -> Made {
        Made { uid, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let name_size = self.name.len() as u32 + 1;
        let size = self.data.len() as u32;
        let (major, minor) = self.rdev;
        let fields = [
            self.ino, self.mode, self.uid, 0, self.nlink, 9, size, 8, 1, major, minor, name_size, 0,
        ];
        let mut bytes = b"070701".to_vec();
        for field in fields {
            bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        for part in [&[self.name.as_slice(), b"\0"].concat(), &self.data] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }
}

/// The archive of `entries`.
pub fn archive(entries: &[Made]) -> Vec<u8> {
    let trailer = made("TRAILER!!!", 0, "");
    let entries = entries.iter().chain([&trailer]);
    entries.flat_map(Made::bytes).collect()
}

/// An image, judged for `guest`.
pub fn judged(image: Vec<u8>, guest: &Guest) -> Inspection {
    inspect(
        Box::new(Cursor::new(image)),
        Limits::default(),
        guest,
        Depth::Facts,
    )
    .unwrap()
}

/// What `rules` found, each finding in a line: what it weighs, its rule, the entry, what is there.
pub fn found(inspection: &Inspection, rules: &[&Rule]) -> Vec<String> {
    let is_of = |finding: &&Finding| rules.iter().any(|rule| rule.name == finding.rule.name);
    let findings = inspection.findings.iter().filter(is_of);
    let line = findings.map(|finding| {
        let name = finding.entry.as_deref().map_or("-".to_owned(), |entry| {
            let name = Shown(entry).to_string();
            name.chars().take(40).collect()
        });
        let (severity, rule) = (finding.severity, finding.rule.name);
        format!("{severity} {rule} {name}: {}", finding.found)
    });
    line.collect()
}

/// An image that another builder makes (testdata/images/make.sh).
pub fn made_by_others(name: &str) -> Vec<u8> {
    let script = Command::new(testdata("images/make.sh")).arg(name).output();
    let output = script.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    fs::read(utf8(output.stdout).trim_end()).unwrap()
}
