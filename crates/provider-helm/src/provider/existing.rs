//! What is there already, and what a release may come to.

use super::{
    check::{Check, shortfall},
    findings::Found,
};
use crate::{
    api::ObjectRef,
    manifest::text,
    ownership,
    release::{LIMIT, Release, contributors, encode},
    session::side_by_side,
};
use futures_util::FutureExt;
use provider_core::{Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;

impl Check<'_> {
    /// Looks which of the objects that the release did not have are there already, and whose they are. Kinds of which
    /// many objects are wanted are listed, without their content.
    pub(super) async fn check_existing(
        &mut self,
        wanted: &mut [(Found, &Value)],
        was: impl Fn(&ObjectRef) -> bool,
    ) -> Result<()> {
        const FEW: usize = 1;
        let mut kinds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, (found, _)) in wanted.iter_mut().enumerate() {
            if was(&found.object) {
                continue;
            }
            found.create = true;
            // In a namespace that is yet to be made there is nothing.
            let in_new = self.findings.new_namespace
                && found.object.namespace.as_deref() == Some(&self.findings.namespace);
            if !in_new {
                kinds
                    .entry(found.object.resource.path(found.object.namespace.as_deref()))
                    .or_default()
                    .push(index);
            }
        }
        let api = self.session.api();
        let wanted_ref = &*wanted;
        let lookups = kinds.into_iter().map(|(path, indexes)| {
            async move {
                let mut live = Vec::new();
                if indexes.len() > FEW {
                    let all = api.list(&path, "", true).await?;
                    let by_name: BTreeMap<_, _> =
                        all.iter().filter_map(|o| Some((text(o, "/metadata/name")?, o))).collect();
                    for index in indexes {
                        if let Some(object) = by_name.get(wanted_ref[index].0.object.name.as_str()) {
                            live.push((index, (*object).clone()));
                        }
                    }
                } else {
                    for index in indexes {
                        if let Some(object) = api.get(&wanted_ref[index].0.object.path()).await? {
                            live.push((index, object));
                        }
                    }
                }
                Ok::<_, Error>(live)
            }
            .boxed()
        });
        for result in side_by_side(lookups.collect()).await {
            let live = match result {
                // Who may not read will be told by the check of rights.
                Err(error) if error.kind() == provider_core::ErrorKind::Unauthorized => continue,
                live => live?,
            };
            for (index, object) in live {
                let found = &mut wanted[index].0;
                match ownership::stranger(&object, &self.findings.release, &self.findings.namespace) {
                    None => found.create = false,
                    Some(why) => {
                        self.shortfalls.push(shortfall(found.object.to_string(), why, Some(ownership::HINT)));
                    }
                }
            }
        }
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
