//! Which crate may depend on which, and what may not reach provider-core.

use crate::workspace::{Dependency, Package};

/// The arrows of `ARCHITECTURE.md`. A new edge is a decision: it comes with an ADR.
struct Row {
    package: &'static str,
    may_use: &'static [&'static str],
    /// Beyond `may_use`, for tests only.
    may_test_with: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row { package: "provider-core", may_use: &[], may_test_with: &[] },
    Row { package: "vmbased", may_use: &["provider-core"], may_test_with: &["conformance"] },
    Row { package: "gotemplate", may_use: &[], may_test_with: &[] },
    Row { package: "providers", may_use: &["provider-core", "provider-*"], may_test_with: &[] },
    Row {
        package: "provider-helm",
        may_use: &["provider-core", "gotemplate"],
        may_test_with: &["conformance", "engine"],
    },
    Row {
        package: "provider-*",
        may_use: &["provider-core", "vmbased"],
        may_test_with: &["conformance", "agent"],
    },
    Row { package: "engine", may_use: &["provider-core"], may_test_with: &[] },
    Row { package: "agent", may_use: &["provider-core"], may_test_with: &[] },
    Row {
        package: "conformance",
        may_use: &["provider-core", "vmbased", "engine", "agent"],
        may_test_with: &[],
    },
    Row {
        package: "pitrix",
        may_use: &["provider-core", "providers", "engine", "agent"],
        may_test_with: &[],
    },
    Row { package: "xtask", may_use: &[], may_test_with: &[] },
];

/// All that provider-core may be built with. Nothing here does I/O or starts a task: that keeps it pure, because code
/// that can't name a runtime, a database or a socket can't use one.
const CORE_MAY_USE: &[&str] =
    &["async-trait", "flate2", "hex", "inventory", "serde", "serde_json", "sha2", "tar", "tokio", "zeroize"];

/// tokio's channels and locks need no runtime.
const CORE_TOKIO_FEATURES: &[&str] = &["sync"];

/// The rule on the packages of the workspace.
pub(super) fn check(packages: &[Package]) -> Vec<String> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<String> {
    let name = &package.name;
    // An exact row wins over a pattern because it stands before it.
    let Some(row) = ROWS.iter().find(|row| matches(row.package, name)) else {
        return vec![format!("package `{name}` has no row in `ROWS`: say what it may depend on")];
    };
    let mut findings = Vec::new();
    for dependency in package.dependencies.iter().filter(|dependency| dependency.is_ours) {
        let allowed = |list: &[&str]| list.iter().any(|pattern| matches(pattern, &dependency.name));
        let is_arrow = allowed(row.may_use) || dependency.is_dev && allowed(row.may_test_with);
        if !is_arrow {
            let how = if dependency.is_dev { "test with" } else { "depend on" };
            findings.push(format!("package `{name}` must not {how} `{}`", dependency.name));
        }
    }
    if name == "provider-core" {
        findings.extend(package.dependencies.iter().filter(|d| !d.is_dev).filter_map(impurity));
    }
    findings
}

fn impurity(dependency: &Dependency) -> Option<String> {
    let name = &dependency.name;
    if !CORE_MAY_USE.contains(&name.as_str()) {
        return Some(format!("provider-core must not use `{name}`: it is not in `CORE_MAY_USE`"));
    }
    let is_pure = !dependency.default_features
        && dependency.features.iter().all(|feature| CORE_TOKIO_FEATURES.contains(&feature.as_str()));
    (name == "tokio" && !is_pure)
        .then(|| "provider-core must use only the feature `sync` of tokio".to_owned())
}

/// Whether `name` is `pattern`, which may end in `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        None => name == pattern,
        Some(prefix) => name.starts_with(prefix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(name: &str, is_dev: bool) -> Dependency {
        Dependency {
            name: name.to_owned(),
            is_dev,
            is_ours: true,
            default_features: true,
            features: Default::default(),
        }
    }

    fn findings(package: &str, dependency: Dependency) -> String {
        let package = Package {
            name: package.to_owned(),
            features: Default::default(),
            dependencies: vec![dependency],
        };
        check(&[package]).join("\n")
    }

    #[test]
    fn arrows_point_one_way() {
        let check = |package, dependency, is_dev, expected: &str| {
            assert_eq!(findings(package, ours(dependency, is_dev)), expected, "{package} -> {dependency}");
        };
        check("vmbased", "provider-core", false, "");
        check(
            "provider-core",
            "vmbased",
            false,
            "package `provider-core` must not depend on `vmbased`\nprovider-core must not use `vmbased`: it is not in `CORE_MAY_USE`",
        );
        check("provider-local", "vmbased", false, "");
        check("provider-local", "provider-core", false, "");
        check(
            "provider-local",
            "provider-acme",
            false,
            "package `provider-local` must not depend on `provider-acme`",
        );
        check("providers", "provider-local", false, "");
        check("pitrix", "provider-local", false, "package `pitrix` must not depend on `provider-local`");
        check("engine", "vmbased", false, "package `engine` must not depend on `vmbased`");
        check("xtask", "provider-core", true, "package `xtask` must not test with `provider-core`");
        check("gadget", "engine", false, "package `gadget` has no row in `ROWS`: say what it may depend on");
    }

    #[test]
    fn conformance_is_for_tests() {
        let check = |package, is_dev, expected: &str| {
            assert_eq!(findings(package, ours("conformance", is_dev)), expected, "{package}");
        };
        check("vmbased", true, "");
        check("provider-local", true, "");
        check("provider-local", false, "package `provider-local` must not depend on `conformance`");
        check("engine", true, "package `engine` must not test with `conformance`");
    }

    #[test]
    fn provider_core_stays_pure() {
        let check = |name: &str, is_dev, default_features, features: &[&str], expected: &str| {
            let features = features.iter().map(ToString::to_string).collect();
            let dependency =
                Dependency { name: name.to_owned(), is_dev, is_ours: false, default_features, features };
            assert_eq!(findings("provider-core", dependency), expected, "{name}");
        };
        check("serde", false, true, &["derive"], "");
        check("tokio", false, false, &["sync"], "");
        check("tokio", true, false, &["rt"], "");
        check("sqlx", true, true, &[], "");
        check("sqlx", false, true, &[], "provider-core must not use `sqlx`: it is not in `CORE_MAY_USE`");
        let tokio = "provider-core must use only the feature `sync` of tokio";
        check("tokio", false, false, &["sync", "rt"], tokio);
        check("tokio", false, true, &["sync"], tokio);
    }
}
