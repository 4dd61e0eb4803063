//! Loading the modules of the image's list.

use core::ffi::CStr;

use xinitrd_native_logic::modules::{LIST, Module, modules};
use xinitrd_native_logic::text::Text;

use crate::console::{Line, note, push_error, say_line};
use crate::sys::{self, Errno, File, Mapping, Open};

/// Modules whose outcome is remembered; more are loaded all the same.
const LIMIT: usize = 512;

/// Bytes of a path, and a NUL.
pub type Path = Text<1024>;

/// What came of loading the list.
pub struct Loaded {
    /// The list; empty where it cannot be read.
    list: Option<Mapping>,
    /// The outcome of each: 0, or an error's number.
    outcomes: [u16; LIMIT],
    /// Milliseconds that it took.
    pub took: u64,
}

/// What came of a module.
pub enum Outcome {
    /// It is there: loaded, or there before.
    There,
    /// The command line has it left out.
    Unwanted,
    /// The kernel did not take it.
    Failed(Errno),
}

/// Stands for [`Outcome::Unwanted`] among the errors.
const UNWANTED: u16 = u16::MAX;

impl Loaded {
    /// Loads every module of the list. A driver of a machine that this is not answers with an error (the
    /// Xen ones with ENODEV outside Xen): that ends nothing.
    #[inline(never)]
    pub fn load(line: &[u8]) -> Loaded {
        let started = sys::now();
        let mut loaded = Loaded {
            list: list(),
            outcomes: [0; LIMIT],
            took: 0,
        };
        let list = loaded.list.as_deref().unwrap_or_default();
        let mut outcomes = loaded.outcomes.iter_mut();
        for module in modules(list) {
            let outcome = load(&module, line);
            if let Some(place) = outcomes.next() {
                *place = outcome;
            }
        }
        loaded.took = sys::now() - started;
        loaded
    }

    /// The modules that were tried, and what came of each.
    pub fn outcomes(&self) -> impl Iterator<Item = (Module<'_>, Outcome)> {
        let list = self.list.as_deref().unwrap_or_default();
        modules(list).zip(self.outcomes).map(|(module, outcome)| {
            let outcome = match outcome {
                0 => Outcome::There,
                UNWANTED => Outcome::Unwanted,
                number => Outcome::Failed(Errno(usize::from(number))),
            };
            (module, outcome)
        })
    }
}

#[inline(never)]
fn list() -> Option<Mapping> {
    let mut path = Path::of(b"/");
    let file = File::open(path.push(LIST.as_bytes()).as_c_str(), Open::Read);
    let list = file.and_then(|file| file.map());
    if let Err(error) = &list {
        let mut line = Line::of(b"the list of modules cannot be read: ");
        push_error(&mut line, *error);
        say_line(&line);
    }
    list.ok()
}

#[inline(never)]
fn load(module: &Module<'_>, line: &[u8]) -> u16 {
    if module.is_unwanted(line) {
        note(&[b"module ", module.name(), b" left out: modprobe.blacklist"]);
        return UNWANTED;
    }
    match insert(module, module.all_parameters(line).as_c_str()) {
        Ok(()) | Err(Errno::EEXIST) => 0,
        Err(error) => {
            let mut why = Line::default();
            push_error(&mut why, error);
            note(&[b"module ", module.name(), b" not loaded: ", why.as_bytes()]);
            error.0 as u16
        }
    }
}

#[inline(never)]
fn insert(module: &Module<'_>, parameters: &CStr) -> sys::Result<()> {
    let mut path = Path::of(b"/");
    let file = File::open(path.push(module.path).as_c_str(), Open::Read)?;
    match file.load_module(parameters, module.is_compressed()) {
        Err(Errno::ENOSYS) => sys::load_module(&file.map()?, parameters),
        outcome => outcome,
    }
}
