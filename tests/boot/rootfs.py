#!/usr/bin/env python3
"""Images that kernels and models of them may unpack otherwise, and the comparison of both.

    rootfs.py make BUSYBOX INIT DIRECTORY   each image NAME.img, its segments in NAME.segments;
                                            prints the names
    rootfs.py compare MODEL CONSOLE         what the model prints of one, and what the kernel's
                                            console says; prints what differs

A line of NAME.segments is `plain` or `gzip` and the length of a segment in the image.
"""

import os
import sys
import zlib

FILE, DIRECTORY, LINK, CHAR, BLOCK, FIFO, SOCKET = (
    0o100644, 0o040755, 0o120777, 0o020600, 0o060600, 0o010600, 0o140600)
FIELDS = ('ino', 'mode', 'uid', 'gid', 'nlink', 'mtime', 'size', 'major', 'minor', 'rmajor', 'rminor',
          'name_size', 'checksum')


def entry(name, mode=FILE, data=b'', magic=b'070701', final=b'\0', **fields):
    """An entry; a field that is bytes stands as it is, and whatever is not given is right."""
    name, data = [part.encode('latin-1') if isinstance(part, str) else part for part in (name, data)]
    name += final
    entry.time += 1
    values = dict(ino=0, mode=mode, uid=0, gid=0, nlink=1, mtime=entry.time, size=len(data), major=8,
                  minor=1, rmajor=0, rminor=0, name_size=len(name), checksum=0)
    values.update(fields)
    header = magic
    for field in FIELDS:
        value = values[field]
        header += value if isinstance(value, bytes) else b'%08x' % value
    return padded(header + name) + padded(data)


entry.time = 1000000000


def padded(data, to=4):
    return data + b'\0' * (-len(data) % to)


def trailer():
    return entry('TRAILER!!!', 0)


def linked(name, ino, data=b'', mode=FILE, **fields):
    return entry(name, mode, data, ino=ino, nlink=2, **fields)


def duplicates():
    made = [entry('dup', DIRECTORY)]

    def add(name, *args, **fields):
        made.append(entry('dup/' + name, *args, **fields))

    add('longer', FILE, 'the first content')
    add('longer', FILE, 'second', uid=1, gid=2)
    add('emptied', FILE, 'content')
    add('emptied')
    add('file-link', FILE, 'x')
    add('file-link', LINK, 'longer')
    add('link-file', LINK, 'longer')
    add('link-file', FILE, 'not through the link')
    add('link-dir', LINK, '/bin')
    add('link-dir', DIRECTORY)
    add('link-dir/inside', FILE, '1')
    add('link-link', LINK, 'one')
    add('link-link', LINK, 'two')
    add('dir-file', DIRECTORY)
    add('dir-file', FILE, 'was a directory')
    add('full', DIRECTORY)
    add('full/inside', FILE, 'stays')
    add('full', FILE, 'lost')
    add('full', LINK, 'lost', uid=7, gid=7)
    add('full', FIFO)
    add('node', CHAR, rmajor=1, rminor=3)
    add('node', CHAR | 0o44, rmajor=1, rminor=5, uid=3)
    add('char-block', CHAR, rmajor=1, rminor=3)
    add('char-block', BLOCK, rmajor=8)
    add('fifo-socket', FIFO)
    add('fifo-socket', SOCKET)
    add('dir-dir', DIRECTORY)
    add('dir-dir', 0o040700, uid=4, gid=5)
    add('no-type', FILE, 'removed')
    add('no-type', 0o644)
    add('no-type-dir', DIRECTORY)
    add('no-type-dir', 0)
    add('set-uid', 0o106755, 'x', uid=5, gid=6)
    add('sticky', 0o041777, uid=5, gid=6)
    return made


def parents():
    made = [entry('missing/%s' % name, mode, data, rmajor=1) for name, mode, data in (
        ('file', FILE, 'lost'), ('dir', DIRECTORY, ''), ('node', CHAR, ''), ('link', LINK, 'x'),
        ('fifo', FIFO, ''))]
    made += [entry('plain-file', FILE, '1'), entry('plain-file/x', FILE, '2'),
             entry('plain-file/..', DIRECTORY), entry('later', DIRECTORY), entry('later/file', FILE, '3')]
    return made


def paths():
    made = [entry('p', DIRECTORY), entry('p/real', DIRECTORY), entry('p/rel', LINK, 'real'),
            entry('p/abs', LINK, '/p/real'), entry('p/up', LINK, '..'), entry('p/loop', LINK, 'loop'),
            entry('p/dangling', LINK, 'nowhere'), entry('p/nested', LINK, 'up/p/rel/')]
    for number, name in enumerate((
            'p/rel/a', 'p/abs/b', 'p/up/p/c', 'p/nested/d', 'p/loop/e', 'p/dangling/f', '/p/g',
            '../../p/h', 'p/../p/./i', 'p//j', './p/k', 'p/rel/../l', 'p/file/', 'p/real/', 'p/real/.',
            'p/rel', '.', '/', '', 'p/m/../n', 'p/up/..')):
        made.append(entry(name, FILE, 'file %d' % number))
    # Again, for the file has taken the link's place.
    made.append(entry('p/rel', LINK, 'real'))
    made += [entry('p/rel/dir', DIRECTORY), entry('p/slashed/', DIRECTORY), entry('p/rel/', DIRECTORY, uid=9),
             entry('p/node/', CHAR, rmajor=1), entry('p/link/', LINK, 'x'), entry('p/fifo/', FIFO),
             entry('p/abs/.', 0o040711), entry('p/real/dir/..', 0o040751, uid=2), entry('.', 0o040775, uid=1),
             entry('p/dangling/', DIRECTORY), entry('p/loop/', DIRECTORY), entry('p/empty-target', LINK, ''),
             entry('p/empty-target/x', FILE, 'through nothing'), entry('p/cut-target', LINK, b'ab\0cd'),
             entry(b'p/cut\0name', FILE, 'cut'), entry('p/odd \xff\xe9', FILE, 'odd')]
    chain = [entry('p/chain', DIRECTORY), entry('p/chain/0', DIRECTORY)]
    chain += [entry('p/chain/%d' % n, LINK, str(n - 1)) for n in range(1, 45)]
    chain += [entry('p/chain/%d/at-%d' % (n, n), FILE, 'x') for n in (1, 39, 40, 41, 44)]
    return made + chain + [entry('', 0o040750)]


def lengths():
    made = [entry('n', DIRECTORY), entry('n/' + 'a' * 255, FILE, '255'), entry('n/' + 'b' * 256, FILE, '256')]
    path = 'n'
    while len(path) + 251 < 4000:
        path += '/' + 'd' * 250
        made.append(entry(path, DIRECTORY))
    for length in (4094, 4095, 4096, 4097):
        made.append(entry(path + '/' + 'f' * (length - len(path) - 1), FILE, 'length %d' % length))
    for length in (4094, 4095, 4096, 4097):
        made.append(entry('n/link-%d' % length, LINK, 't' * length))
    made += [entry('', name_size=0, final=b''), entry('x', FILE, 'no name', name_size=0, final=b'')]
    made += [entry('n/with-data', DIRECTORY, 'data'), entry('n/node-with-data', CHAR, 'data'),
             entry('n/fifo-with-data', FIFO, 'd'), entry('n/after', FILE, 'all is well')]
    return made


def links():
    made = [entry('l', DIRECTORY),
            linked('l/first', 1, 'data on the first'), linked('l/first-2', 1), linked('l/first-3', 1),
            linked('l/last', 2), linked('l/last-2', 2), linked('l/last-3', 2, 'data on the last'),
            linked('l/both', 3, 'a long first content'), linked('l/both-2', 3, 'short', uid=3, mode=0o100600),
            linked('l/twice', 4, 'twice'), linked('l/twice', 4, 'twice'), linked('l/twice-2', 4),
            linked('l/again', 5, 'again'), linked('l/again-2', 5), linked('l/again-2', 5),
            linked('l/node', 6, mode=CHAR, rmajor=1, rminor=3), linked('l/node-2', 6, mode=CHAR, rmajor=1, rminor=5),
            linked('l/type', 7, 'x'), linked('l/type-2', 7, mode=CHAR, rmajor=1), linked('l/type-3', 7),
            linked('l/link', 8, 'first', mode=LINK), linked('l/link-2', 8, 'first', mode=LINK),
            linked('l/dir', 9, mode=DIRECTORY), linked('l/dir-2', 9, mode=DIRECTORY),
            entry('l/taken', FILE, 'taken'), linked('l/new', 10, 'new'), linked('l/taken', 10),
            entry('l/taken-dir', DIRECTORY), entry('l/taken-dir/x'), linked('l/taken-dir', 10, 'lost'),
            linked('l/gone', 11, 'gone'), entry('l/gone', DIRECTORY), linked('l/gone-2', 11, 'lost'),
            linked('l/shared', 12, 'shared'), linked('l/shared-2', 12), entry('l/shared', FILE, 'both change'),
            linked('no/parent', 13, 'lost'), linked('l/parent-2', 13, 'found no first'),
            linked('l/to-no-parent', 14, 'here'), linked('no/to', 14, 'lost'),
            linked('l/one-link', 15, 'x', major=1), linked('l/other-device', 15, 'y', major=2),
            linked('l/before', 16, 'before the trailer'), trailer(), linked('l/behind', 16, 'behind the trailer'),
            linked('l/open', 17, 'no trailer between')]
    return made


def fields():
    return [entry('f', DIRECTORY), entry('f/0x', FILE, 'x', uid=b'0x000011', gid=b'0X1g0000'),
            entry('f/case', FILE, 'x', uid=b'0000aBcD'), entry('f/blank', FILE, 'x', uid=b'     123'),
            entry('f/stops', FILE, 'x', uid=b'12 45678', gid=b'000000-1'), entry('f/large', FILE, 'x', uid=0xfffffff0),
            entry('f/spill', CHAR, rmajor=1, rminor=0x123456), entry('f/major', CHAR, rmajor=0x1234, rminor=5),
            entry('f/wide-mode', 0o7100644 | 0xabc0000, 'x'), entry('f/sum', FILE, 'abc', magic=b'070702', checksum=294),
            entry('f/no-sum', FILE, '', magic=b'070702'), entry('f/ignored', FILE, 'abc', checksum=1),
            entry('f/time', FILE, 'x', mtime=0xfffffffe), entry('f/size', FILE, b'12345678', size=b'0000008 '),
            entry('TRAILER!!!', LINK, 'a link'), entry('TRAILER!!!', DIRECTORY, 'skipped')]


def gzip(archive):
    member = zlib.compressobj(6, zlib.DEFLATED, 31)
    return ('gzip', member.compress(archive) + member.flush())


def images(busybox, init):
    """Each image: its name, and the segments of it."""
    with open(busybox, 'rb') as file, open(init, 'rb') as script:
        system = b''.join([entry('bin', DIRECTORY), entry('bin/busybox', 0o100755, file.read()),
                           entry('init', 0o100755, script.read())])
    whole = system + trailer()
    plain = ('plain', whole)
    yield 'tricks', aligned([
        ('plain', system + b''.join(duplicates() + parents() + paths()) + trailer() + b'\0' * 512),
        gzip(b''.join(lengths() + fields() + links())),
        ('plain', b'\0\0\0'),
        gzip(linked('l/open-2', 17, 'in another archive') + trailer() + b'\0' * 100),
        gzip(b''),
        gzip(across(32768, 112)),
    ]) + [('plain', entry('before', FILE, '1') + entry('cut', FILE, '0' * 100)[:-70])]
    yield 'name-without-nul', [plain, ('plain', entry('abcd', final=b'') + entry('after'))]
    yield 'link-without-nul', [plain, ('plain', entry('abcd', LINK, 'x', final=b'') + entry('after'))]
    yield 'bad-sum', [plain, ('plain', entry('sum', FILE, 'abc', magic=b'070702') + entry('after'))]
    yield 'old-magic', [plain, ('plain', entry('x', magic=b'070707'))]
    yield 'no-magic', [plain, gzip(entry('before') + b'0' * 200)]
    yield 'junk-within', [plain, gzip(entry('before') + b'\0\0\0\0junk')]
    yield 'junk-after', [plain, ('plain', b'junk')]
    yield 'junk-first', [gzip(whole), ('plain', b'junk')]
    yield 'unaligned', [plain, ('plain', b'\0' + entry('x'))]
    yield 'unaligned-member', [plain, ('plain', b'\0'), gzip(entry('x'))]
    yield 'unaligned-behind-member', [gzip(whole), unaligned(gzip(whole)), ('plain', entry('x'))]
    yield 'no-padding', [plain, gzip(entry('x', FILE, '1')[:-3])]
    yield 'cut-member', [plain, gzip(entry('x', FILE, '12345')[:-5])]
    yield 'lost-member', [plain, gzip(across(32768, 40))]
    yield 'header-alone', [plain, ('plain', entry('x')[:50])]


def across(window, before):
    """A directory that has data, its header so many bytes before the end of what is unpacked at once."""
    filler = window - before - len(entry('filler'))
    return entry('filler', FILE, '0' * filler) + entry('skipped', DIRECTORY, 'data') + entry('after') + trailer()


def aligned(segments):
    """These, and zeros up to where a plain archive may begin."""
    size = sum(len(data) for kind, data in segments)
    return segments + [('plain', b'\0' * (-size % 4))]


def unaligned(segment):
    """Zeros after a segment, so that what comes then is no multiple of four from the beginning."""
    return ('plain', b'\0' * (1 if len(segment[1]) % 4 != 3 else 2))


def make(busybox, init, directory):
    for name, segments in images(busybox, init):
        with open(os.path.join(directory, name + '.img'), 'wb') as image, \
                open(os.path.join(directory, name + '.segments'), 'w') as lines:
            for kind, data in segments:
                image.write(data)
                lines.write('%s %d\n' % (kind, len(data)))
        print(name)


# ---- The comparison -----------------------------------------------------------------------------

def tree(lines):
    """Objects by path, and what is said of a failure. Inodes are numbered in the order of paths."""
    objects, failures = {}, []
    for line in lines:
        line = line.rstrip(b'\r\n')
        if b'Initramfs unpacking failed: ' in line:
            failures.append(line.split(b'failed: ')[1])
        if line.startswith(b'TREE '):
            facts, path = line.split(b' P=', 1)
            facts, target = facts.split(b' T=', 1)
            keys = ('mode', 'uid', 'gid', 'size', 'rdev', 'mtime', 'links', 'inode', 'sha256')
            objects[path] = dict(zip(keys, facts.split()[1:]), target=target)
    firsts = {}
    for path in sorted(objects):
        facts = objects[path]
        facts['inode'] = firsts.setdefault(facts['inode'], path)
        # A directory's size and count of links are the file system's own matter.
        if int(facts['mode'], 16) & 0o170000 == 0o040000:
            facts['size'] = facts['links'] = b'-'
    return objects, failures


def compare(model, console):
    with open(model, 'rb') as ours, open(console, 'rb') as theirs:
        (ours, our_failure), (theirs, their_failure) = tree(ours), tree(theirs)
    if not theirs:
        print('the kernel has listed nothing')
    if our_failure != their_failure:
        print('failure: the model says %r, the kernel %r' % (our_failure, their_failure))
    for path in sorted(set(ours) | set(theirs)):
        if path not in ours or path not in theirs:
            print('%r: in the %s alone' % (path, 'model' if path in ours else 'kernel'))
            continue
        for fact, value in ours[path].items():
            # What the model does not know: times that no archive has set, the content of a file cut short.
            if value != theirs[path][fact] and not (fact in ('mtime', 'sha256') and value == b'-'):
                print('%r: %s is %r in the model, %r in the kernel' % (path, fact, value, theirs[path][fact]))


if __name__ == '__main__':
    {'make': make, 'compare': compare}[sys.argv[1]](*sys.argv[2:])
