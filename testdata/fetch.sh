#!/bin/sh
# Fetches real inputs for the tests from Debian's archive, and a validator from PyPI, unpacks them
# into a cache and prints each one's directory. Nothing is installed, no root is needed, and the machine's own apt state
# is neither read nor changed: only its mirror, proxy and keyring are taken over.
#
#   testdata/fetch.sh NAME...       (the names: testdata/README.md)
#
# A name already in the cache is printed at once; remove its directory to fetch it anew. The cache
# is .cache at the repository's top, or $XINITRD_CACHE.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cache=${XINITRD_CACHE:-$top/.cache}

die() {
    printf 'fetch.sh: %s\n' "$*" >&2
    exit 1
}

# need TOOL PACKAGE
need() {
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || die "$1 is missing: apt-get install $2"
}

# The archive that carries the machine's own packages: `repository main`, or `security`.
# Without release information, or apt would keep silent where `apt-get update` has never run.
repository() {
    # shellcheck disable=SC2016 # apt expands these names, not the shell
    apt-get indextargets --no-release-info --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk -v want="$1" '{ kind = ($1 ~ /-security/) ? "security" : "main" }
            kind == want { print $2; exit }'
}

# The keyring that the machine's sources name; nothing where they leave it to apt's trusted keys.
signed_by() {
    # shellcheck disable=SC2016 # as above
    apt-get indextargets --no-release-info --format '$(SOURCESENTRY)' 'Created-By: Packages' |
        sed 's/:[0-9]*$//;q' | tr '\n' '\0' | xargs -0 -r cat |
        sed -n 's/^[Ss]igned-[Bb]y: *\(\/[^ ]*\)$/signed-by=\1/p
                s/^deb .*\(signed-by=\/[^] ]*\).*/\1/p' | head -n 1
}

# sources SUITE: the lines of a sources.list for it and its security updates, where the newest
# signed kernels appear first.
sources() {
    main=$(repository main) security=$(repository security) options="target=Packages $(signed_by)"
    [ -n "$main" ] || die "apt has no archive configured: see sources.list(5)"
    printf 'deb [%s] %s %s main\n' "$options" "$main" "$1"
    [ -z "$security" ] || printf 'deb [%s] %s %s-security main\n' "$options" "$security" "$1"
}

# apt_setup SUITE ARCHITECTURE: a private apt state for them, brought up to date once a run, or in half an hour.
apt_setup() {
    state=$cache/apt/$1-$2
    [ "${updated:-}" != "$state" ] || return 0
    # Runs that follow each other ask once.
    if [ -n "$(find "$state/up-to-date" -mmin -30 2>/dev/null)" ]; then
        updated=$state
        return 0
    fi
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    sources "$1" >"$state/sources.list"
    : >"$state/status"
    cat >"$state/apt.conf" <<CONF
#clear APT::Architectures;
APT::Architecture "$2";
APT::Architectures { "$2"; };
APT::Sandbox::User "";
APT::Default-Release "";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc::sourcelist "$state/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$state/lists";
Dir::State::status "$state/status";
Dir::Cache "$state";
CONF
    # A mirror caught amid its own update fails for one list of several; what is really missing is
    # named when it is asked for.
    if apt-get -c "$state/apt.conf" -q update >&2; then
        : >"$state/up-to-date"
    else
        printf 'fetch.sh: going on without a list\n' >&2
    fi
    updated=$state
}

# download DIRECTORY PACKAGE..., with the state of the last apt_setup
download() {
    to=$1
    shift
    mkdir -p "$to"
    (cd "$to" && apt-get -c "$state/apt.conf" -q download "$@" >&2) ||
        die "no package, or one of several: $*"
}

# unpack DIRECTORY PACKAGE..., with the state of the last apt_setup
unpack() {
    into=$1
    shift
    mkdir -p "$into"
    download "$temporary/packages" "$@"
    for file in "$temporary"/packages/*.deb; do
        dpkg-deb --fsys-tarfile "$file" | tar -xp --keep-directory-symlink -C "$into"
    done
    rm -r "$temporary/packages"
}

# newest_kernel METAPACKAGE: the kernel that it stands for, the newest signed one.
newest_kernel() {
    apt-cache -c "$state/apt.conf" show --no-all-versions "$1" |
        sed -n 's/^Depends:.*[ ,]\(linux-image-[0-9][^ ,]*\).*/\1/p' | head -n 1
}

# kernel SUITE ARCHITECTURE FLAVOUR DIRECTORY
kernel() {
    apt_setup "$1" "$2"
    package=$(newest_kernel "linux-image-$3")
    [ -n "$package" ] || die "linux-image-$3 of $1 names no kernel"
    unpack "$4" "$package"
}

# kernel_package SUITE ARCHITECTURE FLAVOUR DIRECTORY: the package itself, as it comes.
kernel_package() {
    apt_setup "$1" "$2"
    package=$(newest_kernel "linux-image-$3")
    [ -n "$package" ] || die "linux-image-$3 of $1 names no kernel"
    download "$4" "$package"
}

# split_kernel SUITE ARCHITECTURE FLAVOUR DIRECTORY: the packages themselves that make one kernel.
split_kernel() {
    apt_setup "$1" "$2"
    package=$(newest_kernel "linux-image-$3")
    [ -n "$package" ] || die "linux-image-$3 of $1 names no kernel"
    version=${package#linux-image-}
    download "$4" "$package" "linux-base-$version" "linux-binary-$version" "linux-modules-$version"
}

# unpacked KERNEL-NAME DIRECTORY: what is in its packages.
unpacked() {
    fetch "package-$1"
    mkdir "$2"
    for file in "$cache/package-$1"/*.deb; do
        dpkg-deb --fsys-tarfile "$file" | tar -xp --keep-directory-symlink -C "$2"
    done
}

# busybox_package ARCHITECTURE DIRECTORY
busybox_package() {
    apt_setup bookworm "$1"
    download "$2" busybox-static
}

# with_depmod KERNEL-NAME DIRECTORY: hard links, for depmod writes its files anew and a kernel's
# tree is 400 MB.
with_depmod() {
    need depmod kmod
    fetch "$1"
    cp -al "$cache/$1" "$2"
    # A usr-merged package relies on the system's own /lib -> usr/lib, and so does depmod.
    [ -d "$2/lib" ] || ln -s usr/lib "$2/lib"
    for modules in "$2"/lib/modules/*; do
        PATH=$PATH:/usr/sbin:/sbin depmod -b "$2" "${modules##*/}"
    done
}

# busybox_static ARCHITECTURE DIRECTORY
busybox_static() {
    apt_setup bookworm "$1"
    unpack "$2" busybox-static
}

# xen SUITE VERSION DIRECTORY: the hypervisor, its toolstack, and the libraries that they need. What
# they recommend besides (Python, udev's rules, a device model) no PV or PVH guest needs.
xen() {
    apt_setup "$1" amd64
    unpack "$3" "xen-hypervisor-$2-amd64" "xen-utils-$2" xenstore-utils libxencall1 \
        libxendevicemodel1 libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxenhypfs1 \
        "libxenmisc$2" libxenstore4 libxentoolcore1 libxentoollog1 libc6 libgcc-s1 liblzma5 \
        libuuid1 libyajl2 libzstd1 zlib1g
}

# with_needs PACKAGE...: they and all they depend on, with the state of the last apt_setup. The C
# library is left out: a machine's own has to do, whose loader knows no other.
with_needs() {
    apt-cache -c "$state/apt.conf" depends --recurse --no-recommends --no-suggests --no-enhances \
        --no-conflicts --no-breaks --no-replaces "$@" | grep -v '^[ |<]' | grep -vx libc6 | sort -u
}

# rust_hosts DIRECTORY: a Rust compiler with its library's source, and C compilers for every host.
rust_hosts() {
    apt_setup bookworm amd64
    # shellcheck disable=SC2046 # a word a package
    unpack "$1" $(with_needs rustc-web rust-web-src gcc-i686-linux-gnu libc6-dev-i386-cross \
        gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross)
}

# builders DIRECTORY: the programs of others that make images, as a usr-merged system that can be entered.
# No package's script runs; what they would do and the builders need follows by hand.
builders() {
    apt_setup bookworm amd64
    for directory in bin sbin lib lib64; do
        mkdir -p "$1/usr/$directory"
        ln -s "usr/$directory" "$1/$directory"
    done
    # shellcheck disable=SC2046 # a word a package
    unpack "$1" libc6 $(with_needs initramfs-tools-core dracut-core tiny-initramfs-core busybox systemd-sysv \
        bash coreutils dash debianutils dpkg findutils grep gzip libc-bin mawk mount sed util-linux xz-utils zstd)
    ln -s mawk "$1/usr/bin/awk"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
    echo 'root:x:0:' >"$1/etc/group"
    mkdir -p "$1/usr/lib/modules" "$1/usr/lib/firmware"
}

# spdx_tools VERSION DIRECTORY: a validator of SPDX documents and what it needs, from PyPI, to be found by PYTHONPATH.
spdx_tools() {
    need pip3 python3-pip
    python3 -m pip install -q --disable-pip-version-check --root-user-action ignore \
        --no-deps --target "$2" "spdx-tools==$1" \
        beartype==0.23.1 boolean.py==5.0 click==8.5.1 license-expression==30.4.4 ply==3.11 \
        pyparsing==3.3.3 PyYAML==6.0.4 rdflib==7.6.0 semantic-version==2.10.0 uritools==7.0.0 \
        xmltodict==1.0.4 >&2 || die "PyPI has no spdx-tools $1, or not what it needs"
}

# fetch NAME: into the cache, which holds a name either whole or not at all.
fetch() {
    [ ! -d "$cache/$1" ] || return 0
    directory=$temporary/$1
    case $1 in
    kernel-6.1-amd64) kernel bookworm amd64 amd64 "$directory" ;;
    kernel-6.1-cloud-amd64) kernel bookworm amd64 cloud-amd64 "$directory" ;;
    kernel-6.1-arm64) kernel bookworm arm64 arm64 "$directory" ;;
    kernel-6.1-i386) kernel bookworm i386 686-pae "$directory" ;;
    kernel-6.12-amd64) kernel trixie amd64 amd64 "$directory" ;;
    kernel-*-depmod) with_depmod "${1%-depmod}" "$temporary/$1" ;;
    package-kernel-6.1-amd64) kernel_package bookworm amd64 amd64 "$directory" ;;
    package-kernel-6.1-cloud-amd64) kernel_package bookworm amd64 cloud-amd64 "$directory" ;;
    package-kernel-6.1-arm64) kernel_package bookworm arm64 arm64 "$directory" ;;
    package-kernel-6.1-i386) kernel_package bookworm i386 686-pae "$directory" ;;
    package-kernel-6.12-amd64) kernel_package trixie amd64 amd64 "$directory" ;;
    package-kernel-6.12-arm64) kernel_package trixie arm64 arm64 "$directory" ;;
    package-kernel-newest-cloud-amd64) split_kernel forky amd64 cloud-amd64 "$directory" ;;
    unpacked-*) unpacked "${1#unpacked-}" "$temporary/$1" ;;
    package-busybox-*) busybox_package "${1#package-busybox-}" "$directory" ;;
    busybox-amd64 | busybox-arm64 | busybox-i386) busybox_static "${1#busybox-}" "$directory" ;;
    builders-amd64) builders "$directory" ;;
    rust-hosts) rust_hosts "$directory" ;;
    spdx-tools-0.8.5) spdx_tools 0.8.5 "$directory" ;;
    xen-4.17-amd64) xen bookworm 4.17 "$directory" ;;
    xen-4.20-amd64) xen trixie 4.20 "$directory" ;;
    *) die "no input is called $1; testdata/README.md lists them" ;;
    esac
    mv -T "$temporary/$1" "$cache/$1"
}

[ $# -gt 0 ] || die "usage: testdata/fetch.sh NAME... (testdata/README.md lists them)"
# there NAME...: all of them are in the cache.
there() {
    for name; do [ -d "$cache/$name" ] || return; done
}

if there "$@"; then
    printf "$cache/%s\n" "$@"
    exit
fi
for tool in apt-get apt-cache dpkg-deb; do need "$tool" apt; done
mkdir -p "$cache"
# One run at a time: a second one waits, and then finds the work done.
exec 9>"$cache/fetch.lock"
flock 9
rm -rf "$cache"/fetch.?????? # what a killed run has left
temporary=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$temporary"' EXIT
trap 'exit 1' HUP INT TERM
for name; do
    fetch "$name"
    printf '%s\n' "$cache/$name"
done
