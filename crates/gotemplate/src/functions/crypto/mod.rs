//! Passwords, keys, certificates and encryption. All randomness is the host's.

mod certificates;
mod der;
mod domain;
mod keys;
mod passwords;

use aes::Aes256;
use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use self::keys::PrivateKey;
use super::args::Answer;
use super::{base64, random};
use crate::call::{Call, Entry, FunctionError};
use crate::value::Value;

/// Everything of this module.
pub(super) fn entries() -> Vec<Entry> {
    [ENTRIES, certificates::ENTRIES, passwords::ENTRIES].concat()
}

const ENTRIES: &[Entry] = &[
    Entry::exact("decryptAES", 2, decrypt_aes),
    Entry::exact("encryptAES", 2, encrypt_aes),
    Entry::exact("genPrivateKey", 1, gen_private_key),
];

/// Bytes of a block of AES.
const BLOCK: usize = 16;

fn gen_private_key(call: &mut Call<'_>) -> Answer {
    let runtime = call.runtime();
    let key = match &*call.string(0)? {
        "" | "rsa" => PrivateKey::new_rsa(runtime, 4096)?,
        "dsa" => PrivateKey::new_dsa(runtime)?,
        "ecdsa" => PrivateKey::new_ec(runtime)?,
        "ed25519" => PrivateKey::new_ed25519(runtime)?,
        other => return Ok(format!("Unknown type {other}").into()),
    };
    Ok(key.pem()?.into())
}

/// The key is the password itself, cut or filled up with zeros.
fn cipher(password: &[u8]) -> Aes256 {
    let mut key = [0; 32];
    let length = password.len().min(key.len());
    key[..length].copy_from_slice(&password[..length]);
    Aes256::new(&key.into())
}

fn xor(block: &mut [u8; BLOCK], other: &[u8]) {
    for (byte, other) in block.iter_mut().zip(other) {
        *byte ^= other;
    }
}

fn encrypt_aes(call: &mut Call<'_>) -> Answer {
    let (password, text) = (call.bytes(0)?, call.bytes(1)?);
    if text.is_empty() {
        return Ok("".into());
    }
    call.allocate(text.len() * 2)?;
    let cipher = cipher(password);
    let padding = BLOCK - text.len() % BLOCK;
    let padded = [text, &vec![padding as u8; padding]].concat();
    let mut out = random::bytes(call.runtime(), BLOCK);
    for plain in padded.chunks_exact(BLOCK) {
        let mut block = [0; BLOCK];
        block.copy_from_slice(plain);
        // Each block is mixed with the one before it.
        xor(&mut block, &out[out.len() - BLOCK..]);
        let mut block: Block<Aes256> = block.into();
        cipher.encrypt_block(&mut block);
        out.extend_from_slice(&block);
    }
    Ok(base64::encode(&out).into())
}

fn decrypt_aes(call: &mut Call<'_>) -> Answer {
    let (password, text) = (call.bytes(0)?, call.bytes(1)?);
    if text.is_empty() {
        return Ok("".into());
    }
    call.allocate(text.len())?;
    let data = base64::decode(text).map_err(|error| FunctionError::Failed(error.text()))?;
    if data.len() < BLOCK {
        let length = data.len();
        let message = format!("runtime error: slice bounds out of range [:{BLOCK}] with capacity {length}");
        return Err(FunctionError::Failed(message));
    }
    if !data.len().is_multiple_of(BLOCK) {
        return Err(FunctionError::failed("crypto/cipher: input not full blocks"));
    }
    let cipher = cipher(password);
    let mut out = Vec::with_capacity(data.len());
    for (previous, encrypted) in data.chunks_exact(BLOCK).zip(data[BLOCK..].chunks_exact(BLOCK)) {
        let mut block = [0; BLOCK];
        block.copy_from_slice(encrypted);
        let mut block: Block<Aes256> = block.into();
        cipher.decrypt_block(&mut block);
        let mut block: [u8; BLOCK] = block.into();
        xor(&mut block, previous);
        out.extend_from_slice(&block);
    }
    let Some(&padding) = out.last() else {
        return Err(FunctionError::failed("runtime error: index out of range [-1]"));
    };
    match out.len().checked_sub(padding.into()) {
        Some(length) => {
            out.truncate(length);
            Ok(Value::string(out))
        }
        None => {
            let end = out.len() as i64 - i64::from(padding);
            Err(FunctionError::Failed(format!("runtime error: slice bounds out of range [:{end}]")))
        }
    }
}
