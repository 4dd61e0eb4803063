//! `xinitrd extract`: the entries of an image, put below one directory and nowhere else.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{Glob, GlobMatcher};

use super::alike;
use super::image::Image;
use super::shown;
use crate::archive::{Entry, FileType, Header};
use crate::cli::ExtractArgs;
use crate::error::{Error, Obstacle};
use crate::host::destination::{
    Destination, LinkKey, Meta, PlaceError, PlacedFile, Special, Wishes,
};
use crate::image_path::{BadPath, ImagePath, Shown};
use crate::problem::Problem;

/// Extracts what was asked for, or all.
///
/// # Errors
/// When the image cannot be read or has flaws, when an entry cannot be put where it belongs, or a
/// pattern matches none; all else is extracted all the same.
pub fn run(args: &ExtractArgs) -> Result<(), Error> {
    let mut wanted = Wanted::new(&args.patterns)?;
    let mut image = Image::open(&args.image, args.limits.limits())?.apart();
    let wishes = Wishes {
        force: args.force,
        owners: args.owners,
        nodes: args.nodes,
        links: false,
    };
    let destination = Destination::open(&args.directory, wishes).map_err(|source| {
        let holds = "what is extracted";
        Error::one(
            shown(&args.directory),
            Obstacle::Directory { holds, source },
        )
    })?;
    let mut extraction = Extraction {
        destination,
        segment: 0,
        problems: Vec::new(),
    };
    let done = extraction.run(&mut wanted, &mut image);
    // What was begun is ended, however far the image could be read.
    let mut problems = extraction.finish(&args.image);
    problems.extend(wanted.unmatched(&args.image));
    match done {
        Ok(()) => image.finish_with(problems),
        Err(Error::Refused(mut broken)) => {
            broken.extend(problems);
            Err(Error::Refused(broken))
        }
        Err(other) => Err(other),
    }
}

/// What was asked for.
struct Wanted {
    patterns: Vec<Pattern>,
}

/// One pattern.
struct Pattern {
    typed: OsString,
    matcher: GlobMatcher,
    /// Whether it is of bytes that are no UTF-8: it is matched byte by byte then, `?` being one.
    is_of_bytes: bool,
    matched: bool,
}

impl Pattern {
    fn new(typed: &OsStr) -> Result<Pattern, Error> {
        let bytes = typed.as_bytes();
        let is_of_bytes = typed.to_str().is_none();
        let text = typed
            .to_str()
            .map_or_else(|| characters(bytes), str::to_owned);
        let text = text.trim_start_matches("./").trim_matches('/');
        let text = if text == "." { "" } else { text };
        let glob = Glob::new(text).map_err(|error| {
            let words = error.kind().to_string();
            let place = format!("pattern {}", Shown(bytes));
            Error::one(place, Obstacle::Pattern(words))
        })?;
        Ok(Pattern {
            typed: typed.to_owned(),
            matcher: glob.compile_matcher(),
            is_of_bytes,
            matched: false,
        })
    }

    fn is_match(&self, path: &[u8]) -> bool {
        match self.is_of_bytes {
            true => self.matcher.is_match(characters(path)),
            false => self.matcher.is_match(OsStr::from_bytes(path)),
        }
    }
}

/// Each byte as the character of that number: patterns are texts.
fn characters(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

impl Wanted {
    fn new(patterns: &[OsString]) -> Result<Wanted, Error> {
        let compiled = patterns.iter().map(|pattern| Pattern::new(pattern));
        Ok(Wanted {
            patterns: compiled.collect::<Result<_, _>>()?,
        })
    }

    /// Whether the entry was asked for, itself or as part of a directory.
    fn take(&mut self, entry: &Entry, path: Option<&ImagePath>) -> bool {
        let mut is_wanted = self.patterns.is_empty();
        let mut at = path.map_or(entry.name.as_slice(), ImagePath::as_bytes);
        loop {
            for pattern in &mut self.patterns {
                if pattern.is_match(at) {
                    pattern.matched = true;
                    is_wanted = true;
                }
            }
            if at.is_empty() {
                return is_wanted;
            }
            // Above all others is the root, which `.` and `/` mean.
            let above = at.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            at = at.get(..above).unwrap_or_default();
        }
    }

    /// The patterns that nothing matched.
    fn unmatched(&self, image: &Path) -> Vec<Problem<Obstacle>> {
        let unmatched = self.patterns.iter().filter(|pattern| !pattern.matched);
        let problem = |pattern: &Pattern| {
            let typed = Shown(pattern.typed.as_bytes());
            let place = format!("{}: {typed}", super::image::name(image));
            Problem::new(place, Obstacle::NothingMatches)
        };
        unmatched.map(problem).collect()
    }
}

/// Entries on their way to the disk.
struct Extraction {
    destination: Destination,
    segment: usize,
    problems: Vec<(Vec<u8>, Obstacle)>,
}

impl Extraction {
    fn run(&mut self, wanted: &mut Wanted, image: &mut Image) -> Result<(), Error> {
        while let Some(entry) = image.next_entry()? {
            let path = ImagePath::new(&entry.name);
            let is_wanted = wanted.take(&entry, path.as_ref().ok());
            self.take(&entry, path, is_wanted, image)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        entry: &Entry,
        path: Result<ImagePath, BadPath>,
        is_wanted: bool,
        image: &mut Image,
    ) -> Result<(), Error> {
        if entry.segment != self.segment {
            self.segment = entry.segment;
            self.destination.end_of_archive();
        }
        let header = &entry.header;
        let is_linked = header.nlink > 1 && header.file_type() == FileType::Regular;
        let path = match path {
            Ok(path) => path,
            Err(bad) => {
                if is_wanted {
                    self.tell(&entry.name, Obstacle::BadPath(bad));
                }
                return Ok(());
            }
        };
        match is_linked {
            true => self.linked_file(entry, path, is_wanted, image),
            false if is_wanted => self.put(entry, &path, image),
            false => Ok(()),
        }
    }

    fn put(&mut self, entry: &Entry, path: &ImagePath, image: &mut Image) -> Result<(), Error> {
        let header = &entry.header;
        let meta = meta(entry);
        let placed = match header.file_type() {
            FileType::Regular => return self.file(entry, path, image),
            FileType::Directory => self.destination.directory(path, meta),
            FileType::Symlink => {
                let target = image.target()?;
                self.destination.symlink(path, &target, meta)
            }
            FileType::Char => self.node(path, Special::Char(header.rdev.0, header.rdev.1), meta),
            FileType::Block => self.node(path, Special::Block(header.rdev.0, header.rdev.1), meta),
            FileType::Fifo => self.node(path, Special::Pipe, meta),
            FileType::Socket => self.node(path, Special::Socket, meta),
            FileType::Unknown => {
                self.tell(&entry.name, Obstacle::UnknownType(header.mode));
                Ok(())
            }
        };
        self.keep(placed);
        Ok(())
    }

    fn node(&mut self, path: &ImagePath, special: Special, meta: Meta) -> Result<(), PlaceError> {
        self.destination.node(path, special, meta)
    }

    fn file(&mut self, entry: &Entry, path: &ImagePath, image: &mut Image) -> Result<(), Error> {
        match self.destination.file(path, meta(entry)) {
            Ok(file) => self.fill(file, entry, image),
            Err(error) => {
                self.keep(Err(error));
                Ok(())
            }
        }
    }

    /// Gives a file its data as that comes by.
    fn fill(
        &mut self,
        mut file: PlacedFile,
        entry: &Entry,
        image: &mut Image,
    ) -> Result<(), Error> {
        let filled = copy(image, &mut file);
        let done = match &filled {
            Ok(Ok(count)) if *count == u64::from(entry.header.size) => file.finish(),
            // The image is cut short here, which its flaws tell; or one of the two could not go on.
            _ => self.destination.discard(file),
        };
        self.keep(done);
        self.keep(filled?.map(drop));
        Ok(())
    }

    /// One of the names of a file. Its data may stand on any of them, on one that nobody asked for
    /// too (`buffer-format`).
    fn linked_file(
        &mut self,
        entry: &Entry,
        path: ImagePath,
        is_wanted: bool,
        image: &mut Image,
    ) -> Result<(), Error> {
        let Header { dev, ino, size, .. } = entry.header;
        let key = LinkKey {
            major: dev.0,
            minor: dev.1,
            ino,
        };
        let path = match is_wanted {
            true => Some(path),
            false if size > 0 => self.destination.take_waiting(key),
            false => None,
        };
        let Some(path) = path else { return Ok(()) };
        match self
            .destination
            .linked_file(&path, key, meta(entry), size > 0)
        {
            Ok(Some(file)) => self.fill(file, entry, image),
            Ok(None) => Ok(()),
            Err(error) => {
                self.keep(Err(error));
                Ok(())
            }
        }
    }

    fn keep(&mut self, placed: Result<(), PlaceError>) {
        self.problems.extend(placed.err().map(obstacle));
    }

    fn tell(&mut self, name: &[u8], obstacle: Obstacle) {
        self.problems.push((name.to_vec(), obstacle));
    }

    /// Everything that could not be done.
    fn finish(mut self, image: &Path) -> Vec<Problem<Obstacle>> {
        let finished = self.destination.finish();
        self.problems
            .extend(finished.problems.into_iter().map(obstacle));
        if finished.nodes_skipped > 0 {
            let skipped = finished.nodes_skipped;
            // That nobody reads it is no reason to fail.
            let _ = writeln!(
                io::stderr(),
                "xinitrd: devices, pipes and sockets not made: {skipped}; --nodes makes them"
            );
        }
        alike::told(image, self.problems)
    }
}

/// Gives a file what is there of the entry's data, and says how many bytes that is.
///
/// # Errors
/// When the image cannot be read; within, when the file cannot be written.
fn copy(image: &mut Image, file: &mut PlacedFile) -> Result<Result<u64, PlaceError>, Error> {
    let mut count = 0;
    while let Some(bytes) = image.data()? {
        if let Err(error) = file.append(bytes) {
            return Ok(Err(error));
        }
        count += bytes.len() as u64;
    }
    Ok(Ok(count))
}

fn meta(entry: &Entry) -> Meta {
    let header = &entry.header;
    Meta {
        mode: header.mode,
        uid: header.uid,
        gid: header.gid,
        mtime: header.mtime,
    }
}

fn obstacle(error: PlaceError) -> (Vec<u8>, Obstacle) {
    (error.path.as_bytes().to_vec(), Obstacle::Place(error.fault))
}
