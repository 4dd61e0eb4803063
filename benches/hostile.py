#!/usr/bin/env python3
"""Prints docs/hostile.md: what the release build makes of every image of testdata/images/hostile.py, and
of every guest's root of testdata/images/hostile_roots.py.

    cargo build --release && benches/hostile.py >docs/hostile.md

Images are laid in a directory in memory, one at a time; those without an end come by a pipe.
"""

import os
import pathlib
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = HERE / "target/release/xinitrd"
MAKER = HERE / "testdata/images/hostile.py"
ROOT_MAKER = HERE / "testdata/images/hostile_roots.py"
PATIENCE = 120  # seconds
HEAD = """# Images made to hurt

Made by `benches/hostile.py`. Each image of `testdata/images/hostile.py` is judged by
`xinitrd inspect IMAGE`, with the limits that it has when none is named: 100,000 entries, 4,096 segments,
4 GiB unpacked, 1 GiB of unpacked modules, 250 times the size from 1 GiB on, 48 MiB of names and facts and of what they
become in passing. The rule is that of the first error. Images without an end come by a pipe, and their time
is that of whoever makes them, too. `tests/it/bad_images.rs` holds smaller ones of them all to it, and `list`,
`extract` and `diff` too; diff holds two images, and takes twice the memory.

| image | bytes | exit | judged by | found | s | peak, MiB |
| --- | ---: | ---: | --- | --- | ---: | ---: |"""


ROOTS_HEAD = """
# Guests' roots made to hurt

Roots of `testdata/images/hostile_roots.py`, each with a small image that asks for what is in it, judged by
`xinitrd inspect IMAGE --root ROOT`. A list that is larger than any such is refused, with its limit: the image is
not judged then. Modules of the root are read once for all of the image that are called so, and of no image more
than 1 GiB of them, unpacked; those past that are not held against the image's.

| root | exit | judged by | found | s | peak, MiB |
| --- | ---: | --- | --- | ---: | ---: |"""


def is_endless(name):
    return name.endswith(("-that-comes", "-without-end"))


def judged(source, *words):
    """What the program made of an image: exit code, output, seconds, peak memory in KiB."""
    start = time.monotonic()
    with subprocess.Popen(["timeout", str(PATIENCE), PROGRAM, "inspect", *words], stdin=source,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        said = process.stdout.read().decode(errors="replace")
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, said, time.monotonic() - start, used.ru_maxrss


def row(name, directory):
    if is_endless(name):
        with subprocess.Popen([MAKER, name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as maker:
            outcome = judged(maker.stdout, "-")
            maker.stdout.close()
            maker.terminate()
        size = "pipe"
    else:
        image = pathlib.Path(directory, name)
        with image.open("wb") as file:
            subprocess.run([MAKER, name], stdout=file, check=True)
        size = image.stat().st_size
        outcome = judged(subprocess.DEVNULL, image)
        image.unlink()
    print(f"| {name} | {size} {told(outcome)}", flush=True)


def told(outcome):
    """The columns of an outcome: of a refusal, what was found stands without a rule."""
    code, said, seconds, peak = outcome
    lines = said.splitlines()
    error = next((n for n, line in enumerate(lines) if line.startswith(("error ", "xinitrd: "))), None)
    rule, found = "", ""
    if error is not None:
        rule = lines[error].split()[1].rstrip(":") if lines[error].startswith("error ") else ""
        found = lines[error + 1].strip().removeprefix("found:").strip().replace("|", "\\|")
    found = found if len(found) <= 90 else found[:87] + "..."
    return f"| {code} | {rule} | {found} | {seconds:.2f} | {peak / 1024:.0f} |"


def root_row(name, directory):
    subprocess.run([ROOT_MAKER, name, directory], check=True)
    outcome = judged(subprocess.DEVNULL, f"{directory}/image", "--root", f"{directory}/root")
    print(f"| {name} {told(outcome)}", flush=True)


def names_of(maker):
    return subprocess.run([maker, "--names"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()


def main():
    print(HEAD)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        for name in names_of(MAKER):
            row(name, directory)
    print(ROOTS_HEAD)
    for name in names_of(ROOT_MAKER):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
            root_row(name, directory)


if __name__ == "__main__":
    main()
