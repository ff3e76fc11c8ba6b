//! What all these tests share.

mod adopt;
mod chart;
mod crash;
mod health;
mod life;
mod trouble;
mod witness;
mod world;

pub(crate) use chart::{Piece, chart};
pub(crate) use witness::Witness;
pub(crate) use world::World;
