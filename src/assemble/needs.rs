//! Whether the image has what its `/init` needs.

use super::Assembler;
use super::init::image_path;
use crate::init::{Boot, Need, busybox, nash, native};
use crate::manifest::InitKind;
use crate::plan::{Entry, Node};
use crate::problem::Fault;

impl Assembler<'_> {
    /// Holds that the image, with all its entries, has what its init needs.
    pub(super) fn init_needs(&mut self, boot: &Boot) {
        let needs = match self.request.manifest.init {
            InitKind::Nash42 => nash::el4_needs(boot, self.has_udev()),
            InitKind::Nash51 => nash::el5_needs(boot),
            InitKind::Busybox => busybox::NEEDS.to_vec(),
            InitKind::Native => native::NEEDS.to_vec(),
        };
        let lacking: Vec<Need> = needs.into_iter().filter(|need| !self.has(*need)).collect();
        if !lacking.is_empty() {
            let manifest = &self.request.manifest.name;
            self.problem(format!("manifest {manifest}"), Fault::InitLacks(lacking));
        }
    }

    fn has(&self, need: Need) -> bool {
        match need {
            Need::Directory(path) => self.leads_to(path, |entry| entry.node == Node::Directory),
            Need::CharDevice(path, major, minor) => {
                self.leads_to(path, |entry| entry.node == Node::CharDevice(major, minor))
            }
            Need::Program(path) => self.has_program(path),
            Need::Command { name, directories } => directories
                .iter()
                .any(|directory| self.has_program(&format!("{directory}/{name}"))),
        }
    }

    /// A program the manifest has counts even where it is not in the plan: why has been told.
    fn has_program(&self, path: &str) -> bool {
        let is_program =
            |entry: &Entry| matches!(entry.node, Node::File(_)) && entry.mode & 0o111 != 0;
        let real = self.plan.real_path(&image_path(path));
        let mut binaries = self.request.manifest.binaries.iter();
        self.leads_to(path, is_program)
            || binaries
                .any(|binary| Some(&binary.path) == real.as_ref() && self.applies(binary.when))
    }

    /// Whether `path`, links followed, is that of an entry that `is_it`.
    fn leads_to(&self, path: &str, is_it: impl Fn(&Entry) -> bool) -> bool {
        let real = self.plan.real_path(&image_path(path));
        real.and_then(|real| self.plan.get(&real))
            .is_some_and(is_it)
    }
}
