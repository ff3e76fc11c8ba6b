//! What a cluster document may say.

use super::*;
use provider_core::ServiceName;

#[test]
fn a_node_block_keeps_its_rules() {
    let check = |path: &str, value: Value, want: &str| {
        let result = Package::load(&node_with(path, value));
        let got = result.map_or_else(|e| e.to_string(), |_| String::new());
        let start = "the package does not fit its own defaults: cluster.json.tmpl:";
        let got = got.strip_prefix(start).map_or(got.as_str(), |rest| rest.split_once(": ").unwrap().1);
        let got = got.replace(&format!("nodes[0].{path}"), "IT").replace("nodes[0]", "NODE");
        assert_eq!(got, want, "{path}");
    };
    let s = |cmd: &str, timeout: i64| json!({"start": {"cmd": cmd, "timeout": timeout}});
    check("count", json!(200), "");
    check("count", json!(201), "`IT` is 201, expected 0 to 200");
    check("count", json!(0), "`nodes` have a `count` of 0 each, but a cluster needs a node");
    check("count", json!(-1), "invalid value: integer `-1`, expected u32 in `IT`");
    check("count", json!("2"), "invalid type: string \"2\", expected u32 in `IT`");
    check("replica", json!(21), "`IT` is 21, expected 0 to 20");
    check("cpu", json!(0), "`IT` is 0; a node needs it, unless `instance_type` says its size");
    check("instance_type", json!("m5.large"), "");
    check(
        "hostname",
        json!("x"),
        "unknown field `hostname`, expected one of `role`, `container`, `count`, `replica`, `cpu`, `memory`, `gpu`, `instance_type`, `volume`, `services`, `env`, `vertical_scaling_policy`, `server_id_upper_bound`, `loadbalancer`, `advanced_actions`, `passphraseless`, `user_access`, `agent_installed`, `custom_metadata`, `health_check`, `monitor` in `IT`",
    );
    check("server_id_upper_bound", json!(0), "`IT` is 0, expected at least 1");
    check(
        "container.type",
        json!("vm"),
        "unknown variant `vm`, expected one of `docker`, `kvm`, `lxc`, `bm`, `process` in `IT`",
    );
    check("container.image", json!(""), "`IT` is empty, expected an image");
    check("container.image", json!("a b"), "`IT` is no image: it has more than 2048 characters, or blanks");
    check(
        "vertical_scaling_policy",
        json!("random"),
        "unknown variant `random`, expected `parallel` or `sequential` in `IT`",
    );
    check("role", json!("hbase-master"), "");
    check("role", json!(""), "");
    check("role", json!("node"), "");
    check(
        "role",
        json!("Db"),
        "`IT` is `Db`, expected lower case letters, digits, `_` and `-`, a letter first, at most 50",
    );
    check(
        "role",
        json!("db-replica"),
        "`IT` is `db-replica`; a role's replicas are its `replica`, no role of their own",
    );
    check("passphraseless", json!("ssh-rsa"), "");
    check("passphraseless", json!("ssh-ed25519"), "");
    check(
        "passphraseless",
        json!("ssh-dsa"),
        "`IT` is `ssh-dsa`, which OpenSSH no longer accepts; expected `ssh-ed25519` or `ssh-rsa`",
    );
    check("services", s("run", 86400), "");
    check("services", s(" ", 1), "`IT.start.cmd` is empty, expected a command");
    check("services", s(&"x".repeat(1001), 1), "`IT.start.cmd` is longer than 1000 characters");
    check("services", s("run", 86401), "`IT.start.timeout` is 86401, expected 1 to 86400");
    check("services", s("run", 0), "`IT.start.timeout` is 0, expected 1 to 86400");
    check("services", json!({"backup": {}}), "");
    check("services", json!({"init": {"cmd": "a", "post_start_service": true}}), "");
    check(
        "services",
        json!({"stop": {"cmd": "a", "post_start_service": true}}),
        "`IT.stop.post_start_service` has no meaning for the service `stop`",
    );
    check(
        "services",
        json!({"start": {"cmd": "a", "pre_check": "b"}}),
        "`IT.start.pre_check` has no meaning for the service `start`",
    );
    check(
        "services",
        json!({"start": {"cmd": "a", "type": "custom"}}),
        "`IT.start.type` has no meaning for the service `start`",
    );
    check(
        "services",
        json!({"flush": {"cmd": "a", "type": "other"}}),
        "unknown variant `other`, expected `custom` in `IT.flush.type`",
    );
    check("services", json!({"flush": {"cmd": "a", "type": "custom", "service_params": {"x": 1}}}), "");
    check(
        "services",
        json!({"Flush it": {"cmd": "a"}}),
        "`IT.Flush it` is no name of a service: lower case letters, digits, `_` and `-`, at most 50",
    );
    check(
        "services",
        json!({"start": "run"}),
        "invalid type: string \"run\", expected an object in `IT.start`",
    );
    check("agent_installed", json!(false), "");
    check("custom_metadata", json!({"cmd": "token.sh", "timeout": 60}), "");
    check("custom_metadata", json!({"cmd": ""}), "`IT.cmd` is empty, expected a command");
    check("loadbalancer", json!([{"listener": "lbl-1", "port": 80, "policy": "p"}]), "");
    check(
        "loadbalancer",
        json!([{"listener": "lbl-1", "port": 0}]),
        "`IT[0]` needs a `listener` and a `port` from 1 to 65535",
    );
    check(
        "health_check",
        json!({"check_cmd": "ok.sh", "healthy_threshold": 0}),
        "`IT.healthy_threshold` is 0, expected 1 to 100",
    );
    check(
        "monitor",
        json!({"cmd": "m.sh", "items": {"a": {"unit": "s", "kind": 1}}}),
        "unknown field `kind`, expected one of `unit`, `value_type`, `statistics_type`, `scale_factor_when_display`, `enums` in `IT.items.a.kind`",
    );
    check("volume", json!({"size": 10, "instance_size": 0}), "`IT.instance_size` is 0, expected 1 to 65536");
    check(
        "volume",
        json!({"size": 10, "mount_point": "data"}),
        "`IT.mount_point` is \"data\"; expected an absolute path of letters, digits and `_.-`, without `..` and a last `/`, or a drive `d:`",
    );
    check(
        "volume",
        json!({"size": 10, "mount_point": 7}),
        "expected a path or a list of paths in `IT.mount_point`",
    );
    check(
        "volume",
        json!({"size": 10, "filesystem": "zfs"}),
        "unknown variant `zfs`, expected one of `ext4`, `xfs`, `ntfs` in `IT.filesystem`",
    );
    check(
        "volume",
        json!({"size": 10, "mount_options": "defaults;reboot"}),
        "`IT.mount_options` can't be mount options; expected at most 100 letters, digits and `_=,.:/%+-`",
    );
    check(
        "volume",
        json!({"size": 10, "mount_point": "d:"}),
        "`IT.mount_point` is the drive `d:`, which needs the `filesystem` `ntfs`",
    );
    check("volume", json!({"size": 10, "mount_point": "d:", "filesystem": "ntfs"}), "");
    check(
        "volume",
        json!({"size": 10, "mount_point": ["/a", "/a"]}),
        "`IT.mount_point` has `/a` in `/a`, expected paths beside each other",
    );
    check(
        "volume",
        json!({"size": 10, "mount_point": ["/a/b", "/a"]}),
        "`IT.mount_point` has `/a/b` in `/a`, expected paths beside each other",
    );
    check(
        "volume",
        json!({"size": 10, "mount_point": ["/a", "/ab", "/c"]}),
        "`IT.size` is 10 for 3 mount points; it is the size of all, expected a multiple of 3",
    );
    check(
        "volume",
        json!({"size": 0, "mount_point": ["/a", "/b"]}),
        "`IT.size` is 0 for 2 mount points; it is the size of all, expected a multiple of 2",
    );
    for path in ["/", "/a/../b", "/a/", "/a b", "/$(reboot)", "c:", "//a"] {
        assert!(
            Package::load(&node_with("volume", json!({"size": 1, "mount_point": path}))).is_err(),
            "{path}"
        );
    }
}

#[test]
fn what_needs_the_agent_is_refused_without_one() {
    let package = document(|document| {
        let node = &mut document["nodes"][0];
        node["agent_installed"] = false.into();
        node["services"] = json!({"start": {"cmd": "run"}});
        node["passphraseless"] = "ssh-rsa".into();
    });
    insta::assert_snapshot!(error(Package::load(&package)), @"
    the package does not fit its own defaults: 2 things are wrong
      cluster.json.tmpl:15: `nodes[0].services` needs the agent, which `agent_installed` says is not there
      cluster.json.tmpl:13: `nodes[0].passphraseless` needs the agent, which `agent_installed` says is not there
    ");
}

#[test]
fn volumes_become_one_disk_for_each_mount_point() {
    let check = |volume: Value, want: &str| {
        let parsed = parse_with(&node_with("volume", volume), &json!({}), None).unwrap();
        let disks = parsed.spec.roles[&"db".into()].disks.iter();
        let shown =
            disks.map(|d| format!("{} {} {} {}", d.mount_point, d.size_gib, d.filesystem, d.mount_options));
        assert_eq!(shown.collect::<Vec<_>>().join("; "), want);
    };
    check(json!({}), "");
    check(json!({"size": 0, "mount_point": "/x"}), "");
    check(json!({"size": 9}), "/data 9 ext4 defaults,noatime");
    check(json!({"size": 9, "mount_point": ""}), "/data 9 ext4 defaults,noatime");
    check(json!({"size": 9, "filesystem": "xfs"}), "/data 9 xfs rw,noatime,inode64,allocsize=16m");
    check(json!({"size": 9, "mount_point": "d:", "filesystem": "ntfs"}), "d: 9 ntfs ");
    check(json!({"size": 9, "mount_options": "ro"}), "/data 9 ext4 ro");
    check(
        json!({"size": 20, "mount_point": ["/b", "/a"]}),
        "/b 10 ext4 defaults,noatime; /a 10 ext4 defaults,noatime",
    );
}

#[test]
fn roles_are_there_once_and_never_shadow_the_unnamed_one() {
    let check = |roles: [&str; 2], want: &str| {
        let package = document(|document| {
            let mut second = document["nodes"][0].clone();
            second["role"] = roles[1].into();
            document["nodes"][0]["role"] = roles[0].into();
            document["nodes"].as_array_mut().unwrap().push(second);
        });
        let got = Package::load(&package).map_or_else(|e| e.to_string(), |_| String::new());
        assert!(if want.is_empty() { got.is_empty() } else { got.ends_with(want) }, "{got}");
    };
    check(["db", "web"], "");
    check(["db", "db"], "`nodes[1].role` is `db`, which is there twice");
    check(["", "node"], "`nodes[1].role` is `node`, which the nodes of the role without a name are called");
}

#[test]
fn too_many_blocks_are_refused() {
    let package = document(|document| {
        let node = document["nodes"][0].clone();
        let blocks = (0..101).map(|i| {
            let mut node = node.clone();
            node["role"] = format!("r{i}").into();
            node
        });
        document["nodes"] = blocks.collect();
    });
    assert!(error(Package::load(&package)).ends_with("`nodes` has more than 100 entries"));
}

#[test]
fn fields_that_the_original_refused_take_effect() {
    let package = document(|document| {
        document["links"] = json!({"zk": "zk-1"});
        document["env"] = json!({"port": 2181});
        document["endpoints"] = json!({"client": {
            "port": "env.port", "protocol": "tcp", "connect": "cli -h {host} -p {port}"}});
        document["metadata_root_access"] = true.into();
        document["global_uuid"] = "u-1".into();
        document["advanced_actions"] = json!(["add_nodes", "associate_eip"]);
        document["upgrade_policy"] = json!(["1.0.0"]);
        document["rollback"] = "needs_restore".into();
        document["backup_policy"] = "device".into();
        document["incremental_backup_supported"] = true.into();
        document["display_tabs"] =
            json!({"t": {"cmd": "t.sh", "roles_to_execute_on": ["db"], "timeout": 10}});
        document["health_check"] = json!({"check_cmd": "ok.sh"});
        let node = &mut document["nodes"][0];
        node["monitor"] =
            json!({"cmd": "m.sh", "items": {"a": {"unit": "s", "enums": ["x"]}}, "groups": {"g": ["a"]}});
        node["passphraseless"] = "ssh-ed25519".into();
        node["custom_metadata"] = json!({"cmd": "token.sh"});
        node["user_access"] = true.into();
        node["services"] =
            json!({"flush": {"cmd": "flush.sh", "type": "custom"}, "drain": {"cmd": "drain.sh"}});
    });
    let parsed = parse_with(&package, &json!({}), None).unwrap();
    insta::assert_snapshot!(parsed.warnings.join("\n"), @"
    `monitor` of role `db` is kept and has no effect yet
    ");
    let role = &parsed.spec.roles[&"db".into()];
    assert_eq!(role.services[&ServiceName::Custom("flush".into())].cmd, "flush.sh");
    assert_eq!(role.services[&ServiceName::Custom("drain".into())].timeout_s, 600);
    assert_eq!(role.custom_metadata.as_ref().unwrap().cmd, "token.sh");
    assert!(role.user_access && role.passphraseless.as_deref() == Some("ssh-ed25519"));
    let spec = serde_json::to_value(&parsed.spec).unwrap();
    assert_eq!(serde_json::from_value::<ClusterSpec>(spec.clone()).unwrap(), parsed.spec);
    let top = [
        "links",
        "endpoints",
        "global_uuid",
        "advanced_actions",
        "upgrade_policy",
        "backup_policy",
        "display_tabs",
        "rollback",
    ];
    let top: BTreeMap<_, _> = top.iter().map(|key| (key, &spec[key])).collect();
    insta::assert_snapshot!(serde_json::to_string_pretty(&top).unwrap(), @r#"
    {
      "advanced_actions": [
        "add_nodes",
        "associate_eip"
      ],
      "backup_policy": "device",
      "display_tabs": {
        "t": {
          "cmd": "t.sh",
          "description": "",
          "roles_to_execute_on": [
            "db"
          ],
          "timeout": 10
        }
      },
      "endpoints": {
        "client": {
          "connect": "cli -h {host} -p {port}",
          "port": 2181,
          "protocol": "tcp",
          "role": "db"
        }
      },
      "global_uuid": "u-1",
      "links": {
        "zk": "zk-1"
      },
      "rollback": "needs_restore",
      "upgrade_policy": [
        "1.0.0"
      ]
    }
    "#);
}

#[test]
fn endpoint_ports_may_be_parameters() {
    let check = |endpoint: Value, want: &str| {
        let package = document(|document| {
            let mut web = document["nodes"][0].clone();
            web["role"] = "web".into();
            web["env"] = json!({"port": 80, "a.b": 81, "same": 7, "text": "x", "secret": "{{.env.secret}}"});
            document["nodes"][0]["env"] = json!({"port": 5432, "same": 7, "zero": 0});
            document["nodes"].as_array_mut().unwrap().push(web);
            document["endpoints"] = json!({ "e": endpoint });
        });
        let got = match parse_with(&package, &json!({"env": {"secret": "s"}}), None) {
            Ok(parsed) => {
                let endpoint = &parsed.spec.endpoints["e"];
                format!("{} {}", endpoint.role.as_ref().unwrap(), endpoint.port)
            }
            Err(e) => e.to_string().split_once("`endpoints.e.").unwrap().1.to_owned(),
        };
        assert_eq!(got, want);
    };
    let port = |port: Value| json!({"port": port, "protocol": "tcp"});
    let of = |port: &str, role: &str| json!({"port": port, "protocol": "tcp", "role": role});
    check(port(json!(6379)), "db 6379");
    check(port(json!("db.env.port")), "db 5432");
    check(port(json!("web.env.a.b")), "web 81");
    check(port(json!("env.same")), "db 7");
    check(port(json!("env.a.b")), "web 81");
    check(of("env.port", "web"), "web 80");
    check(of("db.env.port", "web"), "web 5432");
    check(
        port(json!("env.port")),
        "port` is `env.port`, but roles have different values of it; say `ROLE.env.port`",
    );
    check(port(json!("env.none")), "port` is `env.none`, but no role has a parameter `none`");
    check(port(json!("web.env.none")), "port` is `web.env.none`, but role `web` has no parameter `none`");
    check(port(json!("web.env.text")), "port` refers to `text`, which is \"x\" and no port");
    check(port(json!("env.zero")), "port` refers to `zero`, which is 0 and no port");
    check(port(json!("web.env.secret")), "port` refers to `secret`, which is a password");
    check(port(json!("6379")), "port` is `6379`, expected a port, `env.PARAM` or `ROLE.env.PARAM`");
    check(port(json!(0)), "port` is 0, expected 1 to 65535");
    check(port(json!(65536)), "port`");
    check(of("env.port", "none"), "role` is `none`, which is not there");
    check(
        json!({"port": 1, "protocol": "tcp", "connect": "x {ip}"}),
        "connect` has other braces than `{host}` and `{port}`",
    );
}

#[test]
fn a_node_s_parameters_replace_those_of_the_cluster() {
    let check = |own: Value, want: Value| {
        let package = document(|document| {
            document["env"] = json!({"a": 1, "secret": "{{.env.secret}}"});
            document["nodes"][0]["env"] = own;
        });
        let parsed = parse_with(&package, &json!({"env": {"secret": "s"}}), None).unwrap();
        assert_eq!(env_of(&parsed), want);
    };
    check(json!({}), json!({"a": {"plain": 1}, "secret": {"secret": "cluster/cl-1/env.secret"}}));
    check(json!({"b": 2}), json!({"b": {"plain": 2}}));
}
