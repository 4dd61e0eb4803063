//! The `/init` of the `busybox` manifest.
