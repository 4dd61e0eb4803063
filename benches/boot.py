"""What the consoles of benches/boot.sh say: `times NAME CONSOLE` prints a boot's, `table DIRECTORY NAME...` makes
the table of those on standard input."""

import os
import re
import statistics
import sys


def stamp(console, words):
    """The kernel's time stamp of the line with these words, in milliseconds."""
    found = re.search(r"^\[ *([0-9.]+)\] [^\n]*" + words, console, re.M)
    if not found:
        sys.exit(f"boot.py: the console does not say {words!r}")
    return float(found.group(1)) * 1000


def times(name, path):
    with open(path, encoding="latin-1") as file:
        console = file.read()
    start = stamp(console, "Run /init as init process")
    end = stamp(console, "XINITRD-BENCH-REACHED")
    modules = re.search(r"xinitrd: modules took ([0-9]+) ms", console, re.M)
    print(name, start, end - start, modules.group(1) if modules else "-")


def table(directory, names):
    boots = {name: [] for name in names}
    for line in sys.stdin:
        name, start, took, modules = line.split()
        boots[name].append((float(start), float(took), modules))
    print("| image | bytes | /init runs at | from /init to the root's init | of that, modules |")
    print("|---|---:|---:|---:|---:|")
    for name in names:
        size = os.path.getsize(os.path.join(directory, f"{name}.img"))
        start = statistics.median(boot[0] for boot in boots[name])
        took = [boot[1] for boot in boots[name]]
        modules = [float(boot[2]) for boot in boots[name] if boot[2] != "-"]
        loaded = f"{statistics.median(modules):.0f} ms" if modules else "not told"
        spread = f"{statistics.median(took):.0f} ms ({min(took):.0f} - {max(took):.0f})"
        print(f"| {name} | {size:,} | {start:.0f} ms | {spread} | {loaded} |")


if __name__ == "__main__":
    if sys.argv[1] == "times":
        times(*sys.argv[2:])
    else:
        table(sys.argv[2], sys.argv[3:])
