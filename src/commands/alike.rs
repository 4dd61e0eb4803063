//! Problems with many entries of an image, gathered: a directory that cannot be written to is told once.

use std::collections::HashMap;
use std::path::Path;

use super::image::{left_out, name as image_name};
use crate::error::Obstacle;
use crate::host::destination::PlaceFault;
use crate::image_path::Shown;
use crate::problem::{Explain, Problem};

/// The most problems that are told.
const PROBLEM_LIMIT: usize = 100;

/// What is told of these, each with the entry it is about: what the system refuses many of them for the
/// same reason once, and no more than there is patience for.
pub(super) fn told(image: &Path, problems: Vec<(Vec<u8>, Obstacle)>) -> Vec<Problem<Obstacle>> {
    let mut alike = Alike::default();
    for (name, obstacle) in problems {
        alike.add(name, obstacle);
    }
    let beyond = alike.all.iter().skip(PROBLEM_LIMIT);
    let left_out = left_out(image, beyond.map(|all| all.count).sum());
    let told = alike.all.into_iter().take(PROBLEM_LIMIT);
    let told = told.map(|all| all.told(image));
    told.chain(left_out).collect()
}

/// Problems, those that the system has with many entries gathered.
#[derive(Default)]
struct Alike {
    all: Vec<OfEntries>,
    known: HashMap<String, usize>,
}

/// A problem, and the entries that have it.
struct OfEntries {
    /// The entry's name, or the directory that all lie in.
    name: Vec<u8>,
    count: usize,
    obstacle: Obstacle,
}

impl Alike {
    fn add(&mut self, name: Vec<u8>, obstacle: Obstacle) {
        let number = match &obstacle {
            Obstacle::Place(fault @ PlaceFault::System { .. }) => {
                *self.known.entry(fault.found()).or_insert(self.all.len())
            }
            _ => self.all.len(),
        };
        match self.all.get_mut(number) {
            Some(same) => {
                let common = common_directory(&same.name, &name).to_vec();
                (same.name, same.count) = (common, same.count + 1);
            }
            None => self.all.push(OfEntries {
                name,
                count: 1,
                obstacle,
            }),
        }
    }
}

impl OfEntries {
    fn told(self, image: &Path) -> Problem<Obstacle> {
        let (image, name) = (image_name(image), Shown(&self.name));
        let place = match (self.count, self.name.as_slice()) {
            (1, _) => format!("{image}: {name}"),
            (count, []) => format!("{image}: {count} entries"),
            (count, _) => format!("{image}: {name}: {count} entries"),
        };
        Problem::new(place, self.obstacle)
    }
}

/// The path, as far as `one` and `other` share it.
fn common_directory<'n>(one: &'n [u8], other: &[u8]) -> &'n [u8] {
    let mut length = 0;
    let others = other.split(|&byte| byte == b'/');
    for (name, other) in one.split(|&byte| byte == b'/').zip(others) {
        if name != other {
            break;
        }
        length += name.len() + usize::from(length > 0);
    }
    one.get(..length).unwrap_or_default()
}
