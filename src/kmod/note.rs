//! What was seen in a module tree that does not stop a build and that its owner may want to know.

use super::name::ModuleName;

/// One such thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Note {
    /// Lines of an index file that are none.
    #[error("{file}: {count} lines are not of its format, the first is line {first}; passed over")]
    Garbage {
        /// The file.
        file: String,
        /// How many.
        count: usize,
        /// The number of the first, from 1.
        first: usize,
    },
    /// A module file that `modules.dep` does not list.
    #[error("{module} is not in modules.dep, which seems older: run depmod in the root")]
    NotInDep {
        /// Its file.
        module: String,
    },
    /// `modules.dep` lists a need that the module's own `depends=` does not lead to.
    #[error("{module}: modules.dep says it needs {listed}, the module itself does not")]
    OnlyListed {
        /// The module.
        module: ModuleName,
        /// What only `modules.dep` says it needs.
        listed: ModuleName,
    },
    /// A soft dependency that nothing provides.
    #[error(
        "{module}: its soft dependency {wanted} is not in the tree; left out, as modprobe does"
    )]
    SoftdepMissing {
        /// The module.
        module: ModuleName,
        /// What it would like.
        wanted: String,
    },
    /// Soft dependencies that go round in a circle.
    #[error("{module}: its soft dependency {wanted} leads back to itself; the circle is cut there")]
    SoftCycle {
        /// The module.
        module: ModuleName,
        /// The dependency that leads back.
        wanted: ModuleName,
    },
    /// A module that could not be read while aliases were looked for.
    #[error("{module}: {fault}; its aliases are unknown")]
    Unreadable {
        /// Its file.
        module: String,
        /// Why.
        fault: String,
    },
    /// Aliases that were not looked at any more.
    #[error(
        "looking names up among the aliases took too long and was given up: the tree is not sound"
    )]
    AliasesGivenUp,
}
