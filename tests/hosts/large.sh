# shellcheck shell=bash disable=SC2154 # variables are shared with run.sh
# Files above 2 GiB, sparse, so that they cost no disk, on i686, whose words have 32 bits. run.sh sources this.

large=2147487744 # bytes: 2 GiB and a page

# says WHAT PATTERN FILE: the file has such a line, and the program took little memory.
says() {
    local peak
    peak=$(tail -n 1 "$work/peak.i686")
    if grep -qE -- "$2" "$3"; then
        [ "$peak" -le "$limit" ]
    else
        head -n 5 "$3" && false
    fi
    counted $? "large, i686: $1 ($peak KiB)"
}

large_images() {
    local out=$work/large.out one=$work/one.img two=$work/two.img
    "$here/sparse.py" image "$large" 1 >"$one"
    "$here/sparse.py" image "$large" 2 >"$two"
    measured i686 list -l --max-size 8G "$two" >"$out" 2>&1
    says 'list, an image above 4 GiB' "$large .* 1\$" "$out"
    measured i686 list -l "$two" >"$out" 2>&1
    says 'list, an image larger than it may be' 'max-size' "$out"
    measured i686 inspect --json "$one" >"$out" 2>&1
    says 'inspect, an image above 2 GiB' '"size":21474' "$out"
    measured i686 cat "$one" 0 2>&1 | wc -c >"$out"
    says 'cat, a file above 2 GiB' "^$large\$" "$out"
    measured i686 extract "$one" -C "$swift/extracted" 0 >"$out" 2>&1
    stat -c '%n %s' "$swift/extracted/0" >>"$out"
    says 'extract, a file above 2 GiB' "0 $large\$" "$out"
    rm -r "$swift/extracted" "$one" "$two"
}

large_packages() {
    local out=$work/large.out package=$work/two.tar
    "$here/sparse.py" tar "$large" 2 "$work/small" >"$package"
    measured i686 build --package "$package" --rootfs squashfs -f -o "$work/large.img" >"$out" 2>&1
    says 'build, of a package above 4 GiB' '^image ' "$out"
    rm "$package"
}

# What would have to be held whole.
large_inputs() {
    local out=$work/large.out root=$work/large-root module
    cp -r "$work/small" "$root"
    for module in $(cd "$root" && find . -name 'xen-*front.ko'); do truncate -s "$large" "$root/$module"; done
    measured i686 build --root "$root" -f -o "$work/large.img" >"$out" 2>&1
    says 'build, a module above 2 GiB' "found: +$large bytes, more than the 536870912 " "$out"
    rm -r "$root" && cp -r "$work/small" "$root"
    for module in $(cd "$root" && find . -name '*.ko'); do truncate -s 500M "$root/$module"; done
    "$work/bin/i686" build --root "$root" -f -o "$work/large.img" >"$out" 2>&1
    grep 'more than the 1610612736 bytes that an image is made of' "$out" >/dev/null || ! head -n 5 "$out"
    counted $? "large, i686: build, of modules that have 2 GiB together"
    rm -r "$root"
    mkdir "$root" && truncate -s "$large" "$root/busybox"
    measured i686 build --root "$work/small" --manifest busybox --bins "$root" -f -o "$work/large.img" >"$out" 2>&1
    says 'build, a program above 2 GiB' "found: +$large bytes" "$out"
    rm -r "$root"
}

case_large() {
    swift=${swift:-$(mktemp -d -p /dev/shm)}
    large_images
    large_packages
    large_inputs
}
