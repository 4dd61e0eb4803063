//! `xinitrd cat`: one file of an image.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::image::{Image, name, of_flaws};
use super::output_error;
use crate::cli::CatArgs;
use crate::error::{Error, Obstacle};
use crate::host::image::Again;
use crate::image_path::{ImagePath, Shown};
use crate::inspect::tree::Tree;
use crate::problem::Problem;
use crate::root::LookupError;

/// Prints the file that the guest would see at the path: of several entries the last, links followed.
///
/// # Errors
/// When there is no such file, or the image cannot be read so far.
pub fn run(args: &CatArgs) -> Result<(), Error> {
    let limits = args.limits.limits();
    let unreadable = |source| Error::one(name(&args.image), Obstacle::Unreadable(source));
    let (source, kept) = Again::behind(&args.image).map_err(unreadable)?;
    let number = find(args, Image::of(&args.image, source, limits))?;
    let again = kept.reader().map_err(unreadable)?;
    print(Image::of(&args.image, again, limits), number)
}

/// The number of the entry that holds the file's data.
fn find(args: &CatArgs, mut image: Image) -> Result<usize, Error> {
    let place = || format!("{}: {}", name(&args.image), Shown(args.path.as_bytes()));
    let path = ImagePath::new(args.path.as_bytes())
        .map_err(|bad| Error::one(place(), Obstacle::NoPath(bad)))?;
    let mut picture = image.outline(args.limits.limits())?;
    let flaws = std::mem::take(&mut picture.flaws);
    let tree = Tree::new(Arc::new(picture));
    let real = tree.root().regular_file(&path);
    let number = real.and_then(|real| tree.number(&real).ok_or(LookupError::Missing));
    match number {
        Ok(number) => Ok(tree.data_number(number)),
        Err(error) => {
            // It may be missing for what could not be read.
            let mut problems = of_flaws(&args.image, flaws);
            problems.push(Problem::new(place(), Obstacle::InImage(error)));
            Err(Error::Refused(problems))
        }
    }
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
