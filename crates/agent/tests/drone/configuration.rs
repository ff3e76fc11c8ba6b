//! Files, templates, keys and mount points.

use crate::instance::{Instance, Pinned, daemon};
use agent::UnixPilot;
use provider_core::{Command, Configuration, ErrorKind, PackageFile, Pilot, Report, Secret, Template};
use std::{
    fs::{self},
    os::unix::fs::PermissionsExt,
    path::Path,
};

fn configuration(secret: &str) -> Configuration {
    let template = |dest: &str, source: &str, reload: Option<&str>| Template {
        source: source.into(),
        dest: dest.into(),
        mode: 0o640,
        reload: reload.map(str::to_owned),
    };
    Configuration {
        cluster: "cl-1".into(),
        node: "db-1".into(),
        files: [("/bin/hello".into(), PackageFile { content: b"#!/bin/sh\necho hello".into(), mode: 0o755 })]
            .into(),
        templates: vec![
            template("/etc/app.conf", "password {{ env.password }}\n", Some("echo app >>reloads")),
            template(
                "/etc/hosts.conf",
                "{% for id, h in hosts.db %}{{ id }} {{ h.ip }}\n{% endfor %}",
                Some("echo hosts >>reloads"),
            ),
            template("/etc/same.conf", "{{ env.password }}", Some("echo app >>reloads")),
        ],
        metadata: metadata(secret, "10.0.0.1"),
        passphraseless: None,
        health_check: None,
        custom_metadata: None,
    }
}

fn metadata(secret: &str, ip: &str) -> Secret {
    let metadata =
        serde_json::json!({ "env": { "password": secret }, "hosts": { "db": { "db-1": { "ip": ip } } } });
    Secret::new(metadata.to_string())
}

#[tokio::test]
async fn configuration_is_rendered_and_only_what_changed_is_reloaded() {
    let instance = Instance::start().await;
    let early = instance.run("early", &Command::Metadata(metadata("s3cret", "10.0.0.1"))).await;
    assert_eq!(early.error.unwrap().kind(), ErrorKind::Conflict);
    let report = instance.run("configure", &Command::Configure(Box::new(configuration("s3cret")))).await;
    assert_eq!(report, Report::default());
    let read = |path: &str| fs::read_to_string(instance.path("root").join(path)).unwrap();
    assert_eq!(read("etc/app.conf"), "password s3cret\n");
    assert_eq!(read("etc/hosts.conf"), "db-1 10.0.0.1\n");
    let mode = fs::metadata(instance.path("root/etc/app.conf")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(instance.sh("hello", "bin/hello").await, "hello\n");
    assert_eq!(UnixPilot.status(&instance.agent).await.unwrap().node.unwrap().as_str(), "db-1");
    assert!(!instance.path("root/reloads").exists(), "nothing runs yet that could reload");

    let push = async |id: &str, secret: &str, ip: &str| {
        let report = instance.run(id, &Command::Metadata(metadata(secret, ip))).await;
        assert_eq!(report, Report::default());
        fs::read_to_string(instance.path("root/reloads")).unwrap_or_default()
    };
    assert_eq!(push("m1", "s3cret", "10.0.0.1").await, "");
    assert_eq!(push("m2", "s3cret", "10.0.0.2").await, "hosts\n");
    assert_eq!(push("m3", "other", "10.0.0.2").await, "hosts\napp\n", "one command for two files runs once");
    assert_eq!(read("etc/hosts.conf"), "db-1 10.0.0.2\n");

    // A package without some of the files: they go.
    let mut next = configuration("other");
    next.files.clear();
    next.templates.remove(2);
    next.metadata = metadata("other", "10.0.0.2");
    instance.run("next", &Command::Configure(Box::new(next))).await;
    assert!(!instance.path("root/bin/hello").exists() && !instance.path("root/etc/same.conf").exists());
    let reloads = fs::read_to_string(instance.path("root/reloads")).unwrap();
    assert_eq!(reloads, "hosts\napp\n");
}

#[tokio::test]
async fn a_failed_reload_is_reported_and_runs_again_with_the_next_metadata() {
    let instance = Instance::start().await;
    let mut node = configuration("a");
    node.templates.truncate(1);
    node.templates[0].reload = Some("test -e ready || { echo not ready; exit 3; }; echo >reloaded".into());
    instance.run("configure", &Command::Configure(Box::new(node))).await;
    let report = instance.run("m1", &Command::Metadata(metadata("b", ""))).await;
    assert_eq!((report.error.unwrap().kind(), report.output.as_str()), (ErrorKind::Failed, "not ready\n"));
    fs::write(instance.path("root/ready"), "").unwrap();
    let report = instance.run("m2", &Command::Metadata(metadata("b", ""))).await;
    assert_eq!(report.error, None);
    assert!(instance.path("root/reloaded").exists());
}

#[tokio::test]
async fn a_configuration_that_can_not_be_is_refused_whole() {
    let instance = Instance::start().await;
    let check = async |id: &str, change: &dyn Fn(&mut Configuration), error: &str| {
        let mut node = configuration("s3cret");
        change(&mut node);
        let report = instance.run(id, &Command::Configure(Box::new(node))).await;
        assert_eq!(report.error.unwrap().to_string(), error);
    };
    let source = |text: &'static str| move |node: &mut Configuration| node.templates[0].source = text.into();
    check(
        "undefined",
        &source("a\n{{ env.pasword }}"),
        "rendering `/etc/app.conf`, line 2: Field `pasword` is not defined. Available fields: password",
    )
    .await;
    check("node", &|node| node.node = "db-2".into(), "a configuration of node `db-2` came to node `db-1`")
        .await;
    check(
        "path",
        &|node| {
            let file = node.files.pop_first().unwrap().1;
            node.files.insert("/../../escaped".into(), file);
        },
        "path `/../../escaped` on the node has a `..`",
    )
    .await;
    std::os::unix::fs::symlink(instance.place.path(), instance.path("root/etc")).unwrap();
    check("link", &|_| {}, "`/etc/app.conf` leads through `/etc`, a link that is no mount point").await;
    let names: Vec<_> = fs::read_dir(instance.place.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing was written outside of the instance");
}

#[tokio::test]
async fn keys_and_tokens_are_made_once_and_reported() {
    let instance = Instance::start().await;
    let mut node = configuration("s3cret");
    node.passphraseless = Some("ssh-ed25519".into());
    node.custom_metadata = Some(("echo t0ken-$$; echo more".into(), 60));
    let configure = Command::Configure(Box::new(node.clone()));
    let first = instance.run("c1", &configure).await;
    assert_eq!(first.error, None);
    assert!(first.public_key.as_ref().unwrap().starts_with("ssh-ed25519 "));
    let token = first.token.as_ref().unwrap();
    assert!(token.starts_with("t0ken-") && !token.contains("more"));
    let key = fs::metadata(instance.path("root/.ssh/id_ed25519")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert_eq!(instance.run("c2", &configure).await, first);

    node.custom_metadata = Some(("echo no luck; exit 4".into(), 60));
    let report = instance.run("c3", &Command::Configure(Box::new(node.clone()))).await;
    assert_eq!((report.exit_code, report.output.as_str()), (Some(4), "no luck\n"));
    node.passphraseless = Some("ssh-dsa".into());
    let report = instance.run("c4", &Command::Configure(Box::new(node))).await;
    assert_eq!(report.error.unwrap().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn logins_are_given_and_taken_and_those_of_others_stay() {
    let instance = Instance::start().await;
    let key = |name: &str| {
        format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFW8JxAfUiCRpZ4lPjHY4BDSATKTE2mMnjGYyN4Cjvzb {name}")
    };
    let change = async |id: &str, attach: &[&str], detach: &[&str]| {
        let [attach, detach] = [attach, detach].map(|names| names.iter().map(|name| key(name)).collect());
        instance.run(id, &Command::Keys { attach, detach }).await.error
    };
    let file = instance.path("root/.ssh/authorized_keys");
    let logins = || {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        fs::read_to_string(&file).unwrap().replace(&key(""), "")
    };
    assert_eq!(change("nobody", &[], &["a"]).await, None);
    assert!(!file.exists());
    // As whoever was there first left it.
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("# mine\nfrom=\"10.*\" {}", key("b"))).unwrap();
    assert_eq!(change("k1", &["a", "b"], &[]).await, None);
    assert_eq!(logins(), "# mine\nfrom=\"10.*\" b\na\nb\n");
    assert_eq!(change("k2", &["b", "c", "c"], &["a", "x"]).await, None);
    assert_eq!(logins(), "# mine\nfrom=\"10.*\" b\nb\nc\n");
    let refused = change("k3", &["d", "e\nssh-rsa x"], &["c"]).await.unwrap();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(logins(), "# mine\nfrom=\"10.*\" b\nb\nc\n");
}

#[tokio::test]
async fn secrets_are_nowhere_but_in_the_files_of_the_application() {
    let instance = Instance::start().await;
    let secret = "Xq9-secret-value";
    instance.run("c", &Command::Configure(Box::new(configuration(secret)))).await;
    instance.run("m", &Command::Metadata(metadata(&format!("{secret}2"), "10.0.0.9"))).await;
    let mut broken = configuration(secret);
    broken.templates[0].source = "{{ env.password | int }}".into();
    let refused = instance.run("r", &Command::Configure(Box::new(broken))).await;
    assert!(!serde_json::to_string(&refused).unwrap().contains(secret));
    let mut seen = 0;
    let mut todo = vec![instance.path("log"), instance.path("drone")];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            seen += 1;
            let text = fs::read(&path).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains(secret), "{}", path.display());
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
        }
    }
    assert!(seen >= 4, "drone.log, a reload log, journal and state were looked at");
}

#[tokio::test]
async fn a_directory_is_mounted_and_what_uses_it_is_ended_before_it_goes() {
    let instance = Instance::start().await;
    let volume = instance.place.path().join("volume");
    fs::create_dir(&volume).unwrap();
    let mount = |device: &Path, mount_point: &str| Command::Mount {
        device: device.to_str().unwrap().into(),
        mount_point: mount_point.into(),
        filesystem: "ext4".into(),
        mount_options: String::new(),
    };
    let unmount = || Command::Unmount { mount_point: "/var/data/".into() };
    for id in ["m1", "m2"] {
        assert_eq!(instance.run(id, &mount(&volume, "/var/data")).await.error, None);
    }
    let check = async |id: &str, command: Command, kind| {
        assert_eq!(instance.run(id, &command).await.error.map(|error| error.kind()), Some(kind), "{id}");
    };
    check("other", mount(instance.place.path(), "/var/data"), ErrorKind::Conflict).await;
    check("missing", mount(&volume.join("x"), "/x"), ErrorKind::NotFound).await;
    check("file", mount(&instance.path("instance.json"), "/x"), ErrorKind::Invalid).await;
    check("root", mount(&volume, "/"), ErrorKind::Invalid).await;

    let mut node = configuration("s");
    node.templates[0].dest = "/var/data/conf/app.conf".into();
    instance.run("configure", &Command::Configure(Box::new(node))).await;
    assert_eq!(fs::read_to_string(volume.join("conf/app.conf")).unwrap(), "password s\n");

    instance.sh("outside", &daemon("outside")).await;
    instance.sh("inside", &format!("cd var/data; {}", daemon("inside"))).await;
    let [inside, outside] =
        [volume.join("inside"), instance.path("root/outside")].map(|file| Pinned::new(&file));
    for id in ["u1", "u2"] {
        assert_eq!(instance.run(id, &unmount()).await.error, None);
    }
    assert!(!inside.lives() && outside.lives());
    assert!(!instance.path("root/var/data").exists() && volume.join("conf/app.conf").exists());
}
