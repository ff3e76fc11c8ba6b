//! Where the fields of a credential come from: a file, the environment, a command, a prompt. Never an argument.

use crate::{
    args::CredentialSources,
    exit::{Failure, Outcome},
    inputs::read_input,
    screen::Screen,
};
use provider_core::{Credential, Error, Result, Secret};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env,
    path::Path,
    process::{Command, Stdio},
};

/// Whether any source is named.
pub(crate) fn is_given(sources: &CredentialSources) -> bool {
    let CredentialSources { credential_file, credential_text, credential_env, credential_command } = sources;
    credential_file.is_some()
        || !credential_text.is_empty()
        || !credential_env.is_empty()
        || !credential_command.is_empty()
}

/// The credential with the fields that `wanted` names; those that no source has are asked for, without echo.
/// A field in an environment variable or from a command wins over the file.
///
/// # Errors
/// `Invalid` for a source that can't be read or names a field that is not wanted; a usage error when a field is
/// missing and nobody can be asked. No error says a value.
pub(crate) fn read_credential(
    screen: &Screen,
    provider: &str,
    wanted: &[&str],
    sources: &CredentialSources,
) -> Outcome<Credential> {
    let mut fields = BTreeMap::new();
    if let Some(path) = &sources.credential_file {
        fields.extend(
            from_json(&read_input(path)?)
                .map_err(|e| e.during(format!("credential file `{}`", path.display())))?,
        );
    }
    for (field, path) in &sources.credential_text {
        fields.insert(field.clone(), from_text(field, Path::new(path))?);
    }
    for (field, variable) in &sources.credential_env {
        fields.insert(field.clone(), from_environment(field, variable)?);
    }
    for (field, command) in &sources.credential_command {
        fields.insert(field.clone(), from_command(field, command)?);
    }
    if let Some(extra) = fields.keys().find(|field| !wanted.contains(&field.as_str())) {
        return Err(Error::invalid(format!("provider `{provider}` knows no credential field `{extra}`"))
            .hint(match wanted {
                [] => "it needs no credential".to_owned(),
                wanted => format!("its fields are: {}", wanted.join(", ")),
            })
            .into());
    }
    for field in wanted {
        if !fields.contains_key(*field) {
            fields.insert((*field).to_owned(), ask(screen, field)?);
        }
    }
    Ok(Credential::new(fields))
}

/// Messages of JSON parsers quote values, so only the place is taken over.
fn from_json(text: &[u8]) -> Result<Vec<(String, Secret)>> {
    let value: Value = serde_json::from_slice(text)
        .map_err(|e| Error::invalid(format!("is not JSON (line {}, column {})", e.line(), e.column())))?;
    let Value::Object(fields) = value else {
        return Err(Error::invalid("is not a JSON object"));
    };
    let secret = |(name, value)| match value {
        Value::String(value) => Ok((name, Secret::new(value))),
        _ => Err(Error::invalid(format!("field `{name}` is not a string"))),
    };
    fields.into_iter().map(secret).collect()
}

fn from_text(field: &str, path: &Path) -> Result<Secret> {
    let text = String::from_utf8(read_input(path)?);
    text.map(Secret::new).map_err(|_| {
        Error::invalid(format!("credential field `{field}`: the file `{}` is not UTF-8", path.display()))
    })
}

fn from_environment(field: &str, variable: &str) -> Result<Secret> {
    match env::var(variable) {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
        Ok(_) | Err(env::VarError::NotPresent) => Err(Error::invalid(format!(
            "credential field `{field}`: the environment variable `{variable}` is not set"
        ))),
        Err(env::VarError::NotUnicode(_)) => Err(Error::invalid(format!(
            "credential field `{field}`: the environment variable `{variable}` is not UTF-8"
        ))),
    }
}

fn from_command(field: &str, command: &str) -> Result<Secret> {
    let failed = |what: String| Error::invalid(format!("credential field `{field}`: its command {what}"));
    let output = Command::new("sh")
        .args(["-c", command])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| failed("can't be run".to_owned()).caused_by(&e))?;
    if !output.status.success() {
        return Err(failed(format!("failed: {}", output.status)));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| failed("printed something else than UTF-8".to_owned()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(failed("printed nothing".to_owned())),
        value => Ok(Secret::new(value)),
    }
}

fn ask(screen: &Screen, field: &str) -> Outcome<Secret> {
    let missing = || Error::unauthorized(format!("credential field `{field}` is not given"));
    if !screen.is_interactive {
        let hint = "give it with `--credential-file`, `--credential-text`, `--credential-env` or `--credential-command`";
        return Err(Failure::Usage(missing().hint(hint)));
    }
    let answer = rpassword::prompt_password(format!("{field}: "));
    match answer {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
        Ok(_) => Err(missing().into()),
        Err(e) => Err(missing().caused_by(&e).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;

    fn read(wanted: &[&str], sources: &CredentialSources) -> String {
        match read_credential(&Screen::plain(Format::Table), "cloud", wanted, sources) {
            Ok(credential) => {
                let fields = credential.into_fields();
                fields.map(|(name, value)| format!("{name}={} ", value.expose())).collect()
            }
            Err(Failure::Error(error)) => {
                format!("error: {error} | {}", error.hint_text().unwrap_or_default())
            }
            Err(Failure::Usage(error)) => {
                format!("usage: {error} | {}", error.hint_text().unwrap_or_default())
            }
            Err(Failure::Said(exit)) => format!("{exit:?}"),
        }
    }

    #[test]
    fn fields_come_from_everywhere_but_arguments() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credential");
        std::fs::write(&file, r#"{"id": "from-file", "key": "from-file"}"#).unwrap();
        let text = dir.path().join("text");
        std::fs::write(&text, "two\nlines").unwrap();
        let sources = CredentialSources {
            credential_text: vec![("text".to_owned(), text.display().to_string())],
            credential_file: Some(file),
            credential_env: Vec::new(),
            credential_command: vec![("key".to_owned(), "echo from-command".to_owned())],
        };
        assert_eq!(read(&["id", "key", "text"], &sources), "id=from-file key=from-command text=two\nlines ");
    }

    #[test]
    fn what_is_wrong_with_a_source_is_said_without_a_value() {
        let check =
            |sources: &CredentialSources, expected: &str| assert_eq!(read(&["id"], sources), expected);
        let command = |command: &str| CredentialSources {
            credential_command: vec![("id".to_owned(), command.to_owned())],
            ..CredentialSources::default()
        };
        check(
            &command("echo s3cret; exit 3"),
            "error: credential field `id`: its command failed: exit status: 3 | ",
        );
        check(&command("true"), "error: credential field `id`: its command printed nothing | ");
        let environment = CredentialSources {
            credential_env: vec![("id".to_owned(), "PITRIX_TEST_NO_SUCH".to_owned())],
            ..CredentialSources::default()
        };
        check(
            &environment,
            "error: credential field `id`: the environment variable `PITRIX_TEST_NO_SUCH` is not set | ",
        );
        check(
            &CredentialSources::default(),
            "usage: credential field `id` is not given | give it with `--credential-file`, `--credential-text`, `--credential-env` or `--credential-command`",
        );
        let extra = CredentialSources {
            credential_command: vec![("pin".to_owned(), "echo 1".to_owned())],
            ..CredentialSources::default()
        };
        check(&extra, "error: provider `cloud` knows no credential field `pin` | its fields are: id");
    }

    #[test]
    fn errors_about_a_credential_file_quote_none_of_it() {
        fn check(text: &str, expected: &str) {
            let error = from_json(text.as_bytes()).err().unwrap();
            assert_eq!(error.to_string(), expected);
        }
        check(r#"{"id": s3cret}"#, "is not JSON (line 1, column 8)");
        check(r#""s3cret""#, "is not a JSON object");
        check(r#"{"id": 5}"#, "field `id` is not a string");
    }
}
