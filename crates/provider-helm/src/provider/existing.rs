//! What is there already, and what a release may come to.

use super::{
    check::{Check, Missing, shortfall},
    findings::Found,
};
use crate::{
    api::{Api, ObjectRef},
    manifest::text,
    ownership,
    release::{LIMIT, Release, contributors, encode},
    session::side_by_side,
};
use futures_util::FutureExt;
use provider_core::{Error, ErrorKind, Result};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

impl Check<'_> {
    /// Looks which of the objects that the release did not have are there already, and whose they are.
    pub(super) async fn check_existing(
        &mut self,
        wanted: &mut [(Found, &Value)],
        was: impl Fn(&ObjectRef) -> bool,
    ) -> Result<()> {
        let mut new: Vec<_> =
            wanted.iter_mut().map(|(found, _)| found).filter(|found| !was(&found.object)).collect();
        new.iter_mut().for_each(|found| found.create = true);
        new.retain(|found| self.findings.may_be_there(&found.object));
        let objects: Vec<_> = new.iter().map(|found| found.object.clone()).collect();
        let live = live(self.session.api(), &objects).await?;
        for (found, live) in new.iter_mut().zip(live) {
            let Some(live) = live else { continue };
            match ownership::stranger(&live, &self.findings.release, &self.findings.namespace) {
                None => found.create = false,
                Some(why) => {
                    self.shortfalls.push(shortfall(found.object.to_string(), why, Some(ownership::HINT)));
                }
            }
        }
        Ok(())
    }

    /// Looks which of the definitions in `crds/` have to be made: one that is there stays as it is.
    pub(super) async fn check_definitions(&mut self, definitions: &[Value]) -> Result<()> {
        const KIND: &str = "CustomResourceDefinition";
        let (mut objects, mut missing) = (Vec::new(), Missing::new());
        for definition in definitions {
            objects.extend(self.served(definition, KIND, &mut missing));
        }
        self.not_served(missing);
        let live = live(self.session.api(), &objects).await?;
        let new = objects.into_iter().zip(live).filter(|(_, live)| live.is_none());
        self.findings.definitions = new.map(|(object, _)| object).collect();
        Ok(())
    }

    /// A Secret takes a mebibyte; what is too large is said before anything is done.
    pub(super) fn check_size(&mut self, release: &Release) -> Result<()> {
        let size = encode(release)?.len();
        if size <= LIMIT {
            return Ok(());
        }
        let largest: Vec<_> = contributors(release)
            .into_iter()
            .take(5)
            .map(|(name, size)| format!("{name} ({} KiB)", size.div_ceil(1024)))
            .collect();
        let why = format!(
            "its record would have {} KiB, and a Secret takes {} KiB; most of it is {}",
            size.div_ceil(1024),
            LIMIT / 1024,
            largest.join(", ")
        );
        let hint = "leave what is not needed out of the chart's files, for example with `.helmignore`";
        self.shortfalls.push(shortfall(format!("release {}", self.findings.release), why, Some(hint)));
        Ok(())
    }
}

/// What is there of `objects`, in their order. Kinds of which several are wanted are listed, without their content.
/// What may not be read counts as not there: the check of rights, or applying it, tells more.
async fn live(api: &Api, objects: &[ObjectRef]) -> Result<Vec<Option<Value>>> {
    let mut kinds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, object) in objects.iter().enumerate() {
        kinds.entry(object.resource.path(object.namespace.as_deref())).or_default().push(index);
    }
    let lookups = kinds.into_iter().map(|(path, indexes)| {
        async move {
            if let [index] = indexes[..] {
                return Ok(api
                    .get(&objects[index].path())
                    .await?
                    .map(|live| (index, live))
                    .into_iter()
                    .collect());
            }
            let listed = api.list(&path, "", true).await?.into_iter();
            let mut by_name: HashMap<_, _> =
                listed.filter_map(|live| Some((text(&live, "/metadata/name")?.to_owned(), live))).collect();
            let there =
                indexes.into_iter().filter_map(|index| Some((index, by_name.remove(&objects[index].name)?)));
            Ok::<Vec<_>, Error>(there.collect())
        }
        .boxed()
    });
    let mut live = vec![None; objects.len()];
    for found in side_by_side(lookups.collect()).await {
        match found {
            Err(error) if error.kind() == ErrorKind::Unauthorized => {}
            found => found?.into_iter().for_each(|(index, object)| live[index] = Some(object)),
        }
    }
    Ok(live)
}
