//! `xinitrd cat`: one file of an image.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::image::{Image, name};
use super::output_error;
use crate::cli::CatArgs;
use crate::error::{Error, Obstacle};
use crate::host::image::Again;
use crate::image_path::{ImagePath, Shown};
use crate::inspect::tree::Tree;
use crate::problem::Fault;
use crate::root::LookupError;

/// Prints the file that the guest would see at the path: of several entries the last, links followed.
///
/// # Errors
/// When there is no such file, or the image cannot be read so far.
pub fn run(args: &CatArgs) -> Result<(), Error> {
    let limits = args.limits.limits();
    let unreadable = |source| Error::one(name(&args.image), Obstacle::Unreadable(source));
    let again = Again::open(&args.image, limits.size).map_err(unreadable)?;
    let open = || {
        Ok(Image::of(
            &args.image,
            again.reader().map_err(unreadable)?,
            limits,
        ))
    };
    let number = find(args, open()?)?;
    print(open()?, number)
}

/// The number of the entry that holds the file's data.
fn find(args: &CatArgs, mut image: Image) -> Result<usize, Error> {
    let lookup = |error: LookupError| {
        let place = format!("{}: {}", name(&args.image), Shown(args.path.as_bytes()));
        Error::one(place, Obstacle::Input(Fault::Lookup(error)))
    };
    let path = ImagePath::new(args.path.as_bytes()).map_err(|bad| lookup(bad.into()))?;
    let picture = Arc::new(image.outline(args.limits.limits())?);
    let tree = Tree::new(Arc::clone(&picture));
    let real = tree.root().regular_file(&path).map_err(lookup)?;
    let number = tree
        .number(&real)
        .ok_or(LookupError::Missing)
        .map_err(lookup)?;
    Ok(tree.data_number(number))
}

fn print(mut image: Image, number: usize) -> Result<(), Error> {
    for _ in 0..number {
        image.next_entry()?;
    }
    let Some(entry) = image.next_entry()? else {
        return image.finish();
    };
    let mut out = io::stdout().lock();
    let mut left = u64::from(entry.header.size);
    while let Some(bytes) = image.data()? {
        left -= bytes.len() as u64;
        out.write_all(bytes).map_err(output_error)?;
    }
    out.flush().map_err(output_error)?;
    if left > 0 {
        // Why there is no more is told behind the entry.
        while image.next_entry()?.is_some() {}
        return image.finish();
    }
    Ok(())
}
