//! Frames: which layers an action on a cluster of virtual machines consists of.
