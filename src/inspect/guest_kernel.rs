//! What a guest's root says of one of its kernels: how it was configured, what is built in, and which
//! symbols it exports.
//!
//! In: a root, and the kernel's release. Out: a [`GuestKernel`], which reads modules of the root when it is
//! asked for one. Files and forms: `.config`
//! (`Documentation/kbuild/kconfig.rst`), `modules.builtin` and `modules.builtin.modinfo`
//! (`Documentation/kbuild/kbuild.rst`), `Module.symvers` (`Documentation/kbuild/modules.rst`),
//! `System.map` (`nm`'s output), `modules.symbols` (depmod's).

mod exports;
mod own_modules;

use crate::compress::{UnpackError, detect, unpack};
use crate::image_path::ImagePath;
use crate::kmod::MODULE_PLACES;
use crate::kmod::builtin::Builtin;
use crate::kmod::line_index::LineIndex;
use crate::kmod::lines::lines;
use crate::kmod::name::ModuleName;
use crate::root::{LookupError, Root};

pub use exports::Export;
pub use own_modules::{Budget, OwnModule};

use exports::{Exports, Line};
use own_modules::OwnModules;

/// A kernel of the guest, as far as its root tells.
#[derive(Debug, Default)]
pub struct GuestKernel {
    /// Its release, as `uname -r` gives it; a suffix may follow, as its modules' directory has it.
    pub release: String,
    /// What is built in.
    pub builtin: Builtin,
    /// The options that are set, without `CONFIG_`; `None` where no configuration was found.
    options: Option<LineIndex>,
    /// Its modules, where they may be looked into.
    modules: Option<OwnModules>,
    exports: Exports,
}

/// What is known of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exported<'k> {
    /// It is exported.
    By(Export<'k>),
    /// Neither the kernel nor a module of its package exports it.
    ByNobody,
    /// It cannot be told: the root has no list of the kernel's symbols.
    Unknown,
}

/// The largest list of symbols that is read, in bytes, compressed or not: real ones stay under 16 MiB.
const SYMBOLS_LIMIT: usize = 32 << 20;
/// The largest configuration and list of what is built in: real ones stay under 1 MiB.
const LIST_LIMIT: usize = 4 << 20;
/// The largest `modules.builtin.modinfo`: that of a kernel with everything built in.
const MODINFO_LIMIT: usize = 16 << 20;
/// Where lists of symbols lie, of the best kind first; RELEASE stands for itself. Debian's and Red
/// Hat's packages of headers, the build tree, Red Hat's kernel package.
const SYMVERS: [&str; 9] = [
    "usr/src/linux-headers-RELEASE/Module.symvers",
    "usr/src/kernels/RELEASE/Module.symvers",
    "lib/modules/RELEASE/build/Module.symvers",
    "usr/lib/modules/RELEASE/build/Module.symvers",
    "lib/modules/RELEASE/symvers.gz",
    "lib/modules/RELEASE/symvers.xz",
    "usr/lib/modules/RELEASE/symvers.gz",
    "usr/lib/modules/RELEASE/symvers.xz",
    "boot/symvers-RELEASE.gz",
];
/// Where configurations lie: of Debian, of Fedora, of a package of headers.
const CONFIGURATIONS: [&str; 5] = [
    "boot/config-RELEASE",
    "lib/modules/RELEASE/config",
    "usr/lib/modules/RELEASE/config",
    "usr/src/linux-headers-RELEASE/.config",
    "lib/modules/RELEASE/build/.config",
];
const SYSTEM_MAPS: [&str; 3] = [
    "boot/System.map-RELEASE",
    "lib/modules/RELEASE/System.map",
    "usr/lib/modules/RELEASE/System.map",
];

impl GuestKernel {
    /// Reads what `root` says of the kernel with this release. What is not there is not known.
    ///
    /// # Errors
    /// When the medium fails, and when a file is larger than any such, or lists more.
    pub fn read(root: &Root, release: &str) -> Result<GuestKernel, LookupError> {
        let mut kernel = GuestKernel::configuration(root, release)?;
        kernel.read_symbols(root)?;
        for place in MODULE_PLACES {
            if kernel.read_indexes(root, &format!("{place}/{release}"))? {
                break;
            }
        }
        Ok(kernel)
    }

    /// Reads no more of it than its configuration.
    ///
    /// # Errors
    /// When the medium fails, and when the file is larger than any such.
    pub fn configuration(root: &Root, release: &str) -> Result<GuestKernel, LookupError> {
        let mut kernel = GuestKernel {
            release: release.to_owned(),
            ..GuestKernel::default()
        };
        kernel.read_options(root)?;
        Ok(kernel)
    }

    /// What the index files in a module directory say; whether there are any.
    fn read_indexes(&mut self, root: &Root, directory: &str) -> Result<bool, LookupError> {
        let path = |name: &str| format!("{directory}/{name}");
        let Some(builtin) = read(root, &path("modules.builtin"), LIST_LIMIT)? else {
            return Ok(false);
        };
        let modinfo = read(root, &path("modules.builtin.modinfo"), MODINFO_LIMIT)?;
        self.builtin = Builtin::parse([builtin.as_slice()], modinfo.as_deref());
        drop((builtin, modinfo));
        let symbols = path("modules.symbols");
        if let Some(text) = read(root, &symbols, SYMBOLS_LIMIT)? {
            let lines = lines(&text).filter_map(modules_symbol);
            let added = self.exports.add_unknown(lines);
            root.at(&ImagePath::new(symbols)?, added)?;
        }
        Ok(true)
    }

    fn read_options(&mut self, root: &Root) -> Result<(), LookupError> {
        for place in CONFIGURATIONS {
            if let Some(text) = read(root, &self.path(place), LIST_LIMIT)? {
                self.options = Some(LineIndex::new(text, b'='));
                break;
            }
        }
        Ok(())
    }

    /// One of the places above, of this kernel.
    fn path(&self, place: &str) -> String {
        place.replace("RELEASE", &self.release)
    }

    /// Whether the option `CONFIG_`*name* is `y`; `None` where the root has no configuration of the kernel.
    #[must_use]
    pub fn has_option(&self, name: &str) -> Option<bool> {
        let options = self.options.as_ref()?;
        let value = options.find(format!("CONFIG_{name}").as_bytes());
        Some(value == Some(b"y"))
    }

    /// What the archive that is built into it was made of, where its configuration names something: it has
    /// no /dev/console then but where that has one.
    #[must_use]
    pub fn rootfs_source(&self) -> Option<String> {
        let value = self.options.as_ref()?.find(b"CONFIG_INITRAMFS_SOURCE")?;
        let value = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
    }

    /// Takes the first list that names any symbol of the kernel: some packages hold a map of one line that
    /// only points to another package.
    fn read_symbols(&mut self, root: &Root) -> Result<(), LookupError> {
        type Parser = fn(&[u8]) -> Option<Line<'_>>;
        let symvers = SYMVERS.iter().map(|place| (place, symvers_line as Parser));
        let maps = SYSTEM_MAPS.iter().map(|place| (place, map_line as Parser));
        for (place, line) in symvers.chain(maps) {
            let path = self.path(place);
            if let Some(text) = read(root, &path, SYMBOLS_LIMIT)? {
                let added = self.exports.add(lines(&text).filter_map(line));
                root.at(&ImagePath::new(path)?, added)?;
            }
            if self.exports.has_own() {
                break;
            }
        }
        Ok(())
    }

    /// The same, with its modules in `root`, so that those of an image can be held against them.
    ///
    /// # Errors
    /// When the medium fails.
    #[must_use = "the kernel with its modules is the result"]
    pub fn with_modules(mut self, root: Root) -> Result<GuestKernel, LookupError> {
        self.modules = Some(OwnModules::find(root, &self.release)?);
        Ok(self)
    }

    /// The modules called `name` in the root, each with where it lies; of those that can be read, and that
    /// `budget` allows. An image is judged without the others: that they differ cannot be said, and a root
    /// that cannot be read is told when its lists are ([`GuestKernel::read`]).
    #[must_use]
    pub fn modules_called(
        &self,
        name: &ModuleName,
        budget: &Budget,
    ) -> Vec<(&ImagePath, OwnModule)> {
        let modules = self.modules.as_ref();
        modules.map_or_else(Vec::new, |modules| modules.called(name, budget))
    }

    /// What is known of the symbol `name`.
    #[must_use]
    pub fn exported(&self, name: &[u8]) -> Exported<'_> {
        match self.exports.get(name) {
            Some(export) => Exported::By(export),
            None if self.exports.has_own() => Exported::ByNobody,
            None => Exported::Unknown,
        }
    }
}

/// A file of the root of `limit` bytes at most, unpacked where it is compressed; nothing where there is no
/// such file, or none that can be used: links to a kernel's build tree often lead nowhere.
fn read(root: &Root, path: &str, limit: usize) -> Result<Option<Vec<u8>>, LookupError> {
    let path = ImagePath::new(path)?;
    let bytes = match root.read_at_most(&path, limit as u64) {
        Ok(bytes) => bytes,
        Err(error) if error.is_io() || error.is_too_large() => return root.at(&path, Err(error)),
        Err(_) => return Ok(None),
    };
    if detect(&bytes).is_none() {
        return Ok(Some(bytes));
    }
    match unpack(&bytes, limit) {
        Err(UnpackError::TooLarge { limit }) => {
            root.at(&path, Err(LookupError::UnpacksTooLarge { limit }))
        }
        unpacked => Ok(unpacked.ok()),
    }
}

/// `CRC NAME MODULE EXPORT_TYPE`, the module `vmlinux` for the kernel itself.
fn symvers_line(line: &[u8]) -> Option<Line<'_>> {
    let mut words = line.split(u8::is_ascii_whitespace);
    let crc = words.next()?.strip_prefix(b"0x")?;
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    let name = words.next()?;
    let file = words.next()?.rsplit(|&b| b == b'/').next()?;
    // A kernel without versions has zeros throughout.
    let crc = (crc != 0).then_some(crc);
    Some((name, crc, (file != b"vmlinux").then_some(file)))
}

/// `ADDRESS TYPE NAME`: an exported symbol is marked by another, and its CRC, in old kernels, is the
/// address of a third.
fn map_line(line: &[u8]) -> Option<Line<'_>> {
    let mut words = line.split(u8::is_ascii_whitespace);
    let (address, kind, name) = (words.next()?, words.next()?, words.next()?);
    if let Some(name) = name.strip_prefix(b"__crc_") {
        let address = u64::from_str_radix(std::str::from_utf8(address).ok()?, 16).ok()?;
        let crc = Some(address as u32);
        return kind.eq_ignore_ascii_case(b"a").then_some((name, crc, None));
    }
    Some((name.strip_prefix(b"__ksymtab_")?, None, None))
}

/// `alias symbol:NAME MODULE`: where a symbol comes from that no list told.
fn modules_symbol(line: &[u8]) -> Option<Line<'_>> {
    let mut words = line
        .strip_prefix(b"alias symbol:")?
        .split(u8::is_ascii_whitespace);
    Some((words.next()?, None, Some(words.next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::memory;

    const SYMVERS: &[u8] = b"0x0000000a\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n\
        0x0000000b\tjbd2_x\tfs/jbd2/jbd2\tEXPORT_SYMBOL_GPL\tNS\nnoise\n";
    const MAP: &[u8] = b"c0 T printk\nc1 r __ksymtab_printk\n0000000c A __crc_printk\n";
    const STUB: &[u8] = b"ffffffffffffffff B The real System.map is elsewhere\n";

    fn told(files: &[(&str, &[u8])], name: &str) -> String {
        let root = memory::root(files, &[("lib/modules/1/build", "gone")]);
        match GuestKernel::read(&root, "1")
            .unwrap()
            .exported(name.as_bytes())
        {
            Exported::By(Export { crc, module }) => format!("{crc:?} {module:?}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_symbol_is_looked_for_in_the_best_list_that_names_any() {
        let headers = ("usr/src/linux-headers-1/Module.symvers", SYMVERS);
        let (map, stub) = (("boot/System.map-1", MAP), ("boot/System.map-1", STUB));
        let lib_map = ("lib/modules/1/System.map", MAP);
        type Case<'c> = (&'c [(&'c str, &'c [u8])], &'c str, &'c str);
        let cases: [Case<'_>; 7] = [
            (&[headers, stub], "printk", "Some(10) None"),
            (&[headers, map], "printk", "Some(10) None"),
            (&[headers], "gone", "ByNobody"),
            (&[map], "printk", "Some(12) None"),
            (&[stub, lib_map], "printk", "Some(12) None"),
            (&[stub], "printk", "Unknown"),
            (&[], "printk", "Unknown"),
        ];
        for (files, name, expected) in cases {
            assert_eq!(told(files, name), expected);
        }
    }

    #[test]
    fn what_the_kernels_own_archive_is_made_of_is_in_its_configuration() {
        for (line, expected) in [
            ("CONFIG_INITRAMFS_SOURCE=\"\"", None),
            ("CONFIG_INITRAMFS_SOURCE=\"/x/list\"", Some("/x/list")),
            ("# CONFIG_INITRAMFS_SOURCE is not set", None),
        ] {
            let text = format!("CONFIG_SMP=y\n{line}\n");
            let root = memory::root(&[("boot/config-1", text.as_bytes())], &[]);
            let kernel = GuestKernel::read(&root, "1").unwrap();
            assert_eq!(kernel.rootfs_source().as_deref(), expected);
        }
    }

    #[test]
    fn an_option_is_on_or_off_or_not_known() {
        let text =
            b"CONFIG_COMPAT=y\nCONFIG_EXT4_FS=m\n# CONFIG_X is not set\nCONFIG_COMPAT_32=y\n";
        let kernel =
            |files: &[(&str, &[u8])]| GuestKernel::read(&memory::root(files, &[]), "1").unwrap();
        let told = kernel(&[("boot/config-1", text)]);
        let options = ["COMPAT", "COMPAT_32", "EXT4_FS", "X"];
        let expected = [Some(true), Some(true), Some(false), Some(false)];
        assert_eq!(options.map(|name| told.has_option(name)), expected);
        assert_eq!(kernel(&[]).has_option("COMPAT"), None);
    }

    #[test]
    fn the_module_that_exports_a_symbol_is_known_without_the_kernels_own() {
        let files: [(&str, &[u8]); 2] = [
            ("lib/modules/1/modules.builtin", b"kernel/fs/ext4/ext4.ko\n"),
            (
                "lib/modules/1/modules.symbols",
                b"# x\nalias symbol:jbd2_x jbd2\n",
            ),
        ];
        assert_eq!(told(&files, "printk"), "Unknown");
        assert!(told(&files, "jbd2_x").starts_with("None Some("));
        let root = memory::root(&files, &[]);
        let kernel = GuestKernel::read(&root, "1").unwrap();
        assert!(kernel.builtin.has(&ModuleName::new("ext4")));
    }
}
