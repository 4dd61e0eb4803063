//! What modules need and export, as binutils and kmod see it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xinitrd::compress::{detect, unpack};
use xinitrd::elf::symbols::{Binding, ModuleSymbols, read};

use crate::support::{Tool, fed, fetched, text, utf8};

const NM: Tool = Tool::of("nm", "binutils");
const MODPROBE: Tool = Tool::of("modprobe", "kmod");
const STRIP: Tool = Tool::of("strip", "binutils");

/// Names, and the CRC of each where there is one.
type Crcs = BTreeMap<String, Option<u32>>;

fn modules(kernel: &str) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(fetched(kernel)).sort_by_file_name();
    let files = files.into_iter().map(|entry| entry.unwrap().into_path());
    let is_module = |path: &PathBuf| text(path).contains(".ko");
    files
        .filter(|path| path.is_file() && is_module(path))
        .collect()
}

fn symbols(path: &Path) -> ModuleSymbols {
    let bytes = fs::read(path).unwrap();
    match detect(&bytes) {
        Some(_) => read(&unpack(&bytes, usize::MAX).unwrap()).unwrap().1,
        None => read(&bytes).unwrap().1,
    }
}

fn name(name: &[u8]) -> String {
    String::from_utf8(name.to_vec()).unwrap()
}

/// `nm -A -u` prints `FILE: U NAME`, and `w` or `v` for weak ones.
fn undefined(paths: &[PathBuf]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for paths in paths.chunks(200) {
        let paths: Vec<&str> = paths.iter().map(|path| text(path)).collect();
        let arguments = [&["-A", "-u", "--no-sort"], paths.as_slice()].concat();
        for line in utf8(NM.run(&arguments, b"")).lines() {
            let (file, symbol) = line.split_once(':').unwrap();
            let (kind, name) = symbol.trim().split_once(' ').unwrap();
            let mark = if kind == "U" { "" } else { "weak " };
            found
                .entry(file.to_owned())
                .or_default()
                .push(format!("{mark}{name}"));
        }
    }
    found.values_mut().for_each(|names| names.sort());
    found
}

fn needed(symbols: &ModuleSymbols) -> Vec<String> {
    let needs = symbols.needs.iter();
    let needs = needs.filter_map(|need| match need.binding {
        Binding::Strong => Some(name(need.name)),
        Binding::Weak => Some(format!("weak {}", name(need.name))),
        Binding::VersionAlone => None,
    });
    let mut needs: Vec<String> = needs.collect();
    needs.sort();
    needs
}

/// What `modprobe --show-exports` and `--show-modversions` print: `0xCRC NAME`, a line each. It fails
/// where there are none.
fn told(option: &str, path: &Path) -> Crcs {
    let output = fed(
        Command::new(MODPROBE.path()).args([option, text(path)]),
        b"",
    );
    let said = utf8(output.stderr);
    let is_none = said.contains("could not get") && said.contains("No such file");
    assert!(output.status.success() || is_none, "{said}");
    let lines = utf8(output.stdout);
    let told = lines.lines().map(|line| {
        let (crc, name) = line.split_once('\t').unwrap();
        let crc = u32::from_str_radix(crc.trim_start_matches("0x"), 16).unwrap();
        (name.to_owned(), Some(crc))
    });
    told.collect()
}

fn is_as_kmod_has_it(path: &Path) {
    let symbols = symbols(path);
    let exports = symbols
        .exports
        .iter()
        .map(|symbol| (name(symbol.name), symbol.crc));
    let exports: Crcs = exports.collect();
    assert_eq!(exports, told("--show-exports", path), "{}", path.display());
    let versions = symbols.needs.iter().filter(|need| need.crc.is_some());
    let versions: Crcs = versions.map(|need| (name(need.name), need.crc)).collect();
    assert_eq!(
        versions,
        told("--show-modversions", path),
        "{}",
        path.display()
    );
}

#[test]
fn what_every_module_leaves_undefined_is_what_nm_says() {
    for kernel in ["kernel-6.1-amd64", "kernel-6.1-i386", "kernel-6.1-arm64"] {
        let paths = modules(kernel);
        assert!(paths.len() > 3000, "{kernel}");
        let undefined = undefined(&paths);
        for path in &paths {
            let expected = undefined.get(text(path)).cloned().unwrap_or_default();
            assert_eq!(needed(&symbols(path)), expected, "{}", path.display());
        }
    }
}

#[test]
fn exports_and_versions_of_modules_are_those_that_kmod_reads() {
    let kernels = [
        ("kernel-6.1-amd64", 10),
        ("kernel-6.1-i386", 40),
        ("kernel-6.1-arm64", 40),
        ("kernel-6.12-amd64", 40), // .ko.xz
    ];
    for (kernel, step) in kernels {
        for path in modules(kernel).iter().step_by(step) {
            is_as_kmod_has_it(path);
        }
    }
}

/// All that one kernel's modules need of each other agrees: no user's CRC is another than the
/// provider's.
#[test]
fn the_versions_that_modules_of_one_kernel_expect_are_those_that_the_others_have() {
    let all: Vec<ModuleSymbols> = modules("kernel-6.1-amd64")
        .iter()
        .map(|path| symbols(path))
        .collect();
    let exports = all.iter().flat_map(|symbols| symbols.exports.iter());
    let exports: BTreeMap<&[u8], Option<u32>> =
        exports.map(|symbol| (symbol.name, symbol.crc)).collect();
    let needs = all.iter().flat_map(|symbols| symbols.needs.iter());
    let shared: Vec<_> = needs
        .filter(|need| exports.contains_key(need.name))
        .collect();
    assert!(shared.len() > 10_000, "{}", shared.len());
    for need in shared {
        assert_eq!(
            Some(&need.crc),
            exports.get(need.name),
            "{}",
            name(need.name)
        );
    }
}

#[test]
fn a_module_without_its_local_symbols_still_names_what_it_exports() {
    let modules = modules("kernel-6.1-amd64");
    let path = modules
        .iter()
        .find(|path| path.ends_with("fs/mbcache.ko"))
        .unwrap();
    let stripped = tempfile::NamedTempFile::new().unwrap();
    STRIP.run(
        &["--strip-unneeded", "-o", text(stripped.path()), text(path)],
        b"",
    );
    let names = |symbols: &ModuleSymbols| {
        let mut names: Vec<String> = symbols.exports.iter().map(|one| name(one.name)).collect();
        names.sort();
        names
    };
    assert_eq!(names(&symbols(stripped.path())), names(&symbols(path)));
}
