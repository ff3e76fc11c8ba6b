//! The real binary from outside, with real processes, on the provider `local`.

mod installation;
mod kills;
mod life;
mod mistakes;
