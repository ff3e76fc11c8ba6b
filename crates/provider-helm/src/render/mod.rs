//! From a chart and its values to manifests, hooks, definitions and notes.
