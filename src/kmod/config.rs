//! `modprobe.conf` and the files of `modprobe.d`: options, aliases and soft dependencies.

use super::aliases::{Alias, normalise};
use super::modinfo::Softdep;
use super::name::ModuleName;

/// What a guest's configuration says of its modules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModprobeConfig {
    /// `alias PATTERN MODULE`, in order.
    pub aliases: Vec<Alias>,
    /// `options MODULE WORD...`, in order; the words joined by single spaces.
    pub options: Vec<(ModuleName, String)>,
    /// `softdep MODULE pre: ... post: ...`, in order.
    pub softdeps: Vec<(ModuleName, Softdep)>,
    /// `weakdep MODULE NAME...`, in order.
    pub weakdeps: Vec<(ModuleName, Vec<String>)>,
    /// `install NAME COMMAND...`: the names that a command is run for instead, in order.
    pub installs: Vec<ModuleName>,
}

impl ModprobeConfig {
    /// Adds what `text` says. Lines ending in a backslash go on in the next; `#` begins a comment
    /// line; other commands (`remove`, `blacklist`) concern running modprobe and are passed over.
    pub fn add(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text)
            .replace("\\\r\n", " ")
            .replace("\\\n", " ");
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (command, Some(subject)) = (words.next(), words.next()) else {
                continue;
            };
            let rest: Vec<&str> = words.collect();
            let module = ModuleName::new(subject);
            match command {
                Some("alias") => self.add_alias(subject, &rest),
                Some("options") => self.options.push((module, rest.join(" "))),
                Some("install") => self.installs.push(module),
                Some("softdep") => self
                    .softdeps
                    .push((module, Softdep::parse(&rest.join(" ")))),
                Some("weakdep") => {
                    self.weakdeps
                        .push((module, rest.into_iter().map(str::to_owned).collect()));
                }
                _ => {}
            }
        }
    }

    fn add_alias(&mut self, pattern: &str, rest: &[&str]) {
        // `off` is how modprobe.conf of 2.4 and 2.6 days takes an alias away.
        if let Some(module) = rest.first().filter(|module| **module != "off") {
            self.aliases
                .push(Alias::new(pattern.as_bytes(), ModuleName::new(module)));
        }
    }

    /// The modules `name` is an alias of.
    #[must_use]
    pub fn aliased(&self, name: &[u8]) -> Vec<ModuleName> {
        let normalised = normalise(name);
        let matching = self
            .aliases
            .iter()
            .filter(|alias| alias.matches(&normalised));
        matching.map(|alias| alias.module.clone()).collect()
    }

    /// The options of a module, all lines of it joined; `options` for an alias of it count too, as
    /// the aliases stand in this configuration.
    #[must_use]
    pub fn options_of(&self, name: &ModuleName) -> String {
        let concerns = |subject: &ModuleName| {
            subject == name || self.aliased(subject.as_bytes()).contains(name)
        };
        let options = self.options.iter().filter(|(subject, _)| concerns(subject));
        options
            .map(|(_, words)| words.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The modules behind `scsi_hostadapter`, `scsi_hostadapter1` and so on, in order: what
    /// mkinitrd loads for a host's disks.
    #[must_use]
    pub fn scsi_host_adapters(&self) -> Vec<ModuleName> {
        let adapters = self
            .aliases
            .iter()
            .filter(|alias| alias.pattern.starts_with(b"scsi_hostadapter"));
        adapters.map(|alias| alias.module.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_of_el4_days_is_read() {
        let mut config = ModprobeConfig::default();
        config.add(
            b"# comment\nalias eth0 xennet\nalias scsi_hostadapter xenblk\nalias usb-controller off\n\
              options xennet rx=1 \\\n  tx=2\noptions eth0 debug=1\ninstall x /bin/true\nbroken\n\
              softdep ext4 pre: crc32c\n",
        );
        assert_eq!(
            config.options_of(&ModuleName::new("xennet")),
            "rx=1 tx=2 debug=1"
        );
        assert_eq!(config.scsi_host_adapters(), [ModuleName::new("xenblk")]);
        assert_eq!(config.aliased(b"eth0"), [ModuleName::new("xennet")]);
        assert_eq!(config.aliased(b"usb-controller"), []);
        assert_eq!(config.softdeps[0].1.pre, ["crc32c"]);
        assert_eq!(config.installs, [ModuleName::new("x")]);
    }
}
