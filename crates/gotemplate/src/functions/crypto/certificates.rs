//! X.509 certificates, as Go's library makes them.

use std::any::Any;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::der::{
    self, BIT_STRING, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, PRINTABLE_STRING, Reader, SEQUENCE, SET,
    TRUE, UTC_TIME, UTF8_STRING, field,
};
use super::keys::{PrivateKey, cubed, is_public_key};
use crate::call::{Call, Entry, FunctionError};
use crate::functions::args::{Answer, wrong_type};
use crate::functions::{base64, random, time};
use crate::kind::Element;
use crate::object::Object;
use crate::value::Value;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::exact("buildCustomCert", 2, build_custom_cert),
    Entry::exact("genCA", 2, gen_ca),
    Entry::exact("genCAWithKey", 3, gen_ca),
    Entry::exact("genSelfSignedCert", 4, gen_self_signed_cert),
    Entry::exact("genSelfSignedCertWithKey", 5, gen_self_signed_cert),
    Entry::exact("genSignedCert", 5, gen_signed_cert),
    Entry::exact("genSignedCertWithKey", 6, gen_signed_cert),
];

/// The size of keys that are made for certificates.
const RSA_BITS: usize = 2048;

/// A certificate and its key, both as text.
struct Pair {
    certificate: String,
    key: String,
}

impl Object for Pair {
    fn type_name(&self) -> &str {
        "sprig.certificate"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(self.certificate.as_str().into()),
            "Key" => Some(self.key.as_str().into()),
            _ => None,
        }
    }

    fn print(&self) -> String {
        format!("{{{} {}}}", self.certificate, self.key)
    }

    fn data(&self) -> Value {
        Value::map([
            ("Cert", Value::from(self.certificate.as_str())),
            ("Key", Value::from(self.key.as_str())),
        ])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What of a certificate its issuer's name and key are taken from.
struct Issuer {
    /// The encoded name.
    name: Vec<u8>,
    key_id: Vec<u8>,
    public_key: Vec<u8>,
}

/// Reads a certificate, as far as one that signs others is needed.
fn read_certificate(data: &[u8]) -> Option<Issuer> {
    let mut whole = Reader::new(data);
    let mut certificate = whole.enter(SEQUENCE)?;
    let mut body = certificate.enter(SEQUENCE)?;
    certificate.take(SEQUENCE)?;
    certificate.take(BIT_STRING)?;
    if !whole.is_empty() || !certificate.is_empty() {
        return None;
    }
    body.enter(field(0));
    body.take(INTEGER)?;
    // Algorithm, issuer and validity.
    for _ in 0..3 {
        body.take(SEQUENCE)?;
    }
    let (_, _, name) = body.any().filter(|(tag, ..)| *tag == SEQUENCE)?;
    let mut ahead = body;
    let (_, _, public_key) = ahead.any()?;
    if !is_public_key(&mut body) {
        return None;
    }
    let mut key_id = Vec::new();
    while let Some((tag, content, _)) = body.any() {
        if tag != field(3) {
            continue;
        }
        let mut extensions = Reader::new(content).enter(SEQUENCE)?;
        while let Some(mut extension) = extensions.enter(SEQUENCE) {
            if extension.take(OID)? == [0x55, 0x1d, 14] {
                key_id = Reader::new(extension.take(OCTET_STRING)?).take(OCTET_STRING)?.to_vec();
            }
        }
    }
    Some(Issuer { name: name.to_vec(), key_id, public_key: public_key.to_vec() })
}

/// What a new certificate says.
struct Subject {
    common_name: String,
    dns_names: Vec<String>,
    addresses: Vec<IpAddr>,
    days: i64,
}

/// An argument of the type `[]interface {}`.
fn list<'a>(call: &Call<'a>, index: usize) -> Result<&'a [Value], FunctionError> {
    match call.value(index) {
        Value::Nil => Ok(&[]),
        Value::List(list) if list.element() == Element::Any => Ok(list.items()),
        other => Err(wrong_type("[]interface {}", other)),
    }
}

fn addresses(call: &Call<'_>, items: &[Value]) -> Result<Vec<IpAddr>, FunctionError> {
    let address = |item: &Value| match item.as_str() {
        None => {
            Err(FunctionError::Failed(format!("error parsing ip: {} is not a string", call.print(item)?)))
        }
        Some(text) => text.parse().map_err(|_| FunctionError::Failed(format!("error parsing ip: {text}"))),
    };
    items.iter().map(address).collect()
}

fn dns_names(call: &Call<'_>, items: &[Value]) -> Result<Vec<String>, FunctionError> {
    let name = |item: &Value| match item.as_str() {
        None => {
            let shown = call.print(item)?;
            Err(FunctionError::Failed(format!(
                "error processing alternate dns name: {shown} is not a string"
            )))
        }
        Some(text) => Ok(text.to_owned()),
    };
    items.iter().map(name).collect()
}

fn creating(error: &str) -> FunctionError {
    FunctionError::Failed(format!("error creating certificate: {error}"))
}

/// A name that is just a common name.
fn encoded_name(common_name: &str) -> Vec<u8> {
    if common_name.is_empty() {
        return der::value(SEQUENCE, &[]);
    }
    let printable =
        common_name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"'()+,-./ :=?".contains(&byte));
    let text = der::value(if printable { PRINTABLE_STRING } else { UTF8_STRING }, common_name.as_bytes());
    let attribute = der::nested(SEQUENCE, &[&der::value(OID, &[0x55, 4, 3]), &text]);
    der::value(SEQUENCE, &der::value(SET, &attribute))
}

/// A time: the short form up to 2049.
fn encoded_time(seconds: i64) -> Vec<u8> {
    let text = time::formatted_utc(seconds, "20060102150405Z");
    match text.get(..4).and_then(|year| year.parse().ok()) {
        Some(1950..=2049) => der::value(UTC_TIME, &text.as_bytes()[2..]),
        _ => der::value(GENERALIZED_TIME, text.as_bytes()),
    }
}

fn extension(oid: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let critical = if critical { TRUE } else { &[] };
    der::nested(SEQUENCE, &[&der::value(OID, oid), critical, &der::value(OCTET_STRING, content)])
}

impl Subject {
    fn extensions(
        &self,
        authority: bool,
        public: &[u8],
        issuer: &Issuer,
        name: &[u8],
    ) -> Result<Vec<u8>, FunctionError> {
        // Digital signature and key encipherment, and for an authority also to sign certificates.
        let usage = if authority { der::bits(&[0b1010_0100], 2) } else { der::bits(&[0b1010_0000], 5) };
        let purposes = [1, 2].map(|purpose| der::value(OID, &[0x2b, 6, 1, 5, 5, 7, 3, purpose]));
        let constraints: &[u8] = if authority { TRUE } else { &[] };
        let mut all = vec![
            extension(&[0x55, 0x1d, 15], true, &usage),
            extension(&[0x55, 0x1d, 37], false, &der::value(SEQUENCE, &purposes.concat())),
            extension(&[0x55, 0x1d, 19], true, &der::value(SEQUENCE, constraints)),
        ];
        if authority {
            let key_id = &Sha256::digest(public)[..20];
            all.push(extension(&[0x55, 0x1d, 14], false, &der::value(OCTET_STRING, key_id)));
        }
        if issuer.name != name && !issuer.key_id.is_empty() {
            let key_id = der::value(SEQUENCE, &der::value(0x80, &issuer.key_id));
            all.push(extension(&[0x55, 0x1d, 35], false, &key_id));
        }
        let mut names = Vec::new();
        for dns_name in &self.dns_names {
            if !dns_name.is_ascii() {
                let shown = crate::format::quoted(dns_name.as_bytes(), '"', false);
                return Err(creating(&format!("x509: {shown} cannot be encoded as an IA5String")));
            }
            names.extend(der::value(0x82, dns_name.as_bytes()));
        }
        for address in &self.addresses {
            names.extend(match address.to_canonical() {
                IpAddr::V4(address) => der::value(0x87, &address.octets()),
                IpAddr::V6(address) => der::value(0x87, &address.octets()),
            });
        }
        if !names.is_empty() {
            let critical = self.common_name.is_empty();
            all.push(extension(&[0x55, 0x1d, 17], critical, &der::value(SEQUENCE, &names)));
        }
        Ok(all.concat())
    }

    /// Makes a certificate. Without an issuer it signs itself.
    fn certify(
        &self,
        call: &Call<'_>,
        key: &PrivateKey,
        authority: bool,
        signer: Option<(Issuer, &PrivateKey)>,
    ) -> Result<Value, FunctionError> {
        let unsupported = || creating("x509: certificate private key does not implement crypto.Signer");
        let (algorithm, public) = key.public().ok_or_else(unsupported)?;
        let public_key = der::nested(SEQUENCE, &[&algorithm, &der::bits(&public, 0)]);
        let name = encoded_name(&self.common_name);
        let (issuer, signing_key) = match signer {
            Some((issuer, signing_key)) => {
                let (algorithm, bits) = signing_key.public().ok_or_else(unsupported)?;
                if issuer.public_key != der::nested(SEQUENCE, &[&algorithm, &der::bits(&bits, 0)]) {
                    return Err(creating("x509: provided PrivateKey doesn't match parent's PublicKey"));
                }
                (issuer, signing_key)
            }
            None => (Issuer { name: name.clone(), key_id: Vec::new(), public_key: Vec::new() }, key),
        };
        call.spend(1000 + signing_key.steps_to_sign())?;
        let algorithm = signing_key.signature_algorithm().ok_or_else(unsupported)?;
        let serial = random::bytes(call.runtime(), 16);
        let now = call.runtime().host(|host| host.now()).seconds;
        let end = now.saturating_add(self.days.saturating_mul(86_400));
        let extensions = self.extensions(authority, &public, &issuer, &name)?;
        let body = der::nested(
            SEQUENCE,
            &[
                &der::value(field(0), &der::integer(&[2])),
                &der::integer(&serial),
                &algorithm,
                &issuer.name,
                &der::nested(SEQUENCE, &[&encoded_time(now), &encoded_time(end)]),
                &name,
                &public_key,
                &der::value(field(3), &der::value(SEQUENCE, &extensions)),
            ],
        );
        let signature = signing_key.sign(&body, call.runtime()).ok_or_else(unsupported)?;
        let certificate = der::nested(SEQUENCE, &[&body, &algorithm, &der::bits(&signature, 0)]);
        Ok(Value::object(Pair { certificate: der::pem("CERTIFICATE", &certificate), key: key.pem()? }))
    }
}

/// The key of an argument, if there is one, else a new one.
fn key_of(call: &Call<'_>, index: usize) -> Result<PrivateKey, FunctionError> {
    if index >= call.args().len() {
        return PrivateKey::new_rsa(call.runtime(), RSA_BITS);
    }
    read_key(call, call.bytes(index)?, "parsing private key")
}

fn read_key(call: &Call<'_>, text: &[u8], doing: &str) -> Result<PrivateKey, FunctionError> {
    // Its public part is computed.
    call.spend(10_000 + cubed(text.len()))?;
    PrivateKey::from_pem(text).map_err(|error| FunctionError::Failed(format!("{doing}: {error}")))
}

fn gen_ca(call: &mut Call<'_>) -> Answer {
    let (common_name, days) = (call.string(0)?.to_string(), call.int(1)?);
    let key = key_of(call, 2)?;
    let subject = Subject { common_name, dns_names: Vec::new(), addresses: Vec::new(), days };
    subject.certify(call, &key, true, None)
}

/// The arguments about the subject: its name, addresses, other names, and days.
type SubjectArguments<'a> = (String, &'a [Value], &'a [Value], i64);

/// The arguments about the subject. The types of all are looked at first, as Go does.
fn subject_of<'a>(call: &Call<'a>) -> Result<SubjectArguments<'a>, FunctionError> {
    Ok((call.string(0)?.to_string(), list(call, 1)?, list(call, 2)?, call.int(3)?))
}

fn gen_self_signed_cert(call: &mut Call<'_>) -> Answer {
    let (common_name, ips, names, days) = subject_of(call)?;
    let key = key_of(call, 4)?;
    let (addresses, dns_names) = (addresses(call, ips)?, dns_names(call, names)?);
    Subject { common_name, dns_names, addresses, days }.certify(call, &key, false, None)
}

fn gen_signed_cert(call: &mut Call<'_>) -> Answer {
    let (common_name, ips, names, days) = subject_of(call)?;
    let authority = match call.value(4) {
        Value::Object(object) => object.as_any().downcast_ref::<Pair>(),
        _ => None,
    };
    let authority = authority.ok_or_else(|| wrong_type("sprig.certificate", call.value(4)))?;
    let key = key_of(call, 5)?;
    let (_, data) = der::from_pem(authority.certificate.as_bytes())
        .ok_or_else(|| FunctionError::failed("unable to decode certificate"))?;
    let issuer = read_certificate(&data).ok_or_else(malformed)?;
    let authority_key = read_key(call, authority.key.as_bytes(), "error parsing private key")?;
    let (addresses, dns_names) = (addresses(call, ips)?, dns_names(call, names)?);
    Subject { common_name, dns_names, addresses, days }.certify(
        call,
        &key,
        false,
        Some((issuer, &authority_key)),
    )
}

fn malformed() -> FunctionError {
    FunctionError::failed("error parsing certificate: decodedCert.Bytes: x509: malformed certificate")
}

fn build_custom_cert(call: &mut Call<'_>) -> Answer {
    let (certificate, key) = (call.bytes(0)?, call.bytes(1)?);
    let certificate = base64::decode(certificate)
        .map_err(|_| FunctionError::failed("unable to decode base64 certificate"))?;
    let key =
        base64::decode(key).map_err(|_| FunctionError::failed("unable to decode base64 private key"))?;
    let (_, data) =
        der::from_pem(&certificate).ok_or_else(|| FunctionError::failed("unable to decode certificate"))?;
    read_certificate(&data).ok_or_else(malformed)?;
    read_key(call, &key, "error parsing private key")?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Value::object(Pair { certificate: text(certificate), key: text(key) }))
}
