//! `/init`, and what is made for it alone.

use super::binaries::missing_strings;
use super::{Assembler, RootDevice};
use crate::arch::Arch;
use crate::image_path::ImagePath;
use crate::init::{Boot, InitFault, ModuleLoad, busybox, nash, native, texts};
use crate::manifest::InitKind;
use crate::plan::{Entry, Node, Purpose};
use crate::problem::Fault;

const ORIGIN: &str = "made for this image";

impl Assembler<'_> {
    /// Writes the init of the manifest's kind into the plan.
    ///
    /// Where the architecture is unknown, which is a problem of its own, no program is put in.
    pub(super) fn init(&mut self, boot: &Boot, arch: Option<Arch>) {
        let written = match self.request.manifest.init {
            InitKind::Nash42 => nash::el4(boot, self.has_udev()).map(only_init),
            InitKind::Nash51 => nash::el5(boot).map(only_init),
            InitKind::Busybox => {
                self.busybox_applets();
                with_texts(busybox::INIT.as_bytes(), boot)
            }
            InitKind::Native => {
                let program = arch.map(native::program);
                with_texts(program.unwrap_or_default(), boot)
            }
        };
        match written {
            Err(InitFault::Inactive { .. }) => self.root_unsupported(),
            Err(fault @ InitFault::UnknownDevice { .. }) => self.problem("--root-device", fault),
            Err(fault) => self.problem("/init", fault),
            Ok(files) => {
                for (path, mode, bytes) in files {
                    let path = image_path(path);
                    self.add_file(path, mode, Purpose::Init, bytes, ORIGIN);
                }
            }
        }
    }

    fn root_unsupported(&mut self) {
        let device = self.request.root_device.clone().unwrap_or_default();
        let manifest = self.request.manifest.name.clone();
        self.problem("--root-device", Fault::RootUnsupported { device, manifest });
    }

    /// What the init is to do, for these modules.
    pub(super) fn boot(&self, loads: &[ModuleLoad]) -> Boot {
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

    /// Links the applets that the busybox script calls beside its busybox, which must have them.
    fn busybox_applets(&mut self) {
        let busybox = image_path(busybox::BUSYBOX);
        let real = self.plan.real_path(&busybox).unwrap_or_default();
        if let Some(entry) = self.plan.get(&real) {
            let missing = missing_strings(busybox::APPLETS, entry.data());
            if !missing.is_empty() {
                self.problem(entry.origin.clone(), Fault::AppletsMissing(missing));
            }
        }
        let directory = busybox.parent().unwrap_or_default();
        let directory = self.plan.real_path(&directory).unwrap_or_default();
        for name in busybox::APPLETS {
            let link = Entry {
                node: Node::Symlink(busybox.file_name().to_vec()),
                mode: 0o777,
                purpose: Purpose::Structure,
                origin: ORIGIN.to_owned(),
            };
            if let Ok(path) = directory.join(name.as_bytes()) {
                self.add(path, link);
            }
        }
    }

    /// Whether the manifest has udev in its image.
    pub(super) fn has_udev(&self) -> bool {
        let udev = |binary: &crate::manifest::Binary| binary.path.file_name() == b"udev";
        self.request.manifest.binaries.iter().any(udev)
    }
}

/// A file that is made: its path, its mode and what it holds.
type Made = (&'static str, u32, Vec<u8>);

fn only_init(script: String) -> Vec<Made> {
    vec![("init", 0o755, script.into_bytes())]
}

/// An init that reads what to do, and what it reads.
fn with_texts(init: &[u8], boot: &Boot) -> Result<Vec<Made>, InitFault> {
    let modules = texts::module_list(boot)?;
    let cmdline = texts::cmdline(boot)?;
    Ok(vec![
        ("init", 0o755, init.to_vec()),
        (texts::MODULES_PATH, 0o644, modules.into_bytes()),
        (texts::CMDLINE_PATH, 0o644, cmdline.into_bytes()),
    ])
}

/// The path of a name in this program, which is a good one.
pub(super) fn image_path(path: &str) -> ImagePath {
    ImagePath::new(path).unwrap_or_default()
}
