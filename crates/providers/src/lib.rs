//! The provider plugins of this build. This crate alone names them all; whoever adds one adds a feature, an
//! optional dependency, a link line and its id in both lists.
//!
//! A plugin registers itself, but only if it is linked, and it is linked only if some source names it. That is
//! what the link lines are for: without one, the feature's dependency is unused and this crate does not compile.

#![deny(unused_crate_dependencies)]

#[cfg(feature = "kubernetes")]
use provider_helm as _;
#[cfg(feature = "local")]
use provider_local as _;

use provider_core::{Registry, Result};

/// The ids of the plugins that this build has, sorted.
pub const COMPILED_IN: &[&str] = &[
    #[cfg(feature = "kubernetes")]
    "kubernetes",
    #[cfg(feature = "local")]
    "local",
];

/// The ids of the plugins that a build can have, sorted; each is a feature of this crate.
pub const KNOWN: &[&str] = &["kubernetes", "local"];

/// The registry of exactly [`COMPILED_IN`]. Call it when the program starts.
///
/// # Errors
/// `Bug` when a plugin is compiled in and did not register itself, or the other way round.
pub fn registry() -> Result<Registry> {
    Registry::discover(COMPILED_IN, KNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider_core::{ErrorKind, ProviderId};

    #[test]
    fn the_registry_has_what_the_features_ask_for() {
        let ids: Vec<_> = registry().unwrap().descriptors().map(|descriptor| descriptor.id).collect();
        assert_eq!(ids, COMPILED_IN);
        assert_eq!(cfg!(feature = "kubernetes"), COMPILED_IN.contains(&"kubernetes"));
        assert_eq!(cfg!(feature = "local"), COMPILED_IN.contains(&"local"));
    }

    #[test]
    fn every_plugin_of_this_build_is_known() {
        assert!(KNOWN.is_sorted());
        assert!(COMPILED_IN.iter().all(|id| KNOWN.contains(id)));
    }

    #[test]
    fn a_provider_that_is_not_there_is_refused_with_what_is() {
        fn check(id: &str, message: &str, hint: &str) {
            let error = registry().unwrap().descriptor(&ProviderId::new(id)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!((error.to_string().as_str(), error.hint_text()), (message, Some(hint)));
        }
        let have = if COMPILED_IN.is_empty() { "none".to_owned() } else { COMPILED_IN.join(", ") };
        check("vultr", "there is no provider `vultr`", &format!("compiled in: {have}"));
        for missing in KNOWN.iter().filter(|id| !COMPILED_IN.contains(id)) {
            check(
                missing,
                &format!("provider `{missing}` is not compiled into this binary"),
                &format!("rebuild with `--features {missing}`; compiled in: {have}"),
            );
        }
    }
}
