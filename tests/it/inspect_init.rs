//! How an image boots, by what builders leave in it; and the rules about its init.

use xinitrd::image_path::ImagePath;
use xinitrd::init::{Boot, ModuleLoad, busybox, nash, texts};
use xinitrd::inspect::boot::Loader;
use xinitrd::inspect::guest_kernel::GuestKernel;
use xinitrd::inspect::rules::init::RULES;
use xinitrd::inspect::{Guest, Inspection};
use xinitrd::kernel_version::KernelVersion;
use xinitrd::root::Root;

use crate::judged::{
    Made, archive, device, directory, file, found, judged, link, made, made_by_others, program,
};
use crate::readers::Tree;
use crate::support::{fetched, kernel_of};

/// A module that says nothing of itself: enough for its file to be found.
const MODULE: &str = "";

fn inspected(entries: &[Made]) -> Inspection {
    judged(archive(entries), &Guest::default())
}

/// How an image boots, a line for each thing known.
fn boot(inspection: &Inspection) -> Vec<String> {
    let boot = &inspection.boot;
    let version = boot.version.as_deref().unwrap_or("?");
    let mut lines = vec![format!("{} {version}", boot.generator)];
    lines.extend(
        boot.init
            .as_ref()
            .map(|init| format!("{}: {}", init.path, init.kind)),
    );
    lines.extend(boot.loads.iter().map(|load| {
        let how = match load.loader {
            Loader::Insmod => "insmod",
            Loader::Modprobe => "modprobe",
        };
        let path = load
            .path
            .as_ref()
            .map_or("nowhere".to_owned(), ToString::to_string);
        format!("{how} {} at {path} [{}]", load.module, load.options)
    }));
    if boot.on_demand {
        lines.push("and more on demand".to_owned());
    }
    lines
}

fn loads() -> Boot {
    let load = |path: &str, options: &str| ModuleLoad {
        path: ImagePath::new(path).unwrap(),
        options: options.to_owned(),
    };
    Boot {
        modules: vec![load("lib/xenblk.ko", ""), load("lib/jbd.ko", "a=1 b=2")],
        rootfs: "ext3".to_owned(),
        ..Boot::default()
    }
}

/// What the images of this program's nash manifests have besides.
fn nash_image(init: &str) -> Vec<Made> {
    vec![
        directory("bin"),
        program("bin/nash", ""),
        program("bin/insmod", ""),
        link("sbin", "bin"),
        directory("lib"),
        file("lib/xenblk.ko", MODULE),
        file("lib/jbd.ko", MODULE),
        program("init", init),
    ]
}

#[test]
fn an_image_is_known_by_what_its_builder_leaves_in_it() {
    let nash_loads = [
        "insmod /lib/xenblk.ko at /lib/xenblk.ko []",
        "insmod /lib/jbd.ko at /lib/jbd.ko [a=1 b=2]",
    ];
    let own_nash = [
        &["xinitrd ?", "/init: a nash script"],
        nash_loads.as_slice(),
    ]
    .concat();
    let red_hat = "#!/bin/nash\n\nmount -t proc /proc /proc\nsetquiet\necho Mounting proc filesystem\n\
        echo \"Loading xenblk.ko module\"\ninsmod /lib/xenblk.ko \ninsmod /lib/jbd.ko a=1 b=2\n";
    let redhat_nash = [
        &["mkinitrd ?", "/init: a nash script"],
        nash_loads.as_slice(),
    ]
    .concat();
    let list = texts::module_list(&loads()).unwrap();
    let modules = "usr/lib/modules/6.1/kernel/";
    let places = |more: &[Made]| {
        let mut entries = vec![
            directory("usr"),
            directory("usr/lib"),
            link("lib", "usr/lib"),
            file(format!("{modules}virtio_blk.ko"), MODULE),
            file(format!("{modules}xen-blkfront.ko.xz"), MODULE),
        ];
        entries.extend_from_slice(more);
        entries
    };
    let cases: Vec<(Vec<Made>, Vec<&str>)> = vec![
        (vec![], vec!["unknown ?"]),
        (
            nash_image(&nash::el4(&loads(), true).unwrap()),
            own_nash.clone(),
        ),
        (nash_image(&nash::el5(&loads()).unwrap()), own_nash),
        (nash_image(red_hat), redhat_nash),
        (
            vec![
                file("lib/jbd.ko", MODULE),
                file("etc/xinitrd/modules", list),
                program("init", busybox::INIT),
            ],
            vec![
                "xinitrd ?",
                "/init: a busybox script",
                "insmod lib/xenblk.ko at nowhere []",
                "insmod lib/jbd.ko at /lib/jbd.ko [a=1 b=2]",
            ],
        ),
        (
            places(&[
                file("conf/initramfs.conf", "MODULES=most\n"),
                file(
                    "conf/modules",
                    "# first\nvirtio-blk \n\nxen_blkfront feature_persistent=0\nloop\n",
                ),
                file("scripts/functions", ""),
                program("usr/lib/systemd/systemd-udevd", ""),
                program("init", "#!/bin/sh\n"),
            ]),
            vec![
                "initramfs-tools ?",
                "/init: a script for /bin/sh",
                "modprobe virtio-blk at /usr/lib/modules/6.1/kernel/virtio_blk.ko []",
                "modprobe xen_blkfront at /usr/lib/modules/6.1/kernel/xen-blkfront.ko.xz [feature_persistent=0]",
                "modprobe loop at nowhere []",
                "and more on demand",
            ],
        ),
        (
            places(&[
                directory("usr/lib/dracut"),
                file("usr/lib/dracut/dracut-059-4", "dracut-059-4\n"),
                file(
                    "etc/cmdline.d/00-btrfs.conf",
                    "rd.driver.pre=virtio_blk,loop quiet\n",
                ),
                file(
                    "etc/cmdline.d/90.conf",
                    " rd.driver.post=\"xen_blkfront\" rd.driver.pre=a\n",
                ),
                program("usr/lib/systemd/systemd-modules-load", ""),
                file("usr/lib/modules-load.d/b.conf", "# none\n; none\nbbb\n"),
                file("usr/lib/modules-load.d/a.conf", "hidden\n"),
                file("etc/modules-load.d/a.conf", "aaa\n"),
                file("etc/modules-load.d/README", "no\n"),
                link("init", "usr/lib/systemd/systemd"),
                program("usr/lib/systemd/systemd", "\x7fELF"),
            ]),
            vec![
                "dracut 059-4",
                "/usr/lib/systemd/systemd: systemd",
                "modprobe aaa at nowhere []",
                "modprobe bbb at nowhere []",
                "modprobe virtio_blk at /usr/lib/modules/6.1/kernel/virtio_blk.ko []",
                "modprobe loop at nowhere []",
                "modprobe a at nowhere []",
                "modprobe xen_blkfront at /usr/lib/modules/6.1/kernel/xen-blkfront.ko.xz []",
            ],
        ),
        (
            vec![
                file("usr/lib/dracut-lib.sh", ""),
                file("usr/lib/dracut/x", ""),
                file(
                    "etc/initrd-release",
                    "NAME=x\nVERSION=\"9 (Core) dracut-033-572.el7\"\n",
                ),
            ],
            vec!["dracut 033-572.el7"],
        ),
        (
            vec![file("dracut-004-53.el6", ""), file("lib/dracut-lib.sh", "")],
            vec!["dracut 004-53.el6"],
        ),
        (
            places(&[
                file("buildconfig", "MODULES=(virtio_blk)\n"),
                file("config", "MODULES=\"virtio_blk nvme\"\nHOOKS=\"udev\"\n"),
                file("VERSION", "39.2"),
                program("usr/lib/systemd/systemd-udevd", ""),
                program("init", "#!/usr/bin/ash\n"),
            ]),
            vec![
                "mkinitcpio 39.2",
                "/init: a script for /usr/bin/ash",
                "modprobe virtio_blk at /usr/lib/modules/6.1/kernel/virtio_blk.ko []",
                "modprobe nvme at nowhere []",
                "and more on demand",
            ],
        ),
        (
            places(&[
                file(
                    "etc/booster.init.yaml",
                    "moduledependencies:\n    ext4:\n        - jbd2\nmodulesforceload:\n    - virtio_blk\n    \
                     - dm_mod\nkernel: 6.1\n",
                ),
                program("init", "\x7fELF"),
            ]),
            vec![
                "booster ?",
                "/init: no program and no script",
                "modprobe virtio_blk at /usr/lib/modules/6.1/kernel/virtio_blk.ko []",
                "modprobe dm_mod at nowhere []",
                "and more on demand",
            ],
        ),
        (
            vec![
                link("init", "bbin/init"),
                link("bbin/init", "bb"),
                program("bbin/bb", "\x7fELF"),
            ],
            vec!["u-root ?", "/bbin/bb: no program and no script"],
        ),
        (
            vec![
                file("lib/a.ko", MODULE),
                link("sh", "busybox"),
                program(
                    "init",
                    "#!/sh\ninsmod /lib/a.ko debug=1 || echo no\n/bin/busybox modprobe -a b $c\n",
                ),
            ],
            vec![
                "unknown ?",
                "/init: a script for /sh",
                "insmod /lib/a.ko at /lib/a.ko [debug=1]",
                "modprobe b at nowhere []",
            ],
        ),
    ];
    for (entries, expected) in cases {
        assert_eq!(boot(&inspected(&entries)), expected);
    }
}

#[test]
fn real_builders_are_known_and_their_inits_are_found_to_be_sound() {
    let kernel = kernel_of(&fetched("kernel-6.1-amd64-depmod"));
    let asked = [
        ("virtio_pci", "drivers/virtio"),
        ("virtio_blk", "drivers/block"),
        ("xen-blkfront", "drivers/block"),
        ("xen-netfront", "drivers/net"),
        ("ext4", "fs/ext4"),
    ];
    let asked = asked.map(|(name, place)| {
        format!("modprobe {name} at /usr/lib/modules/{kernel}/kernel/{place}/{name}.ko []\n")
    });
    let tools = format!(
        "initramfs-tools ?\n/init: a script for /bin/sh\n{}and more on demand",
        asked.concat()
    );
    let listed = [
        "virtio_ring",
        "virtio",
        "virtio_pci_modern_dev",
        "virtio_pci_legacy_dev",
        "virtio_pci",
        "virtio_blk",
        "xen-blkfront",
        "xen-netfront",
        "crc32c-intel",
        "crc32c_generic",
        "jbd2",
        "mbcache",
        "crc16",
        "ext4",
        "virtio_mmio",
    ];
    let listed = listed.map(|name| format!("\ninsmod /{name}.ko at /{name}.ko []"));
    let tiny = format!(
        "tiny-initramfs ?\n/init: a static program{}",
        listed.concat()
    );
    let dracut = "dracut 059-4\n/init: a script for /bin/sh\nand more on demand";
    let systemd = "dracut 059-4\n/usr/lib/systemd/systemd: systemd\nand more on demand";
    for (name, expected) in [
        ("initramfs-tools-list-gzip", tools.as_str()),
        ("dracut-list-gzip", dracut),
        ("dracut-gzip", systemd),
        ("tiny-gzip", &tiny),
    ] {
        let inspection = judged(made_by_others(name), &Guest::default());
        assert_eq!(boot(&inspection).join("\n"), expected, "{name}");
        assert_eq!(found(&inspection, RULES), [""; 0], "{name}");
    }
}

/// What is found by the rules about the init alone.
fn init_found(entries: &[Made], kernel: Option<KernelVersion>) -> Vec<String> {
    let guest = Guest {
        kernel,
        ..Guest::default()
    };
    found(&judged(archive(entries), &guest), RULES)
}

fn console() -> [Made; 2] {
    [directory("dev"), device("dev/console", 5, 1)]
}

#[test]
fn each_rule_about_the_init_finds_what_it_is_about_and_nothing_else() {
    let long = |length: usize| format!("#!/{}\n", "i".repeat(length - 4));
    let old = Some(KernelVersion::new(4, 18, 0));
    let nash = nash::el4(&loads(), true).unwrap();
    let without = |name: &str| {
        let entries = nash_image(&nash).into_iter().zip([
            "bin",
            "bin/nash",
            "bin/insmod",
            "sbin",
            "lib",
            "lib/xenblk.ko",
            "lib/jbd.ko",
            "init",
        ]);
        let kept = entries.filter(|(_, kept)| *kept != name);
        let udev = [program("bin/udevstart", ""), program("bin/hotplug", "")];
        kept.map(|(entry, _)| entry).chain(udev).collect::<Vec<_>>()
    };
    let cases: Vec<(Vec<Made>, Option<KernelVersion>, Vec<&str>)> = vec![
        (vec![program("init", "#!/bin/sh\n")], None, vec![]),
        (
            vec![program("init", "#!/bin/sh\n").numbered(7)],
            None,
            vec![],
        ),
        (
            vec![
                program("sh", "#!/x\n").numbered(7),
                program("init", "").numbered(7),
            ],
            None,
            vec![],
        ),
        (vec![], None, vec!["error no-init -: no /init"]),
        (
            vec![link("init", "sbin/init")],
            None,
            vec![
                "error no-init init: the symbolic link /init -> sbin/init leads nowhere inside the root",
            ],
        ),
        (
            vec![program("linuxrc", "#!/bin/sh\n")],
            None,
            vec![
                "error no-init -: no /init",
                "warning legacy-linuxrc linuxrc: a /linuxrc alone",
            ],
        ),
        (
            vec![file("init", "#!/bin/sh\n")],
            None,
            vec!["error init-not-executable init: mode 0644"],
        ),
        (
            vec![link("init", "real"), file("real", "#!/bin/sh\n")],
            None,
            vec!["error init-not-executable real: mode 0644"],
        ),
        (
            vec![directory("init")],
            None,
            vec!["error init-cannot-run init: a directory"],
        ),
        (
            vec![program("init", "")],
            None,
            vec!["error init-cannot-run init: an empty file"],
        ),
        (
            vec![program("init", "echo\n")],
            None,
            vec!["error init-cannot-run init: a text with no `#!` at its beginning"],
        ),
        (
            vec![program("init", "\0\x01\x02\x03")],
            None,
            vec!["error init-cannot-run init: neither an ELF file nor a script"],
        ),
        (
            vec![program("init", "#!/bin/sh\r\n")],
            None,
            vec!["error init-cannot-run init: a script for `/bin/sh\\r`, with a carriage return"],
        ),
        (vec![program("init", long(200))], None, vec![]),
        (
            vec![program("init", long(200))],
            old,
            vec![
                "error init-cannot-run init: an interpreter that does not end within the first 127 bytes",
            ],
        ),
        (
            vec![program("init", long(300))],
            None,
            vec![
                "error init-cannot-run init: a text with an interpreter that does not end within the first 255 bytes",
            ],
        ),
        (without(""), None, vec![]),
        (
            without("lib/jbd.ko"),
            None,
            vec!["error init-module-missing init: no /lib/jbd.ko"],
        ),
        (
            without("bin/insmod"),
            None,
            vec!["error init-program-missing init: line 16 calls insmod, which is not there"],
        ),
        (
            vec![
                file("conf/a", ""),
                program("init", "#!/bin/sh\n. /conf/a\n. /conf/b\n"),
            ],
            None,
            vec!["error init-source-missing init: line 3 reads /conf/b, which is not there"],
        ),
    ];
    for (entries, kernel, expected) in cases {
        let entries = [console().as_slice(), &entries].concat();
        assert_eq!(init_found(&entries, kernel), expected);
    }
}

#[test]
fn the_console_is_a_node_of_its_number_or_is_told_of() {
    let init = program("init", "#!/bin/sh\n");
    for (console, expected) in [
        (device("dev/console", 5, 1), vec![]),
        // The kernel has one of its own.
        (device("dev/null", 1, 3), vec![]),
        (
            made("dev/console", 0o600, ""),
            vec![
                "warning no-console-node dev/console: an entry of no type, which takes away the kernel's own",
            ],
        ),
        (
            device("dev/console", 1, 3),
            vec!["warning wrong-console-node dev/console: a character device 1:3"],
        ),
        (
            file("dev/console", ""),
            vec!["error wrong-console-node dev/console: a file"],
        ),
        (
            made("dev/console", 0o060_600, ""),
            vec!["error wrong-console-node dev/console: a block device"],
        ),
    ] {
        let entries = [directory("dev"), console, init.clone()];
        assert_eq!(init_found(&entries, None), expected);
    }
}

#[test]
fn a_kernel_with_an_archive_of_its_own_needs_the_image_to_have_a_console() {
    let init = program("init", "#!/bin/sh\n");
    let told = |entries: &[Made], source: Option<&str>| {
        let source = source.unwrap_or_default();
        let text = format!("==> boot/config-1 <==\nCONFIG_INITRAMFS_SOURCE=\"{source}\"\n");
        let root = Root::new(Box::new(Tree::read(text.as_bytes())));
        let root = Some(GuestKernel::read(&root, "1").unwrap());
        let guest = Guest {
            root,
            ..Guest::default()
        };
        found(&judged(archive(entries), &guest), RULES)
    };
    let with = [&console()[..], std::slice::from_ref(&init)].concat();
    assert_eq!(told(&with, Some("list")), [""; 0]);
    assert_eq!(told(std::slice::from_ref(&init), None), [""; 0]);
    assert_eq!(
        told(&[init], Some("list")),
        ["warning no-console-node -: no dev/console, and a kernel built with the archive list"]
    );
}

#[test]
fn an_init_behind_more_texts_than_are_kept_is_looked_at_all_the_same() {
    let text = "x".repeat(2 << 20);
    let mut entries: Vec<Made> = (0..9)
        .map(|number| file(format!("text{number}"), &text))
        .collect();
    entries.push(program("init", "#!/bin/sh\n"));
    let inspection = inspected(&entries);
    assert_eq!(
        boot(&inspection),
        ["unknown ?", "/init: a script for /bin/sh"]
    );
}
