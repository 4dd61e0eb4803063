//! What a root device's name says of the help it needs.

use super::Assembler;

/// A root device, by what has to be done before it can be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootDevice {
    /// Nothing but its driver.
    Plain,
    /// Its volume group has to be activated.
    LogicalVolume {
        /// The group.
        group: String,
    },
    /// Its array has to be started.
    Raid {
        /// The device, as `/dev/md0`.
        device: String,
    },
}

/// Directories of `/dev` that are no volume groups.
const NOT_GROUPS: [&str; 10] = [
    "block", "bus", "cciss", "char", "disk", "ida", "input", "mapper", "md", "rd",
];

impl RootDevice {
    /// Reads a name as `root=` has it: `/dev/VG/LV` and `/dev/mapper/VG-LV` (with `-` doubled
    /// within a name, as device-mapper has it) are logical volumes, `/dev/md*` is an array.
    #[must_use]
    pub fn parse(device: &str) -> RootDevice {
        let Some(name) = device.strip_prefix("/dev/") else {
            return RootDevice::Plain;
        };
        if let Some(mapped) = name.strip_prefix("mapper/") {
            return match mapper_group(mapped) {
                Some(group) => RootDevice::LogicalVolume { group },
                None => RootDevice::Plain,
            };
        }
        if is_array(name) {
            return RootDevice::Raid {
                device: device.to_owned(),
            };
        }
        match name.split_once('/') {
            Some((group, volume)) if !NOT_GROUPS.contains(&group) && !volume.contains('/') => {
                RootDevice::LogicalVolume {
                    group: group.to_owned(),
                }
            }
            _ => RootDevice::Plain,
        }
    }
}

/// Whether the name is that of an array: `md0`, `md/0`, `md_d0`.
fn is_array(name: &str) -> bool {
    let number = name
        .strip_prefix("md")
        .map(|rest| rest.trim_start_matches(['/', '_', 'd']));
    number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
        || name.starts_with("md/")
}

/// The group in a device-mapper name: what stands before the first single `-`.
fn mapper_group(mapped: &str) -> Option<String> {
    let mut group = String::new();
    let mut rest = mapped.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '-' && rest.next_if_eq(&'-').is_none() {
            return rest.peek().map(|_| group);
        }
        group.push(c);
    }
    None
}

impl Assembler<'_> {
    /// What the root device asked for needs.
    pub(super) fn root_device(&self) -> RootDevice {
        self.request
            .root_device
            .as_deref()
            .map_or(RootDevice::Plain, RootDevice::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_a_volume_an_array_and_a_plain_device_apart() {
        let volume = |group: &str| RootDevice::LogicalVolume {
            group: group.to_owned(),
        };
        let raid = |device: &str| RootDevice::Raid {
            device: device.to_owned(),
        };
        for (device, want) in [
            ("/dev/xvda1", RootDevice::Plain),
            ("LABEL=/", RootDevice::Plain),
            ("UUID=1-2", RootDevice::Plain),
            ("/dev/VolGroup00/LogVol00", volume("VolGroup00")),
            ("/dev/mapper/VolGroup00-LogVol00", volume("VolGroup00")),
            ("/dev/mapper/my--group-root", volume("my-group")),
            ("/dev/mapper/cryptroot", RootDevice::Plain),
            ("/dev/cciss/c0d0p1", RootDevice::Plain),
            ("/dev/disk/by-uuid", RootDevice::Plain),
            ("/dev/md0", raid("/dev/md0")),
            ("/dev/md/0", raid("/dev/md/0")),
            ("/dev/mdm", RootDevice::Plain),
        ] {
            assert_eq!(RootDevice::parse(device), want, "{device}");
        }
    }
}
