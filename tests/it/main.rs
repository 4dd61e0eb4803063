//! The integration tests, in one binary.

mod nash; // the scripts of EL4 and EL5, against what their interpreters read
