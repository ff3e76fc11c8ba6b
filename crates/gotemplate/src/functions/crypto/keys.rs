//! Private keys: made, read, written, and used to sign.

use std::convert::Infallible;
use std::num::NonZeroU32;

use crypto_primes::{Flavor, hazmat::SmallFactorsSieve, is_prime};
use dsa::{BoxedUint, Components};
use ed25519_dalek::Signer;
use rand_core::{TryCryptoRng, TryRng};
use rsa::PrivateKey as RsaKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use rsa::traits::PublicKeyParts;
use sha2::Sha256;

use super::der::{self, BIT_STRING, INTEGER, NULL, OCTET_STRING, OID, Reader, SEQUENCE, field};
use super::domain;
use crate::call::FunctionError;
use crate::functions::random;
use crate::runtime::Runtime;

const RSA_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const SHA256_RSA_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
const EC_OID: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519_OID: &[u8] = &[0x2b, 0x65, 0x70];

/// The size of a key of RSA that nobody will use: the smallest that can be made.
const STAND_IN_BITS: usize = 1024;

/// The public exponent that everybody uses.
const RSA_EXPONENT: u64 = 65_537;

/// The host's randomness, for those who make keys.
struct Entropy<'r>(&'r Runtime);

impl TryRng for Entropy<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        self.0.host(|host| host.entropy(buffer));
        Ok(())
    }
}

impl TryCryptoRng for Entropy<'_> {}

/// A curve of the NIST.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    fn oid(self) -> &'static [u8] {
        match self {
            Curve::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
            Curve::P384 => &[0x2b, 0x81, 4, 0, 34],
            Curve::P521 => &[0x2b, 0x81, 4, 0, 35],
        }
    }

    fn of(oid: &[u8]) -> Option<Curve> {
        [Curve::P256, Curve::P384, Curve::P521].into_iter().find(|curve| curve.oid() == oid)
    }

    /// The identifier of signatures on this curve, with the hash of its size.
    fn signature_oid(self) -> [u8; 8] {
        let last = match self {
            Curve::P256 => 2,
            Curve::P384 => 3,
            Curve::P521 => 4,
        };
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, last]
    }

    /// Bytes of a private key.
    fn size(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    /// The public key of a private one, if that is one.
    fn public(self, secret: &[u8]) -> Option<Vec<u8>> {
        macro_rules! point {
            ($curve:ident) => {
                $curve::ecdsa::SigningKey::from_slice(secret)
                    .ok()
                    .map(|key| key.verifying_key().to_sec1_point(false).as_bytes().to_vec())
            };
        }
        match self {
            Curve::P256 => point!(p256),
            Curve::P384 => point!(p384),
            Curve::P521 => point!(p521),
        }
    }

    /// A signature, as its two numbers one after the other.
    fn sign(self, secret: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        macro_rules! signature {
            ($curve:ident) => {{
                let key = $curve::ecdsa::SigningKey::from_slice(secret).ok()?;
                let signature: $curve::ecdsa::Signature =
                    $curve::ecdsa::signature::Signer::sign(&key, message);
                Some(signature.to_bytes().to_vec())
            }};
        }
        match self {
            Curve::P256 => signature!(p256),
            Curve::P384 => signature!(p384),
            Curve::P521 => signature!(p521),
        }
    }
}

/// The steps of computing with numbers of this many bits.
pub(super) fn cubed(bits: usize) -> usize {
    bits.saturating_pow(3) / 300_000
}

/// A private key.
pub(super) enum PrivateKey {
    Rsa(Box<RsaKey>),
    Ec(Curve, Vec<u8>),
    Ed25519([u8; 32]),
    /// Only to be written and read back: certificates can't have it.
    Dsa(Vec<u8>),
}

/// A random odd number. Its two highest bits are set, so that the product of two has twice as many.
fn start_of_prime(runtime: &Runtime, bits: usize) -> BoxedUint {
    let mut bytes = random::bytes(runtime, bits / 8);
    if let [first, .., last] = bytes.as_mut_slice() {
        *first |= 0b1100_0000;
        *last |= 1;
    }
    BoxedUint::from_be_slice_truncated(&bytes, 8 * bytes.len() as u32)
}

/// The first prime from `start` on that has no more bits, if there is one.
fn next_prime(start: BoxedUint) -> Option<BoxedUint> {
    let bits = NonZeroU32::new(start.bit_width())?;
    SmallFactorsSieve::new(start, bits, false).ok()?.find(|number| is_prime(Flavor::Any, number))
}

fn impossible(reason: &str) -> FunctionError {
    FunctionError::Failed(format!("failed to generate private key: {reason}"))
}

impl PrivateKey {
    pub(super) fn new_rsa(runtime: &Runtime, bits: usize) -> Result<PrivateKey, FunctionError> {
        // The time grows with more than the third power of the size. There are charts that make three of 4096 bits.
        runtime.spend(bits.pow(3) / 43_500)?;
        let bits = if runtime.wants_stand_in() { STAND_IN_BITS } else { bits };
        // Hardly ever more than once, unless the host is no source of randomness.
        for _ in 0..16 {
            let starts = [0, 1].map(|_| start_of_prime(runtime, bits / 2));
            // The two take as long as all else together.
            let found = std::thread::scope(|scope| {
                let searches = starts.map(|start| scope.spawn(|| next_prime(start)));
                searches.map(|search| search.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            });
            if let [Some(p), Some(q)] = found
                && p != q
                && let Ok(key) = RsaKey::from_primes(vec![p, q], RSA_EXPONENT.into())
            {
                return Ok(PrivateKey::Rsa(Box::new(key)));
            }
        }
        Err(impossible("there are no two primes"))
    }

    pub(super) fn new_ec(runtime: &Runtime) -> Result<PrivateKey, FunctionError> {
        runtime.spend(7000)?;
        loop {
            let secret = random::bytes(runtime, Curve::P256.size());
            if Curve::P256.public(&secret).is_some() {
                return Ok(PrivateKey::Ec(Curve::P256, secret));
            }
        }
    }

    pub(super) fn new_ed25519(runtime: &Runtime) -> Result<PrivateKey, FunctionError> {
        runtime.spend(5000)?;
        let mut secret = [0; 32];
        runtime.host(|host| host.entropy(&mut secret));
        Ok(PrivateKey::Ed25519(secret))
    }

    pub(super) fn new_dsa(runtime: &Runtime) -> Result<PrivateKey, FunctionError> {
        runtime.spend(50_000)?;
        let number = |digits: &str, bits| {
            BoxedUint::from_be_hex(digits, bits).into_option().ok_or_else(|| impossible("no number"))
        };
        let components = Components::from_components(
            number(domain::P, 2048)?,
            number(domain::Q, 256)?,
            number(domain::G, 2048)?,
        );
        let components = components.map_err(|error| impossible(&error.to_string()))?;
        let (p, q, g) =
            (components.p().to_be_bytes(), components.q().to_be_bytes(), components.g().to_be_bytes());
        let Ok(key) =
            dsa::SigningKey::try_generate_from_rng_with_components(&mut Entropy(runtime), components);
        let (x, y) = (key.x().to_be_bytes(), key.verifying_key().y().to_be_bytes());
        let numbers = [&[][..], &p, &q, &g, &y, &x].map(der::integer);
        Ok(PrivateKey::Dsa(der::value(SEQUENCE, &numbers.concat())))
    }

    /// Reads a key in one of the forms that are written in PEM.
    ///
    /// # Errors
    ///
    /// What is wrong, in the words of sprig.
    pub(super) fn from_pem(text: &[u8]) -> Result<PrivateKey, String> {
        let (label, data) = der::from_pem(text).ok_or_else(|| "no PEM data in input".to_owned())?;
        match &*label {
            "PRIVATE KEY" => PrivateKey::from_pkcs8(&data)
                .ok_or_else(|| "decoding PEM as PKCS#8: x509: failed to parse private key".to_owned()),
            "RSA PRIVATE KEY" => {
                RsaKey::from_pkcs1_der(&data).map(|key| PrivateKey::Rsa(Box::new(key))).map_err(|_| {
                    "parsing RSA private key from PEM: x509: failed to parse private key".to_owned()
                })
            }
            "EC PRIVATE KEY" => PrivateKey::from_sec1(&data, None).ok_or_else(|| {
                "parsing EC private key from PEM: x509: failed to parse EC private key".to_owned()
            }),
            "DSA PRIVATE KEY" => {
                let numbers = Reader::new(&data)
                    .enter(SEQUENCE)
                    .map(|mut numbers| std::iter::from_fn(|| numbers.take(INTEGER)).count());
                if numbers == Some(6) {
                    Ok(PrivateKey::Dsa(data))
                } else {
                    Err("parsing DSA private key from PEM: asn1: structure error".to_owned())
                }
            }
            other if other.ends_with(" PRIVATE KEY") => Err(format!("invalid private key type {other}")),
            other => Err(format!("no private key data in PEM block of type {other}")),
        }
    }

    fn from_pkcs8(data: &[u8]) -> Option<PrivateKey> {
        let mut info = Reader::new(data).enter(SEQUENCE)?;
        info.take(INTEGER)?;
        let mut algorithm = info.enter(SEQUENCE)?;
        let key = info.take(OCTET_STRING)?;
        match algorithm.take(OID)? {
            RSA_OID => Some(PrivateKey::Rsa(Box::new(RsaKey::from_pkcs1_der(key).ok()?))),
            EC_OID => PrivateKey::from_sec1(key, Some(Curve::of(algorithm.take(OID)?)?)),
            ED25519_OID => Some(PrivateKey::Ed25519(Reader::new(key).take(OCTET_STRING)?.try_into().ok()?)),
            _ => None,
        }
    }

    fn from_sec1(data: &[u8], curve: Option<Curve>) -> Option<PrivateKey> {
        let mut key = Reader::new(data).enter(SEQUENCE)?;
        key.take(INTEGER)?;
        let secret = key.take(OCTET_STRING)?;
        let named = key.enter(field(0)).and_then(|mut curve| Curve::of(curve.take(OID)?));
        let curve = curve.or(named)?;
        // Zeros at the start may be missing.
        let secret = secret.get(secret.len().saturating_sub(curve.size())..)?;
        let padded = [&vec![0; curve.size() - secret.len()], secret].concat();
        curve.public(&padded)?;
        Some(PrivateKey::Ec(curve, padded))
    }

    /// The key as text, in the form that is usual for its kind.
    pub(super) fn pem(&self) -> Result<String, FunctionError> {
        Ok(match self {
            PrivateKey::Rsa(key) => {
                let data = key.to_pkcs1_der().map_err(|error| impossible(&error.to_string()))?;
                der::pem("RSA PRIVATE KEY", data.as_bytes())
            }
            PrivateKey::Ec(curve, secret) => {
                let public = curve.public(secret).unwrap_or_default();
                let data = der::nested(
                    SEQUENCE,
                    &[
                        &der::integer(&[1]),
                        &der::value(OCTET_STRING, secret),
                        &der::value(field(0), &der::value(OID, curve.oid())),
                        &der::value(field(1), &der::bits(&public, 0)),
                    ],
                );
                der::pem("EC PRIVATE KEY", &data)
            }
            PrivateKey::Ed25519(secret) => {
                let algorithm = der::value(SEQUENCE, &der::value(OID, ED25519_OID));
                let secret = der::value(OCTET_STRING, &der::value(OCTET_STRING, secret));
                der::pem("PRIVATE KEY", &der::nested(SEQUENCE, &[&der::integer(&[]), &algorithm, &secret]))
            }
            PrivateKey::Dsa(data) => der::pem("DSA PRIVATE KEY", data),
        })
    }

    /// The public key as certificates have it: the algorithm, and the bits.
    pub(super) fn public(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        match self {
            PrivateKey::Rsa(key) => {
                let algorithm = der::nested(SEQUENCE, &[&der::value(OID, RSA_OID), NULL]);
                let numbers = [der::integer(&key.n_bytes()), der::integer(&key.e_bytes())].concat();
                Some((algorithm, der::value(SEQUENCE, &numbers)))
            }
            PrivateKey::Ec(curve, secret) => {
                let algorithm =
                    der::nested(SEQUENCE, &[&der::value(OID, EC_OID), &der::value(OID, curve.oid())]);
                Some((algorithm, curve.public(secret)?))
            }
            PrivateKey::Ed25519(secret) => {
                let algorithm = der::value(SEQUENCE, &der::value(OID, ED25519_OID));
                let key = ed25519_dalek::SigningKey::from_bytes(secret);
                Some((algorithm, key.verifying_key().to_bytes().to_vec()))
            }
            PrivateKey::Dsa(_) => None,
        }
    }

    /// How signatures of this key are called.
    pub(super) fn signature_algorithm(&self) -> Option<Vec<u8>> {
        Some(match self {
            PrivateKey::Rsa(_) => der::nested(SEQUENCE, &[&der::value(OID, SHA256_RSA_OID), NULL]),
            PrivateKey::Ec(curve, _) => der::value(SEQUENCE, &der::value(OID, &curve.signature_oid())),
            PrivateKey::Ed25519(_) => der::value(SEQUENCE, &der::value(OID, ED25519_OID)),
            PrivateKey::Dsa(_) => return None,
        })
    }

    /// The steps of a signature.
    pub(super) fn steps_to_sign(&self) -> usize {
        match self {
            PrivateKey::Rsa(key) => cubed(key.size() * 8),
            PrivateKey::Ec(Curve::P384 | Curve::P521, _) => 35_000,
            PrivateKey::Ec(Curve::P256, _) | PrivateKey::Ed25519(_) | PrivateKey::Dsa(_) => 10_000,
        }
    }

    /// Signs a message.
    pub(super) fn sign(&self, message: &[u8], runtime: &Runtime) -> Option<Vec<u8>> {
        match self {
            PrivateKey::Rsa(key) => {
                let key = rsa::pkcs1v15::SigningKey::<Sha256>::new((**key).clone());
                let signature = key.try_sign_with_rng(&mut Entropy(runtime), message).ok()?;
                Some(signature.to_vec())
            }
            PrivateKey::Ec(curve, secret) => {
                let signature = curve.sign(secret, message)?;
                let (r, s) = signature.split_at(signature.len() / 2);
                Some(der::nested(SEQUENCE, &[&der::integer(r), &der::integer(s)]))
            }
            PrivateKey::Ed25519(secret) => {
                Some(ed25519_dalek::SigningKey::from_bytes(secret).sign(message).to_bytes().to_vec())
            }
            PrivateKey::Dsa(_) => None,
        }
    }
}

/// Whether these bytes are a public key as certificates have it.
pub(super) fn is_public_key(reader: &mut Reader<'_>) -> bool {
    let mut inside = *reader;
    let Some((_, _, _)) = reader.any() else { return false };
    inside.enter(SEQUENCE).is_some_and(|mut key| {
        let algorithm = key.enter(SEQUENCE).and_then(|mut algorithm| algorithm.take(OID));
        algorithm.is_some() && key.take(BIT_STRING).is_some()
    })
}
