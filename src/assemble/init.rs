//! `/init`, and what it reads.

use super::{Assembler, RootDevice};
use crate::image_path::ImagePath;
use crate::init::{Boot, InitFault, ModuleLoad, busybox, nash};
use crate::manifest::InitKind;
use crate::plan::Purpose;
use crate::problem::Fault;

impl Assembler<'_> {
    /// Writes the init of the manifest's kind, for these modules, into the plan.
    pub(super) fn init(&mut self, loads: &[ModuleLoad]) {
        let boot = self.boot(loads);
        let written = match self.request.manifest.init {
            InitKind::Nash42 => nash::el4(&boot, self.has_udev()).map(only_init),
            InitKind::Nash51 => nash::el5(&boot).map(only_init),
            InitKind::Busybox => busybox_files(&boot),
        };
        match written {
            Err(InitFault::Inactive { .. }) => self.root_unsupported(),
            Err(fault @ InitFault::UnknownDevice { .. }) => self.problem("--root-device", fault),
            Err(fault) => self.problem("/init", fault),
            Ok(files) => {
                for (path, mode, text) in files {
                    let path = ImagePath::new(path).unwrap_or_default();
                    let origin = "made for this image";
                    self.add_file(path, mode, Purpose::Init, text.into_bytes(), origin);
                }
            }
        }
    }

    fn root_unsupported(&mut self) {
        let device = self.request.root_device.clone().unwrap_or_default();
        let manifest = self.request.manifest.name.clone();
        self.problem("--root-device", Fault::RootUnsupported { device, manifest });
    }

    fn boot(&self, loads: &[ModuleLoad]) -> Boot {
        let request = self.request;
        let (volume_group, raid_device) = match self.root_device() {
            RootDevice::Plain => (None, None),
            RootDevice::LogicalVolume { group } => (Some(group), None),
            RootDevice::Raid { device } => (None, Some(device)),
        };
        Boot {
            modules: loads.to_vec(),
            root_device: request.root_device.clone(),
            rootfs: request.rootfs().to_owned(),
            root_options: request.root_options.clone(),
            volume_group,
            raid_device,
        }
    }

    /// Whether the manifest has udev in its image.
    fn has_udev(&self) -> bool {
        let udev = |binary: &crate::manifest::Binary| binary.path.file_name() == b"udev";
        self.request.manifest.binaries.iter().any(udev)
    }
}

fn only_init(script: String) -> Vec<(&'static str, u32, String)> {
    vec![("init", 0o755, script)]
}

fn busybox_files(boot: &Boot) -> Result<Vec<(&'static str, u32, String)>, InitFault> {
    Ok(vec![
        ("init", 0o755, busybox::INIT.to_owned()),
        ("etc/xinitrd/modules", 0o644, busybox::module_list(boot)?),
        ("etc/xinitrd/cmdline", 0o644, busybox::cmdline(boot)?),
    ])
}
