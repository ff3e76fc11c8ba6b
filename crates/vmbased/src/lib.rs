//! Any cloud of virtual machines, driven through the whole life of an application.

pub mod frame;
pub mod package;
