//! How an image boots: who made it, what its init is, and which modules that loads, in which order.

use crate::image_path::ImagePath;

use super::tree::Tree;

/// What is known of how an image boots.
#[derive(Debug, Default)]
pub struct Boot {
    /// Who made the image.
    pub generator: Generator,
    /// The modules that the init loads, in its order, as far as that can be told.
    pub loads: Vec<Load>,
}

/// Who made an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Generator {
    /// Nobody known.
    #[default]
    Unknown,
}

/// A module that the init loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The module's file in the image, or the name it is asked for by.
    pub module: String,
    /// Where that file is, if the image has it.
    pub path: Option<ImagePath>,
}

impl Boot {
    /// Reads how the image boots out of its files.
    #[must_use]
    pub fn of(_tree: &Tree) -> Boot {
        Boot::default()
    }
}
