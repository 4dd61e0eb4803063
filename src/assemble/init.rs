//! `/init`, and what is made for it alone.

use super::binaries::{self, missing_strings};
use super::{Assembler, PlacedBinary, RootDevice};
use crate::arch::Arch;
use crate::image_path::ImagePath;
use crate::init::texts::{self, Texts};
use crate::init::{Boot, InitFault, ModuleLoad, busybox, nash, native};
use crate::manifest::{self, InitKind};
use crate::plan::{Entry, Node, Purpose};
use crate::problem::Fault;

const ORIGIN: &str = "made for this image";
/// Where the native init comes from.
const OWN_PROGRAM: &str = "comes with xinitrd";

impl Assembler<'_> {
    /// Writes the init of the manifest's kind into the plan, and reports it where it is a program.
    ///
    /// Where the architecture is unknown, which is a problem of its own, no program is put in.
    pub(super) fn init(&mut self, boot: &Boot, arch: Option<Arch>) -> Option<PlacedBinary> {
        let written = match native::on_network(boot) {
            Some(fault) => Err(fault),
            None => self.written(boot, arch),
        };
        match written {
            Err(InitFault::Inactive { .. }) => self.root_unsupported(),
            Err(fault) => self.problem(fault.place(), fault),
            Ok(files) => {
                for (path, mode, bytes) in files {
                    let path = image_path(path);
                    self.add_file(path, mode, Purpose::Init, bytes, ORIGIN);
                }
            }
        }
        match self.request.manifest.init {
            InitKind::Native => self.own_program(arch?),
            _ => None,
        }
    }

    /// The init and its texts.
    fn written(&mut self, boot: &Boot, arch: Option<Arch>) -> Result<Vec<Made>, InitFault> {
        match self.request.manifest.init {
            InitKind::Nash42 => nash::el4(boot, self.has_udev()).map(only_init),
            InitKind::Nash51 => nash::el5(boot).map(only_init),
            InitKind::Busybox => {
                self.busybox_applets();
                busybox::texts(boot).map(|texts| with_texts(busybox::INIT.as_bytes(), texts))
            }
            InitKind::Native => {
                let program = arch.map(native::program).unwrap_or_default();
                native::texts(boot).map(|texts| with_texts(program, texts))
            }
        }
    }

    /// The program that is the init: proved to be the guest's, as any other.
    fn own_program(&mut self, guest: Arch) -> Option<PlacedBinary> {
        let program = native::program(guest);
        let path = image_path("init");
        match native::judge(program, guest) {
            Ok(()) => Some(binaries::report(&path, OWN_PROGRAM, program, false, guest)),
            Err(fault) => {
                self.problem(path.to_string(), Fault::OwnProgram { fault, guest });
                None
            }
        }
    }

    fn root_unsupported(&mut self) {
        let request = self.request;
        let able = match self.root_device() {
            RootDevice::Plain => Vec::new(),
            _ => manifest::serving(request.version, |manifest| manifest.init.activates()),
        };
        let fault = Fault::RootUnsupported {
            device: request.root_device.clone().unwrap_or_default(),
            manifest: request.manifest.name.clone(),
            kernel: request.version,
            able,
        };
        self.problem("--root-device", fault);
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
fn with_texts(init: &[u8], texts: Texts) -> Vec<Made> {
    vec![
        ("init", 0o755, init.to_vec()),
        (texts::MODULES_PATH, 0o644, texts.modules.into_bytes()),
        (texts::CMDLINE_PATH, 0o644, texts.cmdline.into_bytes()),
    ]
}

/// The path of a name in this program, which is a good one.
pub(super) fn image_path(path: &str) -> ImagePath {
    ImagePath::new(path).unwrap_or_default()
}
