#!/usr/bin/env python3
"""What `xinitrd inspect` says of an image, held against what came of its boot.

    verdicts.py judge CASE REPORT CONSOLE ELSEWHERE [RULE...]
        REPORT is what inspect says of the image, as JSON; CONSOLE is what its guest said. ELSEWHERE is why
        a sound image does not reach its root here, empty where nothing is in its way. Each RULE must be
        among the findings. Prints a row of the table; where verdict and boot disagree, standard error
        says how.
    verdicts.py count TABLE     how many rows there are, and how many agree
    verdicts.py document TABLE FILE
        puts these rows into FILE, docs/verdicts.md; those of other cases stay
"""

import json
import os
import re
import sys

REACHED = re.compile(r'^XINITRD-ROOT-REACHED ', re.M)
UNPACKING = re.compile(r'Initramfs unpacking failed: [^\n]*')
# Without numbers that are of one kernel's build or one guest's memory.
FAILED = [UNPACKING] + [re.compile(regex) for regex in (
    r'segment module0 too large', r'xinitrd: no root: [^\n]*',
    r'Kernel panic - not syncing: [^\n]*?(?= exitcode=|\.  |\n|$)', r'mount: mounting [^\n]*')]
# The toolstack tries, and hands the file over as it is.
COMPLAINT = re.compile(r'xc_dom_do_gunzip: inflate failed')
AGREES, DISAGREES = 'agrees', 'DISAGREES'
AGREEMENT = re.compile(r'\| (%s|%s) \|$' % (AGREES, DISAGREES))

HEAD = """# Verdicts against boots

What `xinitrd inspect` says of each image that `tests/boot/run.sh` boots, beside what came of the boot. Made by
`tests/boot/run.sh --verdicts docs/verdicts.md`; the names are that script's cases, docs/boot-faults.md tells of
the broken ones, and `xinitrd explain RULE` of a rule. inspect is told what an administrator would know: the
kernel, its tree, the version of Xen, under QEMU alone the drivers that the disk takes.

An image judged without an error is to reach its root, and no kernel is to say that unpacking it failed;
one with an error is not, or with such a word; and of an image that was broken on purpose the rule that
explains it is to be among the findings. Where a root is not reached for another reason than the image, it is
given, and the image is to be judged without an error.
"""


def text_of(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read().replace('\r', '')


def rules(report, severity):
    """The names of rules, each once, in the order of their findings."""
    names = [finding['rule'] for finding in report['findings'] if finding['severity'] == severity]
    return list(dict.fromkeys(names))


def outcome(console, elsewhere):
    """Whether the boot speaks for the image, and what came of it in words."""
    failures = [match.group().strip() for match in (regex.search(console) for regex in FAILED) if match]
    told = '; '.join('`%s`' % failure for failure in failures[:2])
    reached = bool(REACHED.search(console))
    if elsewhere:
        return not reached, 'no root, for %s: %s' % (elsewhere, told)
    if not reached:
        return False, 'no root: ' + told
    unpacking, complaint = UNPACKING.search(console), COMPLAINT.search(console)
    said = unpacking or complaint
    return not unpacking, 'root reached' + (', after `%s`' % said.group().strip() if said else '')


def row(case, verdict, errors, warnings, boot, agree):
    names = ['<br>'.join('`%s`' % name for name in names) for names in (errors, warnings)]
    cells = [case, verdict, *names, boot.replace('|', '\\|'), AGREES if agree else DISAGREES]
    return '| %s |' % ' | '.join(cells)


def judge(case, report, console, elsewhere, *expected):
    report = json.loads(text_of(report))
    errors, warnings = rules(report, 'error'), rules(report, 'warning')
    is_sound, boot = outcome(text_of(console), elsewhere)
    missing = [rule for rule in expected if rule not in errors + warnings]
    agree = is_sound != bool(errors) and not missing
    print(row(case, report['verdict'], errors, warnings, boot, agree))
    if not agree:
        print('judged %s, and the boot: %s' % (report['verdict'], boot), file=sys.stderr)
        print('not found: %s' % ', '.join(missing or ['-']), file=sys.stderr)
        for finding in report['findings']:
            print('  %(severity)s %(rule)s %(entry)s: %(found)s' % finding, file=sys.stderr)


def rows_of(table):
    return [line for line in text_of(table).splitlines() if AGREEMENT.search(line)]


def count(rows):
    agreeing = sum(row.endswith('| %s |' % AGREES) for row in rows)
    return '%d images judged, %d agree with the boot' % (len(rows), agreeing)


def document(table, file):
    old = rows_of(file) if os.path.exists(file) else []
    by_case = {row.split(' | ')[0]: row for row in old + rows_of(table)}
    text = [HEAD, count(by_case.values()) + '.\n', '| case | verdict | errors | warnings | the boot | |',
            '| --- | --- | --- | --- | --- | --- |', *by_case.values()]
    with open(file, 'w', encoding='utf-8') as out:
        out.write('\n'.join(text) + '\n')


if __name__ == '__main__':
    {'judge': judge, 'count': lambda table: print(count(rows_of(table))), 'document': document}[sys.argv[1]](
        *sys.argv[2:])
