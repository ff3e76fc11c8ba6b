//! What all these tests share.

mod adopt;
mod chart;
mod crash;
mod life;
mod trouble;
mod witness;
mod world;

pub use chart::{Piece, chart};
pub use witness::Witness;
pub use world::World;
