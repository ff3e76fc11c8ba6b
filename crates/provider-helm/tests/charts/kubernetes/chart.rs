//! Small charts to install.

use provider_core::Archive;

/// What a chart has beside a Deployment and a Secret with a made-up password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A Job and then a ConfigMap before and a ConfigMap after each install, upgrade and rollback, and a ConfigMap before
    /// and after the removal.
    Hooks,
    /// A definition in `crds/` and an object of it.
    Custom,
    /// A ConfigMap that stays when its release goes.
    Kept,
    /// Two ConfigMaps of one name, one of them in the namespace `default`.
    Twins,
    /// A StatefulSet with a claim.
    Set,
    /// A DaemonSet, which can't be scaled to zero.
    Daemon,
    /// Objects of kinds that nobody serves, and a definition of such a version.
    Missing,
    /// A Job before that never succeeds, and goes when it has failed.
    BadHook,
    /// A Job after that goes when it has succeeded.
    Fleeting,
    /// A Service that the API refuses.
    Refused,
    /// A Job that tests the release; it fails with the value `broken`.
    Tests,
    /// A ConfigMap that says what it looked up of the chart's own Secret.
    Looking,
}

/// A chart called `web` with these pieces. `version` also names a ConfigMap, so that an upgrade has something to prune.
pub(crate) fn chart(version: &str, pieces: &[Piece]) -> Archive {
    let mut files = vec![
        ("Chart.yaml", format!("apiVersion: v2\nname: web\nversion: {version}\n")),
        ("values.yaml", format!("replicas: 1\npodLabels: {{}}\ncolor: red\nedition: {version:?}\n")),
        ("templates/NOTES.txt", "{{ .Release.Name }} is {{ .Values.color }}.\n".to_owned()),
        ("templates/web.yaml", WEB.to_owned()),
    ];
    for piece in pieces {
        files.extend(match piece {
            Piece::Hooks => vec![("templates/hooks.yaml", HOOKS.to_owned())],
            Piece::Custom => {
                vec![
                    ("crds/widget.yaml", DEFINITION.to_owned()),
                    ("templates/widget.yaml", WIDGET.to_owned()),
                ]
            }
            Piece::Kept => vec![("templates/kept.yaml", KEPT.to_owned())],
            Piece::Twins => vec![("templates/twins.yaml", TWINS.to_owned())],
            Piece::Set => vec![("templates/set.yaml", SET.to_owned())],
            Piece::Daemon => vec![("templates/daemon.yaml", DAEMON.to_owned())],
            Piece::Missing => vec![
                ("crds/old.yaml", DEFINITION.replace("/v1\n", "/v1beta1\n")),
                ("templates/missing.yaml", MISSING.to_owned()),
            ],
            Piece::BadHook => vec![("templates/bad.yaml", BAD_HOOK.to_owned())],
            Piece::Fleeting => vec![("templates/fleeting.yaml", FLEETING.to_owned())],
            Piece::Refused => vec![("templates/refused.yaml", REFUSED.to_owned())],
            Piece::Tests => vec![("templates/tests.yaml", TESTS.to_owned())],
            Piece::Looking => vec![("templates/looking.yaml", LOOKING.to_owned())],
        });
    }
    let files = files.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes()));
    Archive::from_files(files).expect("it is small")
}

const WEB: &str = r#"
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}
data:
  password: {{ randAlphaNum 16 | b64enc }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-{{ .Chart.Version | replace "." "-" }}
data:
  color: {{ .Values.color }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    app: {{ .Release.Name }}
  ports:
  - port: 80
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels:
      app: {{ .Release.Name }}
  template:
    metadata:
      labels:
        app: {{ .Release.Name }}
        {{- with .Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      containers:
      - name: main
        image: "registry.example/web:{{ .Chart.Version }}"
        env:
        - name: COLOR
          value: {{ .Values.color }}
        resources:
          requests: {cpu: 10m, memory: 16Mi}
"#;

const HOOKS: &str = r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-prepare
  annotations:
    helm.sh/hook: pre-install,pre-upgrade,pre-rollback
    helm.sh/hook-weight: "-1"
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: registry.example/prepare
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-second
  annotations:
    helm.sh/hook: pre-install,pre-upgrade,pre-rollback
    helm.sh/hook-weight: "5"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
data: {}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-announce
  annotations:
    helm.sh/hook: post-install,post-upgrade,post-rollback
    helm.sh/hook-delete-policy: hook-succeeded
data: {}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-farewell
  annotations:
    helm.sh/hook: pre-delete,post-delete
    helm.sh/hook-delete-policy: hook-succeeded
data: {}
"#;

const BAD_HOOK: &str = r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-bad
  annotations:
    helm.sh/hook: pre-install
spec:
  activeDeadlineSeconds: 1
  ttlSecondsAfterFinished: 0
  template:
    metadata:
      labels:
        pitrix.test/never-ready: "true"
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: registry.example/bad
"#;

const FLEETING: &str = r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-fleeting
  annotations:
    helm.sh/hook: post-install
spec:
  ttlSecondsAfterFinished: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: registry.example/fleeting
"#;

const LOOKING: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-looking
data:
  type: {{ (lookup "v1" "Secret" .Release.Namespace .Release.Name).type | default "none" }}
"#;

const REFUSED: &str = r"
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-refused
spec:
  ports:
  - port: 0
";

const TESTS: &str = r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-test
  annotations:
    helm.sh/hook: test
spec:
  backoffLimit: 0
  template:
    metadata:
      labels:
        pitrix.test/crash: {{ .Values.broken | default false | quote }}
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: registry.example/test
"#;

const DEFINITION: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.provider-helm.example
spec:
  group: provider-helm.example
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        x-kubernetes-preserve-unknown-fields: true
";

const WIDGET: &str = r"
apiVersion: provider-helm.example/v1
kind: Widget
metadata:
  name: {{ .Release.Name }}
spec:
  size: 3
";

const KEPT: &str = r"
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-kept
  annotations:
    helm.sh/resource-policy: keep
data: {}
";

const TWINS: &str = r"
{{- range list .Release.Namespace `default` }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $.Release.Namespace }}-twin
  namespace: {{ . }}
{{- end }}
";

const SET: &str = r"
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .Release.Name }}-set
spec:
  replicas: 2
  serviceName: {{ .Release.Name }}
  selector:
    matchLabels: {app: {{ .Release.Name }}-set}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}-set}
    spec:
      containers:
      - name: main
        image: registry.example/set
";

const DAEMON: &str = r"
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ .Release.Name }}-agent
spec:
  selector:
    matchLabels: {app: {{ .Release.Name }}-agent}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}-agent}
    spec:
      containers:
      - name: main
        image: registry.example/agent
";

const MISSING: &str = r"
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata:
  name: {{ .Release.Name }}-one
---
apiVersion: nobody.example/v1
kind: Gadget
metadata:
  name: {{ .Release.Name }}-two
---
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata:
  name: {{ .Release.Name }}-three
";
