//! Rules about the kernel modules: what they need, and in which order they are loaded.

use std::collections::BTreeSet;

use crate::compress::Format;
use crate::inspect::Case;
use crate::inspect::boot::Loader;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::{Member, Modules, Order, Provider, few};
use crate::kernel_version::KernelVersion;
use crate::kmod::name::ModuleName;

/// The rules, in order.
pub const RULES: &[&Rule] = &[
    &DEPENDENCY_MISSING,
    &LOADED_TOO_EARLY,
    &DEP_MISSING,
    &SIGNATURE_STRIPPED,
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
             /lib/modules/RELEASE (modules.dep(5)); without them it finds nothing.",
    cure: "Run `depmod -b ROOT RELEASE` over the image's tree before it is packed.",
};

static SIGNATURE_STRIPPED: Rule = Rule {
    name: "module-signature-stripped",
    severity: Severity::Warning,
    meaning: "A module has no signature, and others of its kernel have one.",
    reason: "A kernel that enforces signatures (module.sig_enforce, or lockdown under Secure Boot) \
             refuses it; any other is tainted (Documentation/admin-guide/module-signing.rst). \
             strip(1) takes signatures away.",
    cure: "Take the module from its package again and do not strip it, or sign it.",
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
    meaning: "The init loads a zstd-compressed module by its file, on a kernel that cannot unpack it.",
    reason: "Kernels unpack modules themselves since 5.17 (MODULE_INIT_COMPRESSED_FILE); before, the \
             program had to, and no insmod but kmod's knows zstd.",
    cure: "Unpack the modules when the image is made: its own compression does as well.",
};

/// The first kernel that unpacks modules.
const UNPACKS_MODULES: KernelVersion = KernelVersion::new(5, 17, 0);

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
        findings.extend(unreadable(modules, order));
        findings.extend(dep_missing(case, modules));
    }
    findings.extend(unsigned(modules));
}

fn missing_needs(modules: &Modules<'_>, member: &Member<'_>) -> Option<Finding> {
    let missing = missing_names(modules, member);
    (!missing.is_empty()).then(|| {
        let names = few(missing.iter().map(ModuleName::as_bytes));
        let found = format!("it needs {names}, not in the image");
        let expected = "every module it needs in the image, or built into the kernel";
        Finding::new(&DEPENDENCY_MISSING, found, expected).at(member.item)
    })
}

/// The modules that `member` says it needs and that are nowhere.
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

fn unreadable(modules: &Modules<'_>, order: &Order) -> Vec<Finding> {
    let members = order
        .by_file
        .iter()
        .filter_map(|&number| modules.members.get(number));
    let packed = members.filter(|member| member.module.packed == Some(Format::Zstd));
    let unreadable = packed.filter_map(|member| {
        let release = member.module.release()?;
        let version: KernelVersion = release.parse().ok()?;
        let found = format!("a zstd-compressed module of kernel {release}, loaded by its file");
        let finding = Finding::new(&COMPRESSED, found, "a module that is not compressed");
        (version < UNPACKS_MODULES).then(|| finding.at(member.item))
    });
    unreadable.collect()
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
        let places = ["lib/modules", "usr/lib/modules"];
        let names = ["modules.dep.bin", "modules.dep", "modules.dep.bb"];
        places.iter().any(|place| {
            let exists = |name| case.tree.has(&format!("{place}/{release}/{name}"));
            names.into_iter().any(exists)
        })
    };
    let releases = directories.into_iter().map(String::from_utf8_lossy);
    let bare = releases.filter(|release| !indexed(release));
    let finding = |release| {
        let found = format!(
            "modprobe is asked for {}, and /lib/modules/{release} has no index",
            load.module
        );
        Finding::new(&DEP_MISSING, found, "modules.dep or modules.dep.bin")
    };
    bare.map(finding).collect()
}

fn unsigned(modules: &Modules<'_>) -> Vec<Finding> {
    let signed: BTreeSet<Option<&[u8]>> = modules
        .members
        .iter()
        .filter(|member| member.module.signed)
        .map(|member| member.directory)
        .collect();
    let others = modules
        .members
        .iter()
        .filter(|member| !member.module.signed);
    let stripped = others.filter(|member| signed.contains(&member.directory));
    let finding = |member: &Member<'_>| {
        let expected = "signed, as other modules of its kernel are";
        Finding::new(&SIGNATURE_STRIPPED, "no signature", expected).at(member.item)
    };
    stripped.map(finding).collect()
}
