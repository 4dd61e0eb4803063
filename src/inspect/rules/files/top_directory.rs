//! A tree that was packed from above: the most common mistake of who calls cpio by hand.

use super::is_read_in_place;
use crate::image_path::ImagePath;
use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::Item;

/// All lies below a directory that should be the root.
pub static BELOW_ONE_DIRECTORY: Rule = Rule {
    name: "below-one-directory",
    severity: Severity::Error,
    meaning: "Every entry lies below one directory, and what should be /init with them.",
    reason: "`find DIR | cpio` writes the names as find prints them, DIR before each. The kernel looks for /init at the \
             root of the image, finds none, and mounts root= itself.",
    cure: "Pack the tree from within: cd DIR && find . | cpio -o -H newc.",
};

/// The directory that everything lies below, where an init does and the root has none.
pub fn top_directory(case: &Case<'_>) -> Option<Finding> {
    let init = ImagePath::new("init").ok()?;
    if case.tree.at(&init).is_some() {
        return None;
    }
    let inits = placed(case).filter(|(_, path)| path.file_name() == b"init");
    let (item, path) = inits.min_by_key(|(_, path)| path.components().count())?;
    let top = path.parent()?;
    let is_around = |path: &ImagePath| is_below(path, &top) || is_below(&top, path);
    if !placed(case).all(|(_, path)| is_around(path)) {
        return None;
    }
    let found = format!("every entry lies below {top}, and {path} is what /init should be");
    let expected = "names that begin at the root of the guest";
    Some(Finding::new(&BELOW_ONE_DIRECTORY, found, expected).at(item))
}

/// The entries that become files, and where they go.
fn placed<'c>(case: &Case<'c>) -> impl Iterator<Item = (&'c Item, &'c ImagePath)> {
    let picture = case.picture;
    let is_read =
        move |item: &Item| is_read_in_place(picture, item.entry.segment, &item.entry.name);
    let items = picture.items.iter().filter(move |item| !is_read(item));
    items.filter_map(|item| Some((item, item.path.as_ref().ok()?)))
}

/// Whether `path` is `top`, or lies below it.
fn is_below(path: &ImagePath, top: &ImagePath) -> bool {
    let rest = path.as_bytes().strip_prefix(top.as_bytes());
    rest.is_some_and(|rest| top.is_root() || rest.is_empty() || rest.starts_with(b"/"))
}
