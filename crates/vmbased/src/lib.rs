//! Any cloud of virtual machines, driven through the whole life of an application.
//!
//! What it is: the VM package format ([`package`]), the layers that each action consists of ([`frame`]), and
//! the [`FrameHandler`] that makes a full provider of whatever implements
//! [`ProviderHandlerInterface`](provider_core::ProviderHandlerInterface). What it is not: it knows no cloud.

pub mod frame;
mod handler;
mod loader;
pub mod package;

pub use handler::FrameHandler;
pub use loader::{Describe, Loader};
