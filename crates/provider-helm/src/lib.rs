//! Helm charts without Helm: a chart is loaded in memory, its values are merged as Helm merges them, and its templates
//! are rendered to the same documents that `helm template` prints.
//!
//! Start reading at [`chart::Chart`], then [`values::Values`], then [`render::render`].

pub mod chart;
pub mod fetch;
mod number;
mod package;
pub mod render;
pub mod values;
mod yaml;

pub use package::Charts;
