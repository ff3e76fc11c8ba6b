//! The bytes of a stored release: JSON, packed with gzip, in base64.

use super::Release;
use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use provider_core::{Error, Result};
use serde_json::Value;
use std::io::{Read, Write};

/// How many bytes the API takes for all data of one Secret.
pub const LIMIT: usize = 1024 * 1024;
/// What a release may come to when it is unpacked: far more than packs into [`LIMIT`] honestly.
const UNPACKED_LIMIT: u64 = 256 * 1024 * 1024;
const MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

/// The text that a release is stored as. The API encodes it in base64 once more.
///
/// # Errors
/// `Bug` when it can't be serialised.
pub fn encode(release: &Release) -> Result<String> {
    let bug =
        |e: &(dyn std::error::Error + 'static)| Error::bug("a release can't be serialised").caused_by(e);
    let json = serde_json::to_vec(release).map_err(|e| bug(&e))?;
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&json).map_err(|e| bug(&e))?;
    let packed = packer.finish().map_err(|e| bug(&e))?;
    Ok(STANDARD.encode(packed))
}

/// Reads what [`encode`] or Helm has written; old ones are not packed.
///
/// # Errors
/// `Invalid` for anything else.
pub fn decode(text: &str) -> Result<Release> {
    let bad = |why: String| Error::invalid(format!("a stored release can't be read: {why}"));
    let bytes = STANDARD.decode(text.trim()).map_err(|e| bad(e.to_string()))?;
    if !bytes.starts_with(&MAGIC) {
        return serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()));
    }
    let mut json = Vec::new();
    let unpacked = GzDecoder::new(bytes.as_slice()).take(UNPACKED_LIMIT + 1).read_to_end(&mut json);
    unpacked.map_err(|e| bad(e.to_string()))?;
    if json.len() as u64 > UNPACKED_LIMIT {
        return Err(bad(format!("it is larger than {UNPACKED_LIMIT} bytes when it is unpacked")));
    }
    serde_json::from_slice(&json).map_err(|e| bad(e.to_string()))
}

/// What makes a release large: each part with its bytes as packed on its own, the largest first.
pub fn contributors(release: &Release) -> Vec<(String, usize)> {
    let packed = |bytes: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer
            .write_all(bytes)
            .ok()
            .and_then(|()| packer.finish().ok())
            .map_or(bytes.len(), |bytes| bytes.len())
    };
    // Packed bytes are written in base64.
    let size = |bytes: &[u8]| packed(bytes).div_ceil(3) * 4;
    let mut parts = vec![
        ("the rendered manifest".to_owned(), size(release.manifest.as_bytes())),
        ("the chart's values".to_owned(), size(release.chart["values"].to_string().as_bytes())),
        ("the values that were given".to_owned(), size(release.config.to_string().as_bytes())),
    ];
    for hook in &release.hooks {
        parts.push((format!("hook {}/{}", hook.kind, hook.name), size(hook.manifest.as_bytes())));
    }
    for list in ["templates", "files"] {
        for file in release.chart[list].as_array().into_iter().flatten() {
            let name = file["name"].as_str().unwrap_or_default().to_owned();
            let data = STANDARD.decode(file["data"].as_str().unwrap_or_default()).unwrap_or_default();
            parts.push((name, size(&data)));
        }
    }
    if let Value::String(schema) = &release.chart["schema"] {
        parts.push(("values.schema.json".to_owned(), size(schema.as_bytes())));
    }
    parts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    parts
}
