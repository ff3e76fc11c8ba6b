//! Passwords: hashed, and derived from a master password.

use ::bcrypt::Version;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::call::{Call, Entry, FunctionError};
use crate::functions::args::{Answer, wrong_type};
use crate::functions::random;
use crate::kind::Integer;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("bcrypt", 1, bcrypt),
    Entry::exact("derivePassword", 5, derive_password),
    Entry::exact("htpasswd", 2, htpasswd),
];

const BCRYPT_COST: u32 = 10;

/// The least that there is, for a hash that nobody will use.
const STAND_IN_COST: u32 = 4;

/// Steps for one hash, which takes about a fifteenth of a second, as a key of 2048 bits does.
const BCRYPT_STEPS: usize = 200_000;

/// Steps for one derivation, which takes about a sixth of a second.
const SCRYPT_STEPS: usize = 480_000;

/// The hash of a password, or the text of an error.
fn hashed(call: &Call<'_>, password: &[u8]) -> Result<String, FunctionError> {
    let failed = |reason: &str| format!("failed to encrypt string with bcrypt: {reason}");
    if password.len() > 72 {
        return Ok(failed("bcrypt: password length exceeds 72 bytes"));
    }
    call.spend(BCRYPT_STEPS)?;
    let mut salt = [0; 16];
    salt.copy_from_slice(&random::bytes(call.runtime(), 16));
    let cost = if call.runtime().wants_stand_in() { STAND_IN_COST } else { BCRYPT_COST };
    Ok(match ::bcrypt::hash_with_salt(password, cost, salt) {
        Ok(hash) => hash.format_for_version(Version::TwoA),
        Err(error) => failed(&error.to_string()),
    })
}

fn bcrypt(call: &mut Call<'_>) -> Answer {
    Ok(hashed(call, call.bytes(0)?)?.into())
}

fn htpasswd(call: &mut Call<'_>) -> Answer {
    let (user, password) = (call.string(0)?, call.bytes(1)?);
    if user.contains(':') {
        return Ok(format!("invalid username: {user}").into());
    }
    Ok(format!("{user}:{}", hashed(call, password)?).into())
}

/// What passwords of a kind look like: each letter stands for a set of characters.
fn templates(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

fn characters(class: u8) -> &'static [u8] {
    match class {
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// An argument of the type `uint32`, which only a literal is.
fn counter(call: &Call<'_>) -> Result<u32, FunctionError> {
    match call.value(0) {
        Value::Integer(Integer::Int, number) => {
            u32::try_from(*number).map_err(|_| wrong_type("uint32", call.value(0)))
        }
        other => Err(wrong_type("uint32", other)),
    }
}

/// The algorithm of the Master Password application.
fn derive_password(call: &mut Call<'_>) -> Answer {
    const SEED: &[u8] = b"com.lyndir.masterpassword";
    let (counter, kind) = (counter(call)?, call.string(1)?);
    let (password, user, site) = (call.bytes(2)?, call.bytes(3)?, call.bytes(4)?);
    let Some(templates) = templates(&kind) else {
        return Ok(format!("cannot find password template {kind}").into());
    };
    call.spend(SCRYPT_STEPS)?;
    let failed = |reason: &dyn std::fmt::Display| format!("failed to derive password: {reason}");
    let length = |text: &[u8]| (text.len() as u32).to_be_bytes();
    let salt = [SEED, &length(user), user].concat();
    let mut key = [0; 64];
    let rounds = if call.runtime().wants_stand_in() { 1 } else { 15 };
    let derived = scrypt::Params::new(rounds, 8, 2).map_err(|error| failed(&error)).and_then(|params| {
        scrypt::scrypt(password, &salt, &params, &mut key).map_err(|error| failed(&error))
    });
    if let Err(message) = derived {
        return Ok(message.into());
    }
    let message = [SEED, &length(site), site, &counter.to_be_bytes()].concat();
    let mut mac = match Hmac::<Sha256>::new_from_slice(&key) {
        Ok(mac) => mac,
        Err(error) => return Ok(failed(&error).into()),
    };
    mac.update(&message);
    let seed = mac.finalize().into_bytes();
    let template = templates[usize::from(seed[0]) % templates.len()];
    let password = template.bytes().zip(&seed[1..]).map(|(class, &number)| {
        let characters = characters(class);
        char::from(characters[usize::from(number) % characters.len()])
    });
    Ok(password.collect::<String>().into())
}
