//! Errors of the kernel by name (`asm-generic/errno-base.h`, `asm-generic/errno.h`), which are the same on all
//! architectures that are served.

/// The names from 1 on; `-` where there is none.
const NAMES: &[u8] = b"\
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT \
    ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG \
    ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP \
    - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL \
    ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV \
    ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD \
    ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE \
    EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT \
    EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN \
    ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY \
    EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE \
    ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON";

/// What people know best, in words.
const WORDS: [(usize, &str); 11] = [
    (1, "not permitted"),
    (2, "no such file, or a symbol that nothing exports"),
    (5, "input/output error"),
    (6, "no such device or address"),
    (8, "not of this kernel, or of another architecture"),
    (12, "out of memory"),
    (16, "busy"),
    (19, "no such device"),
    (22, "invalid argument"),
    (38, "not in this kernel"),
    (129, "the signature is not accepted"),
];

/// The name of an error, `ENODEV` say; `None` for a number without one.
#[must_use]
pub fn name(number: usize) -> Option<&'static [u8]> {
    let index = number.checked_sub(1)?;
    let mut names = NAMES.split(|byte| *byte == b' ');
    names.nth(index).filter(|name| *name != b"-")
}

/// What an error means, where it is one of the usual.
#[must_use]
pub fn words(number: usize) -> Option<&'static str> {
    let mut known = WORDS.iter();
    known.find(|(of, _)| *of == number).map(|(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_name_of_its_number() {
        for (number, want) in [
            (1, Some("EPERM")),
            (11, Some("EAGAIN")),
            (19, Some("ENODEV")),
            (38, Some("ENOSYS")),
            (41, None),
            (95, Some("EOPNOTSUPP")),
            (129, Some("EKEYREJECTED")),
            (133, Some("EHWPOISON")),
            (0, None),
            (134, None),
        ] {
            assert_eq!(name(number), want.map(str::as_bytes), "{number}");
        }
        assert_eq!(words(19), Some("no such device"));
        assert_eq!(words(20), None);
    }
}
