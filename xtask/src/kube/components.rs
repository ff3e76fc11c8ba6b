//! The processes of a cluster, and what each is started with.

use super::programs;
use std::path::Path;

/// One process of a cluster.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: &'static str,
    /// Its file under `bin`.
    pub(super) program: &'static str,
    /// The Go module that it comes from.
    pub(super) module: &'static str,
    arguments: fn(&Path, &Ports) -> Vec<String>,
}

/// The ports that arguments name, all on the loopback address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) etcd: u16,
    pub(super) etcd_peer: u16,
    pub(super) api: u16,
}

pub(super) const API_SERVER: &str = "kube-apiserver";

pub(super) const KWOK: &str = "kwok";

pub(super) const REGISTRY: Component =
    Component { name: "registry", program: "registry", module: programs::REGISTRY, arguments: registry };

/// The processes in the order in which they start. The first three need nobody; the others want the API.
pub(super) const ALL: [Component; 6] = [
    Component { name: "etcd", program: "etcd", module: programs::ETCD, arguments: etcd },
    Component { name: API_SERVER, program: API_SERVER, module: programs::KUBERNETES, arguments: api_server },
    REGISTRY,
    Component {
        name: "kube-controller-manager",
        program: "kube-controller-manager",
        module: programs::KUBERNETES,
        arguments: controller_manager,
    },
    Component {
        name: "kube-scheduler",
        program: "kube-scheduler",
        module: programs::KUBERNETES,
        arguments: scheduler,
    },
    Component { name: KWOK, program: KWOK, module: programs::KWOK, arguments: kwok },
];

impl Component {
    /// Whether it runs without an API server.
    pub(super) fn starts_first(&self) -> bool {
        matches!(self.name, "etcd" | API_SERVER | "registry")
    }

    /// The arguments in the run's directory `dir`. One of them at least names it: that is how a process is found again.
    pub(super) fn arguments(&self, dir: &Path, ports: &Ports) -> Vec<String> {
        (self.arguments)(dir, ports)
    }
}

/// `--NAME=FILE`, a file of the run.
fn file(name: &str, dir: &Path, file: &str) -> String {
    format!("--{name}={}", dir.join(file).display())
}

fn etcd(dir: &Path, ports: &Ports) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    vec![
        file("data-dir", dir, "etcd"),
        // Nobody wants the data of a test back after a power cut.
        "--unsafe-no-fsync".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ]
}

fn api_server(dir: &Path, ports: &Ports) -> Vec<String> {
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        format!("--secure-port={}", ports.api),
        "--bind-address=127.0.0.1".to_owned(),
        file("cert-dir", dir, "certificates"),
        file("service-account-key-file", dir, "service-account.key"),
        file("service-account-signing-key-file", dir, "service-account.key"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        file("token-auth-file", dir, "tokens.csv"),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--allow-privileged=true".to_owned(),
        file("audit-policy-file", dir, "audit-policy.yaml"),
        file("audit-log-path", dir, "audit.log"),
        // Whoever counts requests reads on in the one file.
        "--audit-log-maxsize=0".to_owned(),
    ]
}

fn registry(dir: &Path, _: &Ports) -> Vec<String> {
    vec!["serve".to_owned(), dir.join("registry.yaml").display().to_string()]
}

/// A controller that is held back by its own rate limit would be what a test waits for.
const UNHURRIED: [&str; 2] = ["--kube-api-qps=1000", "--kube-api-burst=2000"];

fn controller_manager(dir: &Path, _: &Ports) -> Vec<String> {
    let mut arguments = vec![
        file("kubeconfig", dir, "kubeconfig"),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        file("service-account-private-key-file", dir, "service-account.key"),
        "--use-service-account-credentials=true".to_owned(),
        file("root-ca-file", dir, "certificates/apiserver.crt"),
    ];
    arguments.extend(UNHURRIED.map(str::to_owned));
    arguments
}

fn scheduler(dir: &Path, _: &Ports) -> Vec<String> {
    let mut arguments = vec![
        file("kubeconfig", dir, "kubeconfig"),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ];
    arguments.extend(UNHURRIED.map(str::to_owned));
    arguments
}

fn kwok(dir: &Path, _: &Ports) -> Vec<String> {
    vec![
        file("kubeconfig", dir, "kubeconfig"),
        file("config", dir, "stages.yaml"),
        "--manage-all-nodes=true".to_owned(),
        // Without a lease of its own the node is soon taken for dead.
        "--node-lease-duration-seconds=40".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { etcd: 1, etcd_peer: 2, api: 3 };

    #[test]
    fn a_process_can_be_found_by_the_directory_of_its_run() {
        for component in ALL {
            let arguments = component.arguments(Path::new("/r/7"), &PORTS);
            assert!(arguments.iter().any(|argument| argument.contains("/r/7/")), "{}", component.name);
        }
    }

    #[test]
    fn servers_listen_on_the_loopback_address_only() {
        for component in ALL {
            for argument in component.arguments(Path::new("/r"), &PORTS) {
                let is_open = argument.contains("0.0.0.0") || argument.contains("://:");
                assert!(!is_open, "{}: {argument}", component.name);
            }
        }
    }
}
