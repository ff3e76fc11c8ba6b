//! Helm charts without Helm: a chart is loaded in memory, its values are merged as Helm merges them, and its templates
//! are rendered to the same documents that `helm template` prints.
//!
//! Start reading at [`chart::Chart`], then [`values::Values`], then [`render::render`].

pub mod api;
pub mod chart;
pub mod manifest;
mod number;
pub mod release;
pub mod render;
pub mod status;
pub mod values;
mod yaml;
