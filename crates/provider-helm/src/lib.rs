//! Helm charts without Helm, and the provider `kubernetes` that runs them: a chart is loaded in memory, its values are
//! merged as Helm merges them, its templates are rendered to the same documents that `helm template` prints, and its
//! releases are applied, kept and removed so that Helm itself can go on with them.
//!
//! Start reading at [`chart::Chart`], then [`values`] and [`render::Renderer`]; for the provider at [`provider::Step`],
//! then [`calls`].

pub mod api;
pub mod calls;
pub mod chart;
pub mod fetch;
pub mod lookup;
pub mod manifest;
mod number;
pub mod ownership;
mod package;
pub mod provider;
pub mod release;
pub mod render;
pub mod session;
pub mod source;
pub mod status;
pub mod values;
mod yaml;

pub use package::Charts;
