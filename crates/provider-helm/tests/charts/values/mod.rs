//! Values as the helm binary makes them, from the same arguments and the same charts.

mod set;
