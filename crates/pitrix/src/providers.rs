//! `provider`: the plugins of this binary.

use crate::{
    exit::Outcome,
    print::{Column, Item, column, wide},
    screen::Screen,
    shapes::word,
};
use provider_core::{Registry, Support};
use serde::Serialize;

/// Lists them.
pub(crate) fn list(registry: &Registry, screen: &Screen) -> Outcome {
    let views: Vec<_> = registry
        .descriptors()
        .map(|descriptor| ProviderView {
            id: descriptor.id,
            title: descriptor.title,
            actions: descriptor.actions.iter().map(|action| action.verb()).collect(),
            containers: descriptor.containers.iter().map(word).collect(),
            credential: descriptor.credential.to_vec(),
            abilities: descriptor
                .abilities
                .iter()
                .map(|(name, support)| AbilityView::new(name, *support))
                .collect(),
        })
        .collect();
    screen.list(&views, "this binary has no providers; build it with `--features local`, for example")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProviderView {
    id: &'static str,
    title: &'static str,
    actions: Vec<&'static str>,
    containers: Vec<String>,
    credential: Vec<&'static str>,
    abilities: Vec<AbilityView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AbilityView {
    name: &'static str,
    support: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

impl AbilityView {
    fn new(name: &'static str, support: Support) -> Self {
        let (support, why) = match support {
            Support::Full => ("full", None),
            Support::Unenforced(why) => ("unenforced", Some(why)),
            Support::Refused(why) => ("refused", Some(why)),
        };
        Self { name, support, why }
    }
}

impl Item for ProviderView {
    const KIND: &'static str = "Provider";
    const COLUMNS: &'static [Column] = &[
        column("PROVIDER"),
        column("TITLE"),
        column("CONTAINERS"),
        column("CREDENTIAL"),
        wide("ACTIONS"),
        wide("NOT SUPPORTED"),
    ];

    fn name(&self) -> String {
        self.id.to_owned()
    }

    fn row(&self) -> Vec<String> {
        let refused = self.abilities.iter().filter(|ability| ability.support != "full");
        vec![
            self.id.to_owned(),
            self.title.to_owned(),
            self.containers.join(","),
            self.credential.join(","),
            self.actions.join(","),
            refused
                .map(|ability| format!("{} ({})", ability.name, ability.support))
                .collect::<Vec<_>>()
                .join(", "),
        ]
    }
}
