//! Loading the modules of the image's list.

use xinitrd_native_logic::errno;
use xinitrd_native_logic::modules::{LIST, Module, modules};
use xinitrd_native_logic::text::Text;

use crate::console::{say, say_line};
use crate::sys::{self, Errno, File, Mapping, Open};

/// Modules whose outcome is remembered; more are loaded all the same.
const LIMIT: usize = 512;

/// What came of loading the list.
pub struct Loaded {
    /// The list; empty where it cannot be read.
    list: Option<Mapping>,
    /// The outcome of each: 0, or an error's number.
    outcomes: [u16; LIMIT],
}

impl Loaded {
    /// Loads every module of the list. A driver of a machine that this is not answers with an error (the
    /// Xen ones with ENODEV outside Xen): that ends nothing.
    pub fn load(lines: &[&[u8]], quiet: bool) -> Loaded {
        let started = sys::now();
        let mut loaded = Loaded {
            list: list(),
            outcomes: [0; LIMIT],
        };
        let list = loaded.list.as_deref().unwrap_or_default();
        let mut outcomes = loaded.outcomes.iter_mut();
        for module in modules(list) {
            let outcome = load(&module, lines, quiet);
            if let Some(place) = outcomes.next() {
                *place = outcome;
            }
        }
        if !quiet {
            let mut line = Text::of(b"modules took ");
            say_line(line.push_decimal(sys::now() - started).push(b" ms"));
        }
        loaded
    }

    /// Shows each module that was tried, and what the kernel answered.
    pub fn each(&self, look: &mut dyn FnMut(&Module<'_>, sys::Result<()>)) {
        let list = self.list.as_deref().unwrap_or_default();
        for (module, outcome) in modules(list).zip(&self.outcomes) {
            let outcome = match outcome {
                0 => Ok(()),
                number => Err(Errno(usize::from(*number))),
            };
            look(&module, outcome);
        }
    }
}

fn list() -> Option<Mapping> {
    let mut path = Text::of(b"/");
    let file = File::open(path.push(LIST.as_bytes()).as_c_str(), Open::Read);
    let list = file.and_then(|file| file.map());
    if let Err(error) = &list {
        let mut line = Text::of(b"the list of modules cannot be read: ");
        errno::push(&mut line, error.0);
        say_line(&line);
    }
    list.ok()
}

fn load(module: &Module<'_>, lines: &[&[u8]], quiet: bool) -> u16 {
    let outcome = match module.is_unwanted(lines) {
        true => Err(Errno::ECANCELED),
        false => insert(module, &module.all_parameters(lines)),
    };
    match outcome {
        Ok(()) | Err(Errno::EEXIST) => 0,
        Err(error) => {
            if !quiet {
                let mut why = Text::default();
                errno::push(&mut why, error.0);
                say(&[b"module ", module.name(), b" not loaded: ", why.as_bytes()]);
            }
            error.0 as u16
        }
    }
}

fn insert(module: &Module<'_>, parameters: &Text) -> sys::Result<()> {
    let mut path = Text::of(b"/");
    path.push(module.path);
    if path.is_cut() || parameters.is_cut() {
        return Err(Errno::E2BIG);
    }
    let file = File::open(path.as_c_str(), Open::Read)?;
    let parameters = parameters.as_c_str();
    match file.load_module(parameters, module.is_compressed()) {
        Err(Errno::ENOSYS) => sys::load_module(&file.map()?, parameters),
        outcome => outcome,
    }
}
