//! The `/init` of the `el4` and `el5` manifests: scripts for two generations of nash.
