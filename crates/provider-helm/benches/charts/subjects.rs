//! The charts that are rendered: the one that `helm create` makes, two with 500 Deployments, and public ones.

use super::{Outcome, Peer};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const DEPLOYMENTS: usize = 500;

/// A chart, as a directory or an archive.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Whether helm gives the same each time.
    pub(super) is_deterministic: bool,
}

/// Makes ours below `scratch`.
pub(super) fn own(peer: &Peer, scratch: &Path) -> Outcome<Vec<Subject>> {
    let stock = scratch.join("stock");
    super::output(peer.command(&["create", &stock.to_string_lossy()]))?;
    let (range, files) = (scratch.join("range"), scratch.join("files"));
    let deployment = fs::read_to_string(stock.join("templates/deployment.yaml"))?;
    one_range(&range)?;
    many_files(&stock, &deployment, &files)?;
    let subject = |name: &str, path| Subject { name: name.to_owned(), path, is_deterministic: true };
    Ok(vec![subject("helm create", stock), subject("500 in a range", range), subject("500 files", files)])
}

/// 500 Deployments in one template.
fn one_range(dir: &Path) -> Outcome<()> {
    write(&dir.join("Chart.yaml"), "apiVersion: v2\nname: wide\nversion: 1.0.0\n")?;
    let mut values = "image: {repository: nginx, tag: 1.27.0}\nworkloads:\n".to_owned();
    for n in 0..DEPLOYMENTS {
        write!(
            values,
            "- name: web-{n}\n  replicas: {}\n  port: {}\n  resources: {{limits: {{cpu: 100m, memory: 128Mi}}}}\n",
            n % 5 + 1,
            8000 + n
        )?;
    }
    write(&dir.join("values.yaml"), &values)?;
    write(
        &dir.join("templates/_helpers.tpl"),
        r#"{{- define "wide.labels" -}}
app.kubernetes.io/name: {{ .workload.name | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}
"#,
    )?;
    write(
        &dir.join("templates/deployments.yaml"),
        r#"{{- range .Values.workloads }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ printf "%s-%s" $.Release.Name .name | trunc 63 | trimSuffix "-" }}
  labels:
    {{- include "wide.labels" (dict "root" $ "workload" .) | nindent 4 }}
spec:
  replicas: {{ .replicas | default 1 }}
  selector:
    matchLabels:
      {{- include "wide.labels" (dict "root" $ "workload" .) | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "wide.labels" (dict "root" $ "workload" .) | nindent 8 }}
    spec:
      containers:
        - name: main
          image: "{{ $.Values.image.repository }}:{{ $.Values.image.tag }}"
          ports:
            - name: http
              containerPort: {{ .port }}
          {{- with .resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
{{- end }}
"#,
    )
}

/// The stock chart, with its Deployment 500 times.
fn many_files(stock: &Path, deployment: &str, dir: &Path) -> Outcome<()> {
    for name in ["Chart.yaml", "values.yaml", "templates/_helpers.tpl"] {
        write(&dir.join(name), &fs::read_to_string(stock.join(name))?)?;
    }
    let name = "name: {{ include \"stock.fullname\" . }}";
    for n in 0..DEPLOYMENTS {
        let text = deployment.replacen(name, &format!("{name}-{n}"), 1);
        write(&dir.join(format!("templates/deployment-{n}.yaml")), &text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    Ok(fs::write(path, text)?)
}

/// The charts of a corpus, each with the default values.
pub(super) fn public(dir: &Path) -> Outcome<Vec<Subject>> {
    let mut subjects = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| format!("can't read `{}`: {e}", dir.display()))? {
        let folder = entry?.path();
        if !folder.join("chart.tgz").exists() || !folder.join("default.expected.yaml.gz").exists() {
            continue;
        }
        subjects.push(Subject {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path: folder.join("chart.tgz"),
            is_deterministic: !folder.join("default.expected2.yaml.gz").exists(),
        });
    }
    subjects.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(subjects)
}
