//! Errors of the kernel by name (`asm-generic/errno-base.h`, `asm-generic/errno.h`), which are the same on all
//! architectures that are served.

use crate::text::{Parts, Text};

/// The names from 1 on, without the E that all begin with, and what the usual ones mean; nothing where there
/// is none, or where nothing that loads or mounts answers so (those of System V's streams, say). One text, for a table of texts would take twice the room.
const NAMES: &[u8] = b"\
    PERM (not permitted);NOENT (no such file, or something that it needs);SRCH;INTR;\
    IO (input/output error);NXIO (no such device or address);2BIG (too long);\
    NOEXEC (no program or module for this kernel);BADF;CHILD;AGAIN;NOMEM (out of memory);ACCES;\
    FAULT;NOTBLK;BUSY (busy);EXIST;XDEV;NODEV (no such device);NOTDIR;ISDIR;\
    INVAL (invalid argument);NFILE;MFILE;NOTTY;TXTBSY;FBIG;NOSPC;SPIPE;ROFS;MLINK;PIPE;DOM;RANGE;\
    DEADLK;NAMETOOLONG;NOLCK;NOSYS (not in this kernel);NOTEMPTY;LOOP;;NOMSG;IDRM;;;;;;;;;;;;;;;;;;\
    NODATA;TIME;;;;;;;;;PROTO;;;BADMSG;OVERFLOW;;;;;;;;;ILSEQ;RESTART;;USERS;NOTSOCK;DESTADDRREQ;\
    MSGSIZE;PROTOTYPE;NOPROTOOPT;PROTONOSUPPORT;SOCKTNOSUPPORT;OPNOTSUPP (not supported);\
    PFNOSUPPORT;AFNOSUPPORT;ADDRINUSE;ADDRNOTAVAIL;NETDOWN;NETUNREACH;NETRESET;CONNABORTED;\
    CONNRESET;NOBUFS;ISCONN;NOTCONN;SHUTDOWN;TOOMANYREFS;TIMEDOUT;CONNREFUSED;HOSTDOWN;HOSTUNREACH;\
    ALREADY;INPROGRESS;STALE;UCLEAN;;;;REMOTEIO;DQUOT;NOMEDIUM;MEDIUMTYPE;\
    CANCELED (left out by modprobe.blacklist);NOKEY;KEYEXPIRED;KEYREVOKED;\
    KEYREJECTED (the signature is not accepted);OWNERDEAD;NOTRECOVERABLE;RFKILL;HWPOISON";

/// Appends the name of an error, `ENODEV` say, and in parentheses what that means where it is a usual one; the
/// number of one without a name.
pub fn push(text: &mut Text, number: usize) {
    let mut names = Parts::of(NAMES, b';');
    let name = number.checked_sub(1).and_then(|index| names.nth(index));
    match name {
        Some([]) | None => text.push(b"error ").push_decimal(number as u64),
        Some(name) => text.push_byte(b'E').push(name),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_name_of_its_number() {
        for (number, want) in [
            (1, "EPERM (not permitted)"),
            (11, "EAGAIN"),
            (19, "ENODEV (no such device)"),
            (38, "ENOSYS (not in this kernel)"),
            (41, "error 41"),
            (71, "EPROTO"),
            (117, "EUCLEAN"),
            (95, "EOPNOTSUPP (not supported)"),
            (129, "EKEYREJECTED (the signature is not accepted)"),
            (133, "EHWPOISON"),
            (0, "error 0"),
            (134, "error 134"),
        ] {
            let mut text = Text::default();
            push(&mut text, number);
            assert_eq!(text.as_bytes(), want.as_bytes());
        }
    }
}
