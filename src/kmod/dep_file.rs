//! `modules.dep`: each module's file and the files it needs, as depmod wrote them.

use crate::image_path::ImagePath;

/// One line: a module and all it needs, direct or not, the last to be loaded first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepLine {
    /// The module's file, relative to the module directory.
    pub module: ImagePath,
    /// The files it needs, likewise.
    pub needs: Vec<ImagePath>,
}

/// Reads the text; and the numbers (from 1) of the lines that are none of a `modules.dep`.
///
/// A backslash before a line's end joins it to the next, as module-init-tools wrote long lines.
#[must_use]
pub fn parse(text: &[u8]) -> (Vec<DepLine>, Vec<usize>) {
    let mut lines = Vec::new();
    let mut garbage = Vec::new();
    for (number, line) in logical_lines(text) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        match dep_line(line) {
            Some(dep_line) => lines.push(dep_line),
            None => garbage.push(number),
        }
    }
    (lines, garbage)
}

fn logical_lines(text: &[u8]) -> Vec<(usize, std::borrow::Cow<'_, [u8]>)> {
    let mut lines: Vec<(usize, std::borrow::Cow<'_, [u8]>)> = Vec::new();
    let mut joined = false;
    for (index, line) in text.split(|&b| b == b'\n').enumerate() {
        let continues = line.ends_with(b"\\");
        let part = line.strip_suffix(b"\\").unwrap_or(line);
        match lines.last_mut().filter(|_| joined) {
            Some((_, whole)) => whole.to_mut().extend_from_slice(part),
            None => lines.push((index + 1, part.into())),
        }
        joined = continues;
    }
    lines
}

fn dep_line(line: &[u8]) -> Option<DepLine> {
    let colon = line.iter().position(|&b| b == b':')?;
    let (module, needs) = line.split_at_checked(colon)?;
    let needs = needs
        .get(1..)?
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    Some(DepLine {
        module: relative(module)?,
        needs: needs.map(relative).collect::<Option<_>>()?,
    })
}

/// The path relative to the module directory. Before kmod, depmod wrote absolute ones; the
/// directory they name may since have been renamed, so whatever stands after `lib/modules/` goes.
fn relative(path: &[u8]) -> Option<ImagePath> {
    let path = path.trim_ascii();
    let inner = if path.starts_with(b"/") {
        let marker = b"/lib/modules/";
        let at = path
            .windows(marker.len())
            .position(|window| window == marker)?;
        let below = path.get(at + marker.len()..)?;
        below.get(below.iter().position(|&b| b == b'/')? + 1..)?
    } else {
        path
    };
    ImagePath::new(inner).ok().filter(|path| !path.is_root())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> ImagePath {
        ImagePath::new(path).unwrap()
    }

    #[test]
    fn lines_of_every_age_read_alike() {
        let want = vec![
            DepLine {
                module: path("kernel/a.ko"),
                needs: vec![path("kernel/b.ko"), path("c.ko")],
            },
            DepLine {
                module: path("c.ko"),
                needs: vec![],
            },
        ];
        for text in [
            "kernel/a.ko: kernel/b.ko c.ko\nc.ko:\n",
            "/lib/modules/2.6.9-x/kernel/a.ko: /lib/modules/2.6.9-x/kernel/b.ko \\\n\t/lib/modules/2.6.9-x/c.ko\n\n/lib/modules/2.6.9-x/c.ko:\n",
            "/usr/lib/modules/6.1/kernel/a.ko: kernel/b.ko c.ko\n# comment\nc.ko:",
        ] {
            assert_eq!(parse(text.as_bytes()), (want.clone(), vec![]), "{text}");
        }
    }

    #[test]
    fn garbage_is_counted_and_passed_over() {
        let text = b"a.ko:\n\xff\xfe\x00\n../../etc/passwd: b.ko\n/etc/shadow:\nb.ko: a.ko\n";
        let (lines, garbage) = parse(text);
        assert_eq!(lines.len(), 2);
        assert_eq!(garbage, [2, 3, 4]);
    }
}
