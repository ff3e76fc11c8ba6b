//! Proofs about the gateway, the engine and the frames, on a scripted cloud and a virtual clock.

mod crash;
mod gateway;
mod life;
mod machines;
mod rules;
mod scenarios;
