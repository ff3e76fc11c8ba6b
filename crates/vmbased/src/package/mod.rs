//! The format of VM packages: `package.json`, `config.json` and the cluster document.
