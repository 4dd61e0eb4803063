//! Rules about the symbols that modules need of each other and of the kernel.

use std::collections::{HashMap, HashSet};

use super::modules::missing_names;
use crate::elf::symbols::{Binding, Symbol};
use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::guest_kernel::{Exported, GuestKernel};
use crate::inspect::modules::{Member, Modules, Provider, few, push};

/// The rules, in order.
pub const RULES: &[&Rule] = &[&SYMBOL_MISSING, &SYMBOL_CRC];

static SYMBOL_MISSING: Rule = Rule {
    name: "module-symbol-missing",
    severity: Severity::Error,
    meaning: "A module uses symbols that neither the guest's kernel nor any module of the image exports.",
    reason: "The kernel resolves every symbol when a module is loaded (simplify_symbols in \
             kernel/module/main.c) and refuses the module: `Unknown symbol ... (err -2)`. This is \
             told where the guest's root has the kernel's Module.symvers or System.map.",
    cure: "Put the module in that exports them; where none does, this module is not of that kernel.",
};

static SYMBOL_CRC: Rule = Rule {
    name: "module-symbol-crc",
    severity: Severity::Error,
    meaning: "A module was built against other versions of some symbols than those the image has.",
    reason: "With CONFIG_MODVERSIONS the kernel compares the CRC of each symbol's type (check_version \
             in kernel/module/version.c): `disagrees about version of symbol ...`.",
    cure: "Take all modules from the package of the one kernel that the guest boots.",
};

/// What they find.
pub fn check(case: &Case<'_>, modules: &Modules<'_>, findings: &mut Vec<Finding>) {
    let symbols = Symbols {
        modules,
        exporters: modules.exporters(),
        kernel: case.guest.root.as_ref(),
        usual: usual_crcs(modules),
    };
    for member in &modules.members {
        findings.extend(symbols.missing(member));
        findings.extend(symbols.differing(member));
    }
}

/// The symbols of an image.
struct Symbols<'m, 'c> {
    modules: &'m Modules<'c>,
    exporters: HashMap<&'c [u8], Vec<Provider>>,
    kernel: Option<&'c GuestKernel>,
    /// For symbols that no module exports the CRC that most modules expect.
    usual: HashMap<&'c [u8], Crcs>,
}

impl<'c> Symbols<'_, 'c> {
    fn missing(&self, member: &Member<'c>) -> Option<Finding> {
        let kernel = self.kernel_of(member)?;
        let absent = missing_names(self.modules, member);
        let is_missing = |symbol: &Symbol<'_>| {
            symbol.binding == Binding::Strong
                && self.providers(member, symbol.name).next().is_none()
                && match kernel.exported(symbol.name) {
                    Exported::By(export) => {
                        // One that is missing as a whole is told already.
                        export.module.is_some_and(|module| {
                            !absent.contains(module) && !self.modules.is_builtin(module.as_bytes())
                        })
                    }
                    Exported::ByNobody => true,
                    Exported::Unknown => false,
                }
        };
        let needs = member.module.symbols.needs.iter();
        let missing: Vec<&[u8]> = needs.filter(is_missing).map(|symbol| symbol.name).collect();
        (!missing.is_empty()).then(|| {
            let found = format!(
                "it uses {}, which nothing exports",
                few(missing.into_iter())
            );
            let expected = "symbols that the kernel or a module of the image exports";
            Finding::new(&SYMBOL_MISSING, found, expected).at(member.item)
        })
    }

    /// The guest's kernel, where the module is of it.
    fn kernel_of(&self, member: &Member<'c>) -> Option<&'c GuestKernel> {
        self.kernel.filter(|kernel| member.is_of(&kernel.release))
    }

    /// The modules of the same kernel that export a symbol.
    fn providers(&self, member: &Member<'c>, name: &[u8]) -> impl Iterator<Item = Provider> {
        let providers = self.exporters.get(name).into_iter().flatten().copied();
        providers.filter(|provider| self.modules.are_related(member, provider.number))
    }

    fn differing(&self, member: &Member<'c>) -> Option<Finding> {
        let kernel = self.kernel_of(member);
        let differs = |need: &Symbol<'_>| self.differs(member, need, kernel) == Some(true);
        let differing = member.module.symbols.needs.iter().filter(differs);
        let differing: Vec<&[u8]> = differing.map(|need| need.name).collect();
        (!differing.is_empty()).then(|| {
            let names = few(differing.into_iter());
            let found = format!("it was built against another version of {names}");
            let expected = "the versions that the kernel and the other modules have";
            Finding::new(&SYMBOL_CRC, found, expected).at(member.item)
        })
    }

    /// Whether the CRC that is expected is another one than the provider's; without a provider, than
    /// what most users expect.
    fn differs(
        &self,
        member: &Member<'c>,
        need: &Symbol<'_>,
        kernel: Option<&GuestKernel>,
    ) -> Option<bool> {
        let expected = need.crc?;
        let mut provided = self
            .providers(member, need.name)
            .filter_map(|found| found.crc)
            .peekable();
        if provided.peek().is_some() {
            return Some(provided.all(|crc| crc != expected));
        }
        if let Some(Exported::By(export)) = kernel.map(|kernel| kernel.exported(need.name))
            && let Some(crc) = export.crc
        {
            return Some(crc != expected);
        }
        let usual = self.usual.get(need.name)?;
        Some(usual.most()? != expected)
    }
}

/// How many modules expect each CRC of one symbol, the first met in front.
#[derive(Default)]
struct Crcs(Vec<(u32, usize)>);

impl Crcs {
    fn count(&mut self, crc: u32) {
        match self.0.iter_mut().find(|(known, _)| *known == crc) {
            Some((_, count)) => *count += 1,
            None => push(&mut self.0, (crc, 1)),
        }
    }

    /// What more than half expect.
    fn most(&self) -> Option<u32> {
        let all: usize = self.0.iter().map(|(_, count)| count).sum();
        let most = self.0.iter().find(|(_, count)| 2 * count > all);
        most.map(|(crc, _)| *crc)
    }
}

/// What modules of one kernel expect; of an image with several kernels nothing can be said.
fn usual_crcs<'c>(modules: &Modules<'c>) -> HashMap<&'c [u8], Crcs> {
    let mut usual: HashMap<&[u8], Crcs> = HashMap::new();
    let directories = modules.members.iter().map(|member| member.directory);
    let directories: HashSet<_> = directories.collect();
    if directories.len() > 1 {
        return usual;
    }
    for member in &modules.members {
        for need in member.module.symbols.needs.iter() {
            if let Some(crc) = need.crc {
                usual.entry(need.name).or_default().count(crc);
            }
        }
    }
    usual
}
