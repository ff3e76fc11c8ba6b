//! How runtimes, and what validating them finds, are shown.

use crate::{
    print::{Column, Item, column, wide},
    screen::Screen,
    shapes::moment,
};
use provider_core::{Runtime, RuntimeFacts, RuntimeId, Subnet};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuntimeView {
    name: String,
    provider: String,
    zone: String,
    endpoint: String,
    description: String,
    labels: BTreeMap<String, String>,
}

impl RuntimeView {
    pub(super) fn new(runtime: &Runtime) -> Self {
        Self {
            name: runtime.id.to_string(),
            provider: runtime.provider.to_string(),
            zone: runtime.zone.to_string(),
            endpoint: runtime.endpoint.clone(),
            description: runtime.description.clone(),
            labels: runtime.labels.clone(),
        }
    }

    fn labels(&self) -> String {
        self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    }

    pub(super) fn sheet(&self, screen: &Screen) -> String {
        screen.pairs(&[
            ("name", self.name.clone()),
            ("provider", self.provider.clone()),
            ("zone", self.zone.clone()),
            ("endpoint", self.endpoint.clone()),
            ("description", self.description.clone()),
            ("labels", self.labels()),
        ])
    }
}

impl Item for RuntimeView {
    const KIND: &'static str = "Runtime";
    const COLUMNS: &'static [Column] = &[
        column("RUNTIME"),
        column("PROVIDER"),
        column("ZONE"),
        wide("ENDPOINT"),
        wide("LABELS"),
        column("DESCRIPTION"),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.provider.clone(),
            self.zone.clone(),
            self.endpoint.clone(),
            self.labels(),
            self.description.clone(),
        ]
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FactsView {
    runtime: String,
    zones: Vec<String>,
    api_versions: Vec<String>,
    checked: String,
}

impl FactsView {
    pub(super) fn new(runtime: &RuntimeId, facts: &RuntimeFacts) -> Self {
        Self {
            runtime: runtime.to_string(),
            zones: facts.zones.iter().map(ToString::to_string).collect(),
            api_versions: facts.api_versions.iter().cloned().collect(),
            checked: moment(facts.taken_at),
        }
    }

    pub(super) fn sheet(&self, screen: &Screen) -> String {
        screen.pairs(&[
            ("runtime", self.runtime.clone()),
            ("credential", "works".to_owned()),
            ("zones", self.zones.join(", ")),
            ("api versions", self.api_versions.join(", ")),
            ("checked", self.checked.clone()),
        ])
    }
}

impl Item for FactsView {
    const KIND: &'static str = "RuntimeFacts";
    const COLUMNS: &'static [Column] = &[column("RUNTIME"), column("ZONES")];

    fn name(&self) -> String {
        self.runtime.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![self.runtime.clone(), self.zones.join(",")]
    }
}

#[derive(Serialize)]
pub(super) struct ZoneView {
    pub(super) zone: String,
}

impl Item for ZoneView {
    const KIND: &'static str = "Zone";
    const COLUMNS: &'static [Column] = &[column("ZONE")];

    fn name(&self) -> String {
        self.zone.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![self.zone.clone()]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct SubnetView(pub(super) Subnet);

impl Item for SubnetView {
    const KIND: &'static str = "Subnet";
    const COLUMNS: &'static [Column] =
        &[column("SUBNET"), column("NAME"), column("ZONE"), column("VPC"), column("CIDR"), column("FREE")];

    fn name(&self) -> String {
        self.0.id.to_string()
    }

    fn row(&self) -> Vec<String> {
        let Subnet { id, name, zone, vpc, cidr, free_addresses } = &self.0;
        vec![
            id.to_string(),
            name.clone(),
            zone.to_string(),
            vpc.as_ref().map(ToString::to_string).unwrap_or_default(),
            cidr.clone(),
            free_addresses.map(|n| n.to_string()).unwrap_or_default(),
        ]
    }
}
