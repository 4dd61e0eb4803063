//! `.modinfo`: the `tag=value` strings a module carries, and the dependencies written in them.

use std::sync::Arc;

use super::name::ModuleName;

/// The strings of one `.modinfo`, in order. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modinfo {
    section: Arc<[u8]>,
}

/// Modules to be loaded before and after another, if they can be (`modprobe.d(5)`, `softdep`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Softdep {
    /// Names or aliases to be loaded before.
    pub pre: Vec<String>,
    /// Names or aliases to be loaded after.
    pub post: Vec<String>,
}

impl Modinfo {
    /// The bytes of a `.modinfo` section; strings without a `=` are passed over.
    #[must_use]
    pub fn new(section: Vec<u8>) -> Modinfo {
        Modinfo {
            section: section.into(),
        }
    }

    /// The bytes of the section.
    #[must_use]
    pub fn len(&self) -> usize {
        self.section.len()
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.section.is_empty()
    }

    /// Every value of `tag`, in order.
    pub fn all<'m>(&'m self, tag: &'m str) -> impl Iterator<Item = &'m [u8]> {
        let mut start = 0;
        let ends = memchr::memchr_iter(0, &self.section).chain([self.section.len()]);
        let fields = ends.map(move |end| {
            let field = start..end;
            start = end + 1;
            self.section.get(field).unwrap_or_default()
        });
        fields.filter_map(move |field| field.strip_prefix(tag.as_bytes())?.strip_prefix(b"="))
    }

    /// The first value of `tag`, as text.
    #[must_use]
    pub fn text(&self, tag: &str) -> Option<String> {
        self.all(tag)
            .next()
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The modules whose symbols this one uses, as the kernel's build wrote them.
    #[must_use]
    pub fn depends(&self) -> Vec<ModuleName> {
        let names = self
            .all("depends")
            .flat_map(|list| list.split(|&b| b == b','));
        names
            .filter(|name| !name.is_empty())
            .map(ModuleName::new)
            .collect()
    }

    /// How many names the module's dependencies of every kind hold.
    #[must_use]
    pub fn names(&self) -> usize {
        let soft = self.softdeps().into_iter();
        let soft: usize = soft
            .map(|softdep| softdep.pre.len() + softdep.post.len())
            .sum();
        self.depends().len() + soft + self.weakdeps().len()
    }

    /// The soft dependencies, one element a `softdep` string.
    #[must_use]
    pub fn softdeps(&self) -> Vec<Softdep> {
        self.all("softdep")
            .map(|text| Softdep::parse(&String::from_utf8_lossy(text)))
            .collect()
    }

    /// The modules that may be wanted later: they go in, and are not loaded.
    #[must_use]
    pub fn weakdeps(&self) -> Vec<String> {
        let lists = self.all("weakdep").map(String::from_utf8_lossy);
        lists.flat_map(|list| words(&list)).collect()
    }
}

impl Softdep {
    /// Reads `pre: a b post: c`; words before the first label belong to none, as kmod has it.
    #[must_use]
    pub fn parse(text: &str) -> Softdep {
        let mut softdep = Softdep::default();
        let mut list = None;
        for word in words(text) {
            match word.as_str() {
                "pre:" => list = Some(true),
                "post:" => list = Some(false),
                _ => match list {
                    Some(true) => softdep.pre.push(word),
                    Some(false) => softdep.post.push(word),
                    None => {}
                },
            }
        }
        softdep
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_noise_is_passed_over() {
        let info = Modinfo::new(
            b"license=GPL\0\0\0depends=jbd2,crc16,mb-cache\0noise\0softdep=pre: crc32c post: x y\0\
              alias=fs-ext4\0alias=ext3\0vermagic=6.1.0 SMP \0weakdep=a b\0depends"
                .to_vec(),
        );
        let names: Vec<_> = info.depends().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["jbd2", "crc16", "mb_cache"]);
        assert_eq!(
            info.all("alias").collect::<Vec<_>>(),
            [b"fs-ext4".as_slice(), b"ext3"]
        );
        assert_eq!(info.text("vermagic").unwrap(), "6.1.0 SMP ");
        assert_eq!(info.weakdeps(), ["a", "b"]);
        let want = Softdep {
            pre: vec!["crc32c".into()],
            post: vec!["x".into(), "y".into()],
        };
        assert_eq!(info.softdeps(), [want]);
    }

    #[test]
    fn a_module_without_dependencies_has_none() {
        assert_eq!(Modinfo::new(b"depends=\0".to_vec()).depends(), []);
    }
}
