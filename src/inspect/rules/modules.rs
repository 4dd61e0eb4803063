//! Rules about the kernel modules: what they need, and in which order they are loaded.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::compress::Format;
use crate::image_path::ImagePath;
use crate::inspect::Case;
use crate::inspect::boot::Loader;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::guest_kernel::{Budget, OwnModule};
use crate::inspect::loading::{Caller, Packed};
use crate::inspect::modules::{Member, Modules, Order, Provider, few};
use crate::kernel_version::KernelVersion;
use crate::kmod::MODULE_PLACES;
use crate::kmod::name::ModuleName;

/// The rules, in order.
pub const RULES: &[&Rule] = &[
    &DEPENDENCY_MISSING,
    &LOADED_TOO_EARLY,
    &DEP_MISSING,
    &SIGNATURE_STRIPPED,
    &DIFFERS,
    &STRIPPED,
    &COMPRESSED,
];

static DEPENDENCY_MISSING: Rule = Rule {
    name: "module-dependency-missing",
    severity: Severity::Error,
    meaning: "A module needs another one that is neither in the image nor known to be built in.",
    reason: "Its `depends` field names the modules whose symbols it uses (scripts/mod/modpost.c); \
             without them the kernel refuses it: `Unknown symbol ... (err -2)`.",
    cure: "Put the other module into the image, or leave this one out.",
};

static LOADED_TOO_EARLY: Rule = Rule {
    name: "module-loaded-before-its-need",
    severity: Severity::Error,
    meaning: "The init loads a module by its file before a module that it needs, or never loads that.",
    reason: "insmod loads what it is given and nothing else; the kernel resolves every symbol at that \
             moment (simplify_symbols in kernel/module/main.c) and refuses the module. It is a warning \
             where the init is a script whose order can only be guessed.",
    cure: "Load the needed module first, or load both by name with modprobe.",
};

static DEP_MISSING: Rule = Rule {
    name: "modules-dep-missing",
    severity: Severity::Error,
    meaning: "The init asks modprobe for modules by name, and there is no modules.dep to find them by.",
    reason: "modprobe finds a module and what it needs in modules.dep or modules.dep.bin of \
             /lib/modules/RELEASE (modules.dep(5)); without them it finds nothing. It is a warning where the init \
             is a script of no known builder.",
    cure: "Run `depmod -b ROOT RELEASE` over the image's tree before it is packed.",
};

static SIGNATURE_STRIPPED: Rule = Rule {
    name: "module-signature-stripped",
    severity: Severity::Warning,
    meaning: "A module has no signature, and others of its kernel, or the same one in the guest's root, have one.",
    reason: "A kernel that enforces signatures (module.sig_enforce, or lockdown under Secure Boot) \
             refuses it; any other is tainted (Documentation/admin-guide/module-signing.rst). \
             strip(1) takes signatures away.",
    cure: "Take the module from its package again and do not strip it, or sign it.",
};

static DIFFERS: Rule = Rule {
    name: "module-differs-from-root",
    severity: Severity::Warning,
    meaning: "A module is of another build than that of the same name and release in the guest's root.",
    reason: "A kernel's package can be replaced by one of the same release, as distributions do whose updates keep \
             the interface of modules; an image that was made before then loads old modules into the new kernel. \
             Builds are told apart by their note (ld --build-id), else by srcversion or all of .modinfo. It is told \
             where --root and --kernel name the guest's root.",
    cure: "Make the image again from the guest's root as it is now.",
};

static STRIPPED: Rule = Rule {
    name: "module-stripped",
    severity: Severity::Error,
    meaning: "A module has no symbol table.",
    reason: "The kernel links a module by its symbols, and refuses one without: `module has no symbols (stripped?)` \
             (kernel/module/main.c). strip(1) without --strip-debug takes them away.",
    cure: "Take the module from its package again; strip no more of it than debugging symbols.",
};

static COMPRESSED: Rule = Rule {
    name: "module-compression-unreadable",
    severity: Severity::Error,
    meaning: "A module is compressed as neither the program that loads it nor the kernel can unpack it, or is called as if \
              it were.",
    reason: "busybox unpacks gzip and xz; kmod, whose library udev loads by, zstd, xz and gzip, each by a library \
             that it was built with; xinitrd's own init none, which asks the kernel to unpack whatever is not called \
             .ko, and nothing else. Kernels since 5.17 unpack gzip and xz (with no check but CRC32), since 6.2 \
             zstd, where CONFIG_MODULE_DECOMPRESS and the one format's CONFIG_MODULE_COMPRESS_... are set, and are \
             asked to by that init, kmod since 31 and busybox since 1.37 alone: else it is `invalid module format`. It is a \
             warning where it is not certain that the module is loaded, or by which program, or where the kernel \
             might unpack it: --root and --kernel name the guest's root, whose boot/config-RELEASE tells. Of a kmod \
             that is linked to no such library, as since 33 it may be, nothing is said where the kernel might.",
    cure: "Unpack the modules when the image is made: its own compression does as well. Or load them by kmod, \
           with the library that it takes.",
};

/// The first kernel that unpacks modules.
const UNPACKS_MODULES: KernelVersion = KernelVersion::new(5, 17, 0);
/// The first that unpacks those in zstd.
const UNPACKS_ZSTD: KernelVersion = KernelVersion::new(6, 2, 0);

/// What they find.
pub fn check(
    case: &Case<'_>,
    modules: &Modules<'_>,
    order: Option<&Order>,
    findings: &mut Vec<Finding>,
) {
    for member in &modules.members {
        findings.extend(missing_needs(modules, member));
        if !member.module.symbols.has_table {
            let finding = Finding::new(
                &STRIPPED,
                "no symbol table",
                "the symbols it was built with",
            );
            findings.push(finding.at(member.item));
        }
    }
    if let Some(order) = order {
        let severity = match case.boot.loads_are_certain() {
            true => Severity::Error,
            false => Severity::Warning,
        };
        let early = too_early(modules, order).into_iter();
        findings.extend(early.map(|finding| finding.weighing(severity)));
        findings.extend(dep_missing(case, modules));
    }
    findings.extend(unreadable(case, modules, order));
    let originals = Originals::of(case, modules);
    findings.extend(unsigned(modules, &originals));
    findings.extend(originals.differing(modules));
}

fn missing_needs(modules: &Modules<'_>, member: &Member<'_>) -> Option<Finding> {
    let mut missing = missing_names(modules, member);
    // Of one that cannot be read that is told.
    missing.retain(|name| !modules.is_unread(name));
    (!missing.is_empty()).then(|| {
        let names = few(missing.iter().map(ModuleName::as_bytes));
        let found = format!("it needs {names}, not in the image");
        let expected = "every module it needs in the image, or built into the kernel";
        Finding::new(&DEPENDENCY_MISSING, found, expected).at(member.item)
    })
}

/// The modules that `member` says it needs and of which nothing is known.
pub(super) fn missing_names(modules: &Modules<'_>, member: &Member<'_>) -> Vec<ModuleName> {
    let mut missing = member.module.modinfo.depends();
    missing.retain(|name| {
        let is_there = modules.for_user(member, name).next().is_some();
        !is_there && !modules.is_builtin(name.as_bytes())
    });
    missing
}

/// The modules that are loaded by their files before what they need.
fn too_early(modules: &Modules<'_>, order: &Order) -> Vec<Finding> {
    let exporters = modules.exporters();
    let mut findings = Vec::new();
    for &number in &order.by_file {
        let Some(member) = modules.members.get(number) else {
            continue;
        };
        let is_loaded =
            |other: usize| order.place(other) < order.place(number) && order.place(other).is_some();
        let mut late: BTreeSet<usize> = BTreeSet::new();
        for name in member.module.modinfo.depends() {
            let named: Vec<usize> = modules.for_user(member, &name).collect();
            late.extend(not_yet(&named, &is_loaded));
        }
        for symbol in member.module.symbols.needs.iter() {
            let providers: &[Provider] = exporters.get(symbol.name).map_or(&[], Vec::as_slice);
            let providers = providers.iter().map(|provider| provider.number);
            let related = providers.filter(|&other| modules.are_related(member, other));
            late.extend(not_yet(&related.collect::<Vec<_>>(), &is_loaded));
        }
        late.remove(&number);
        findings.extend(early(modules, order, member, &late));
    }
    findings
}

/// Of several modules that would do the first, where none is loaded.
fn not_yet(any_of: &[usize], is_loaded: &impl Fn(usize) -> bool) -> Option<usize> {
    match any_of.iter().any(|&number| is_loaded(number)) {
        true => None,
        false => any_of.first().copied(),
    }
}

fn early(
    modules: &Modules<'_>,
    order: &Order,
    member: &Member<'_>,
    late: &BTreeSet<usize>,
) -> Option<Finding> {
    let names = |is_loaded: bool| {
        let late = late
            .iter()
            .filter(|&&other| order.place(other).is_some() == is_loaded);
        let late = late.filter_map(|&other| modules.members.get(other));
        few(late.map(|other| other.name.as_bytes()))
    };
    let found = match (names(true), names(false)) {
        (later, never) if later.is_empty() && never.is_empty() => return None,
        (later, never) if never.is_empty() => format!("it is loaded before {later}"),
        (later, never) if later.is_empty() => format!("it is loaded, and {never} never"),
        (later, never) => format!("it is loaded before {later}, and {never} never"),
    };
    let expected = "loaded after every module it needs";
    Some(Finding::new(&LOADED_TOO_EARLY, found, expected).at(member.item))
}

/// The modules that are compressed so that they cannot be loaded.
fn unreadable(case: &Case<'_>, modules: &Modules<'_>, order: Option<&Order>) -> Vec<Finding> {
    let loading = case.loading();
    let is_certain = case.boot.loads_are_certain();
    let by_file: HashSet<usize> = order.map_or_else(HashSet::new, |order| {
        order.by_file.iter().copied().collect()
    });
    let is_loaded = |number| order.is_some_and(|order| order.place(number).is_some());
    let members = modules.members.iter().enumerate();
    let called = called_by_native_init(case);
    let unreadable = members.filter_map(|(number, member)| {
        let called = called.get(member.path).copied();
        let Some(module) = packed(case, member, called) else {
            return misnamed(case, member, called?);
        };
        let caller = match (by_file.contains(&number), is_loaded(number)) {
            (true, _) => Caller::Init(Loader::Insmod),
            (false, true) => Caller::Init(Loader::Modprobe),
            (false, false) => Caller::OnDemand,
        };
        let refusal = loading.refuses(module, caller)?;
        let (format, program) = (module.format.name(), refusal.program);
        let found = format!("{format}-compressed, and loaded by {program}");
        let finding = Finding::new(&COMPRESSED, found, "a module that is not compressed");
        let severity = match is_certain && is_loaded(number) {
            true => refusal.severity,
            false => Severity::Warning,
        };
        Some(finding.weighing(severity).at(member.item))
    });
    unreadable.collect()
}

/// What xinitrd's own init calls the modules that it loads, by where they really lie: it goes by the name alone.
fn called_by_native_init<'c>(case: &'c Case<'_>) -> HashMap<&'c ImagePath, &'c str> {
    let loads = case.boot.loads.iter().filter(|_| case.boot.is_native());
    let called = loads.filter_map(|load| Some((load.path.as_ref()?, load.module.as_str())));
    called.collect()
}

/// Kernels before 3.8 have no call to be asked for unpacking by, and take the module as it is.
const HAS_FINIT_MODULE: KernelVersion = KernelVersion::new(3, 8, 0);

/// A module that is not compressed, and that xinitrd's own init asks the kernel to unpack, because it is not
/// `called` so: the kernel finds no head of its format there, and refuses it (`module_decompress`).
fn misnamed(case: &Case<'_>, member: &Member<'_>, called: &str) -> Option<Finding> {
    let is_old = case
        .kernel_version()
        .is_some_and(|kernel| kernel < HAS_FINIT_MODULE);
    let found = "not compressed, and called as if it were, and loaded by xinitrd's own init";
    let finding = Finding::new(&COMPRESSED, found, "a name that ends with .ko")
        .cured_by("Call it .ko, in the list of modules too; make the image again.");
    (!called.ends_with(".ko") && !is_old).then(|| finding.at(member.item))
}

/// How `member` is compressed, if it is; what loads it has it `called` so, or by its file's name.
fn packed(case: &Case<'_>, member: &Member<'_>, called: Option<&str>) -> Option<Packed> {
    let format = member.module.packed?;
    let file_name = called.map_or(member.path.file_name(), str::as_bytes);
    Some(Packed {
        format,
        by_kernel: kernel_unpacks(case, member, format),
        is_plainly_called: file_name.ends_with(b".ko"),
    })
}

/// Whether the kernel that `member` is of unpacks it, as its configuration says, and where that was not found
/// as its version does; `None` where that leaves it open. A vendor's kernel may unpack what its version does not.
fn kernel_unpacks(case: &Case<'_>, member: &Member<'_>, format: Format) -> Option<bool> {
    let (first, option) = match format {
        Format::Gzip => (UNPACKS_MODULES, "MODULE_COMPRESS_GZIP"),
        Format::Xz => (UNPACKS_MODULES, "MODULE_COMPRESS_XZ"),
        Format::Zstd => (UNPACKS_ZSTD, "MODULE_COMPRESS_ZSTD"),
        _ => return Some(false),
    };
    if member.module.has_unread_options {
        return Some(false);
    }
    let kernel = case.guest.root.as_ref();
    let kernel = kernel.filter(|kernel| member.is_of(&kernel.release));
    let is_set = |option| kernel.and_then(|kernel| kernel.has_option(option));
    if let (Some(unpacks), Some(knows_format)) = (is_set("MODULE_DECOMPRESS"), is_set(option)) {
        return Some(unpacks && knows_format);
    }
    let version: KernelVersion = member.module.release()?.parse().ok()?;
    (version < first).then_some(false)
}

/// Release directories without the index that modprobe goes by.
fn dep_missing(case: &Case<'_>, modules: &Modules<'_>) -> Vec<Finding> {
    let mut loads = case
        .boot
        .loads
        .iter()
        .filter(|load| load.loader == Loader::Modprobe);
    let Some(load) = loads.next() else {
        return Vec::new();
    };
    let directories: BTreeSet<&[u8]> = modules
        .members
        .iter()
        .filter_map(|member| member.directory)
        .collect();
    let indexed = |release: &str| {
        let names = ["modules.dep.bin", "modules.dep", "modules.dep.bb"];
        MODULE_PLACES.iter().any(|place| {
            let exists = |name| case.tree.has(&format!("{place}/{release}/{name}"));
            names.into_iter().any(exists)
        })
    };
    let is_loose = directories.is_empty() && !modules.members.is_empty();
    let releases = directories.into_iter().map(String::from_utf8_lossy);
    let bare = releases.filter(|release| !indexed(release));
    let bare = bare.map(|release| format!("/lib/modules/{release} has no index"));
    let is_of_a_script = case.boot.loads_are_of_a_script();
    let loose = is_loose && is_of_a_script;
    let loose = loose.then(|| "no module lies in a /lib/modules/RELEASE".to_owned());
    let severity = match is_of_a_script {
        true => Severity::Warning,
        false => Severity::Error,
    };
    let finding = |why: String| {
        let found = format!("modprobe is asked for {}, and {why}", load.module);
        Finding::new(&DEP_MISSING, found, "modules.dep or modules.dep.bin").weighing(severity)
    };
    bare.chain(loose).map(finding).collect()
}

/// What the guest's root has of the modules of an image.
#[derive(Default)]
struct Originals {
    /// The modules, by number, that are signed there.
    signed: HashSet<usize>,
    /// Those that are of another build there: which, and where it lies.
    other: Vec<(usize, String)>,
}

impl Originals {
    fn of(case: &Case<'_>, modules: &Modules<'_>) -> Originals {
        let mut originals = Originals::default();
        let Some(kernel) = &case.guest.root else {
            return originals;
        };
        let members = modules.members.iter().enumerate();
        let mut members: Vec<(usize, &Member<'_>)> = members
            .filter(|(_, member)| member.is_of(&kernel.release))
            .collect();
        // Those of one name are held against the same files, which are read but once.
        members.sort_by_key(|(_, member)| &member.name);
        let budget = Budget::default();
        for alike in members.chunk_by(|(_, a), (_, b)| a.name == b.name) {
            let name = alike.first().map(|(_, member)| &member.name);
            let found = name.map(|name| kernel.modules_called(name, &budget));
            let found = found.unwrap_or_default();
            for (number, member) in alike {
                originals.compare(*number, member, &found);
            }
        }
        originals.other.sort_unstable();
        originals
    }

    fn compare(&mut self, number: usize, member: &Member<'_>, found: &[(&ImagePath, OwnModule)]) {
        if found.iter().any(|(_, original)| original.signed) {
            self.signed.insert(number);
        }
        let build = member.module.build();
        let mut builds = found.iter().map(|(_, original)| &original.build);
        let is_one = builds.any(|original| build.is_same(original));
        if let Some((path, original)) = found.first().filter(|_| !is_one) {
            let original = format!("{}, as {path} of the root", original.build);
            self.other.push((number, original));
        }
    }

    fn differing(&self, modules: &Modules<'_>) -> Vec<Finding> {
        let differing = self.other.iter().filter_map(|(number, expected)| {
            let member = modules.members.get(*number)?;
            let finding = Finding::new(&DIFFERS, member.module.build().to_string(), expected);
            Some(finding.at(member.item))
        });
        differing.collect()
    }
}

fn unsigned(modules: &Modules<'_>, originals: &Originals) -> Vec<Finding> {
    let signed: BTreeSet<Option<&[u8]>> = modules
        .members
        .iter()
        .filter(|member| member.module.signed)
        .map(|member| member.directory)
        .collect();
    let members = modules.members.iter().enumerate();
    let unsigned = members.filter_map(|(number, member)| {
        let expected = match (
            originals.signed.contains(&number),
            signed.contains(&member.directory),
        ) {
            _ if member.module.signed => return None,
            (true, _) => "signed, as it is in the guest's root",
            (false, true) => "signed, as other modules of its kernel are",
            (false, false) => return None,
        };
        Some(Finding::new(&SIGNATURE_STRIPPED, "no signature", expected).at(member.item))
    });
    unsigned.collect()
}
