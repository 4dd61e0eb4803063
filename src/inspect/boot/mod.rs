//! How an image boots: who made it, what its init is, and which modules that loads, in which order.
//!
//! In: the files of an image. Out: a [`Boot`]. What each builder leaves in its images is told where it
//! is looked for; nothing is run, and what an init finds out only when it runs stays untold.

mod generator;
mod idle;
mod init;
mod lists;
mod loads;
mod nash;
mod programs;
mod script;
mod shebang;
mod shell;
mod words;

use crate::image_path::ImagePath;

use super::tree::Tree;

pub use generator::{Generator, Maker};
pub use idle::loads_no_module;
pub use init::{Init, InitKind};
pub use nash::{Missing, missing_in_nash};
pub use programs::{Needed, kernels_modprobe, missing_units};
pub use shebang::{Shebang, ShebangFault};
pub use shell::{ends_script, is_made_at_boot, sourced};
pub use words::base;

/// What is known of how an image boots.
#[derive(Debug, Default)]
pub struct Boot {
    /// Who made the image.
    pub generator: Generator,
    /// The version of who made it, where the image says it.
    pub version: Option<String>,
    /// What `/init` leads to; `None` where it leads nowhere.
    pub init: Option<Init>,
    /// The modules that the init loads, in its order, as far as that can be told.
    pub loads: Vec<Load>,
    /// Whether udev, or an init of its kind, loads further modules for the devices it finds.
    pub on_demand: bool,
    /// The programs that the init cannot do without, where a known builder wrote it.
    pub programs: Vec<Needed>,
}

/// A module that the init loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The module's file in the image, or the name it is asked for by.
    pub module: String,
    /// Where that file is, if the image has it.
    pub path: Option<ImagePath>,
    /// How it is loaded.
    pub loader: Loader,
    /// Its parameters, as the init has them.
    pub options: String,
}

/// How a module is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loader {
    /// The file alone: what it needs must have been loaded before.
    Insmod,
    /// By name or alias, with what it needs before it.
    Modprobe,
}

impl Boot {
    /// Reads how the image boots out of its files.
    #[must_use]
    pub fn of(tree: &Tree) -> Boot {
        let init = Init::of(tree);
        let Maker { generator, version } = Maker::of(tree, init.as_ref());
        // What a builder leaves for its own init nobody reads where that is another, or none.
        let builders = init
            .as_ref()
            .filter(|init| !matches!(init.kind, InitKind::Busybox { .. }));
        Boot {
            loads: builders.map_or_else(Vec::new, |init| loads::of(tree, generator, Some(init))),
            on_demand: builders.is_some_and(|init| !init.is_native())
                && loads::on_demand(tree, generator),
            programs: programs::needed(tree, generator, init.as_ref()),
            generator,
            version,
            init,
        }
    }

    /// Whether [`Boot::loads`] are what a script says that nobody known has written, in plain words.
    #[must_use]
    pub fn loads_are_of_a_script(&self) -> bool {
        self.own_shell().is_some()
    }

    /// Whether the init is xinitrd's own program.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.init.as_ref().is_some_and(Init::is_native)
    }

    /// What runs the init, where that is a script.
    #[must_use]
    pub fn shell(&self) -> Option<&[u8]> {
        match &self.init.as_ref()?.kind {
            InitKind::Script(line) => Some(&line.interpreter),
            _ => None,
        }
    }

    /// What runs the init, where that is a script that nobody known has written.
    #[must_use]
    pub fn own_shell(&self) -> Option<&[u8]> {
        self.shell()
            .filter(|_| self.generator == Generator::Unknown)
    }

    /// Whether each of [`Boot::loads`] is loaded for certain, whatever the guest: the init has a list,
    /// or is a script without conditions.
    #[must_use]
    pub fn loads_are_certain(&self) -> bool {
        let kind = self.init.as_ref().map(|init| &init.kind);
        match self.generator {
            _ if matches!(kind, None | Some(InitKind::Busybox { .. })) => false,
            Generator::Xinitrd | Generator::Mkinitrd | Generator::TinyInitramfs => true,
            Generator::Dracut
            | Generator::InitramfsTools
            | Generator::Mkinitcpio
            | Generator::Booster
            | Generator::URoot
            | Generator::Unknown => false,
        }
    }
}
