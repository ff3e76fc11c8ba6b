//! That the cluster of the tests is what they take it for: what befalls a pod is written in its labels.

/// They need a cluster, as the name of the module says.
mod kubernetes {
    use crate::{Result, command::Cmd};
    use std::io::Write;

    /// kubectl on the cluster of the tests, in a namespace that it makes and removes. None, loudly, where there is none.
    struct Namespace {
        name: String,
        kubectl: String,
        kubeconfig: String,
    }

    impl Namespace {
        fn new(name: &str) -> Option<Self> {
            let (Ok(kubectl), Ok(kubeconfig)) =
                (std::env::var("PITRIX_KUBECTL"), std::env::var("PITRIX_TEST_KUBECONFIG"))
            else {
                writeln!(std::io::stderr(), "SKIPPED {name}: `PITRIX_TEST_KUBECONFIG` names no cluster")
                    .unwrap();
                return None;
            };
            // One of an earlier run may still be on its way out.
            let namespace = Self { name: format!("{name}-{}", std::process::id()), kubectl, kubeconfig };
            namespace.kubectl(&["create", "namespace", &namespace.name]).unwrap();
            // Without it no pod is admitted.
            namespace.wait("serviceaccount/default", "create");
            Some(namespace)
        }

        fn kubectl(&self, arguments: &[&str]) -> Result<String> {
            Cmd::new(&self.kubectl, &["--namespace", &self.name])
                .args(arguments)
                .quiet_env("KUBECONFIG", &self.kubeconfig)
                .answer()
        }

        /// Makes a pod called `name` with `label` and waits until `condition` holds.
        fn pod(&self, name: &str, label: &str, condition: &str) {
            self.kubectl(&["run", name, "--image=any", "--labels", label]).unwrap();
            self.wait(&format!("pod/{name}"), condition);
        }

        fn wait(&self, object: &str, condition: &str) {
            let condition = format!("--for={condition}");
            self.kubectl(&["wait", object, &condition, "--timeout=60s"]).unwrap();
        }

        fn get(&self, object: &str, path: &str) -> String {
            self.kubectl(&["get", object, "-o", &format!("jsonpath={{{path}}}")]).unwrap()
        }
    }

    impl Drop for Namespace {
        fn drop(&mut self) {
            let deleted = self.kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
            drop(deleted.inspect_err(|error| eprintln!("{error}")));
        }
    }

    #[test]
    fn a_pod_is_ready_unless_its_label_says_otherwise() {
        let Some(namespace) = Namespace::new("fate-of-pods") else { return };
        let waiting = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
        namespace.pod("plain", "a=b", "condition=Ready");
        namespace.pod("slow", "pitrix.test/slow=1s", "condition=Ready");
        namespace.pod("never", "pitrix.test/never-ready=true", "jsonpath={.status.phase}=Running");
        let reason = namespace.get("pod/never", r#".status.conditions[?(@.type=="Ready")].reason"#);
        assert_eq!(reason, "ContainersNotReady");
        namespace.pod("crash", "pitrix.test/crash=true", &format!("{waiting}=CrashLoopBackOff"));
        namespace.pod("no-image", "pitrix.test/no-image=true", &format!("{waiting}=ImagePullBackOff"));
    }

    #[test]
    fn a_job_completes_or_fails_with_its_pod() {
        let Some(namespace) = Namespace::new("fate-of-jobs") else { return };
        namespace.kubectl(&["create", "job", "plain", "--image=any"]).unwrap();
        namespace.wait("job/plain", "condition=Complete");
        let overrides = r#"{"spec":{"restartPolicy":"Never"}}"#;
        let arguments = ["--labels=pitrix.test/crash=true", "--overrides", overrides];
        namespace.kubectl(&[&["run", "fails", "--image=any"][..], &arguments].concat()).unwrap();
        namespace.wait("pod/fails", "jsonpath={.status.phase}=Failed");
    }

    #[test]
    fn a_load_balancer_gets_an_address_and_a_claim_a_volume() {
        let Some(namespace) = Namespace::new("fate-of-others") else { return };
        namespace.kubectl(&["create", "service", "loadbalancer", "open", "--tcp=80"]).unwrap();
        namespace.wait("service/open", "jsonpath={.status.loadBalancer.ingress[0].ip}=192.0.2.10");
        let claim = r#"{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data"},
            "spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}"#;
        let file = std::env::temp_dir().join(format!("pitrix-claim-{}.json", std::process::id()));
        std::fs::write(&file, claim).unwrap();
        namespace.kubectl(&["create", "--filename", &file.to_string_lossy()]).unwrap();
        std::fs::remove_file(file).unwrap();
        namespace.wait("persistentvolumeclaim/data", "jsonpath={.status.phase}=Bound");
    }
}
