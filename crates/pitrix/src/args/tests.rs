use super::*;
use clap::CommandFactory;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_parses() {
    for line in [
        "pitrix provider list",
        "pitrix runtime create qc --provider qingcloud --zone pek3 --label team=web --credential-file -",
        "pitrix runtime create qc --provider q --credential-env id=QC_ID --credential-command key=pass",
        "pitrix runtime list",
        "pitrix runtime describe local -o yaml",
        "pitrix runtime validate local",
        "pitrix runtime zones local",
        "pitrix runtime subnets local",
        "pitrix runtime update qc --description x --ask-credential",
        "pitrix runtime delete qc",
        "pitrix app push examples/redis",
        "pitrix app list -o wide",
        "pitrix app describe redis@1.0.0",
        "pitrix app config redis@1.0.0",
        "pitrix app delete redis@1.0.0",
        "pitrix cluster create c --app redis@1 --volumes-of b",
        "pitrix cluster create c --app redis@1 --runtime r --set a.b=1 --set c= -f conf.json --detach",
        "pitrix cluster list --runtime local --deleted",
        "pitrix cluster describe c",
        "pitrix cluster start c -d",
        "pitrix cluster stop c --detach -o name",
        "pitrix cluster delete c --yes --keep-volumes --force",
        "pitrix cluster delete c --purge",
        "pitrix cluster restart c",
        "pitrix cluster scale c replica=3 primary=1",
        "pitrix cluster scale c --set cluster.count=3 -d",
        "pitrix cluster delete-nodes c replica-1 replica-2 -y",
        "pitrix cluster resize c replica --cpu 2 --memory 512 --disk 2",
        "pitrix cluster update-env c --set env.a=1 -f -",
        "pitrix cluster update-env c",
        "pitrix cluster upgrade c --to 1.1.0 --no-backup",
        "pitrix cluster upgrade c --to redis@1.1.0",
        "pitrix cluster upgrade c --to 1.1.0 --rollback-on-failure --on-failure at-least=2",
        "pitrix plan upgrade c --to 1.1.0 --rollback-on-failure",
        "pitrix cluster restart c --on-failure go-on -d",
        "pitrix cluster rollback c",
        "pitrix cluster recover c",
        "pitrix cluster create c --app a@1 --lookup",
        "pitrix plan upgrade c --to 2 --lookup=false --set a=b",
        "pitrix cluster refresh c -o wide",
        "pitrix cluster run c backup --param name=x --param y=",
        "pitrix cluster attach-key c --key-file a.pub --key-file -",
        "pitrix cluster detach-key c --key-file a.pub",
        "pitrix cluster logs c --node a-1 -n 5",
        "pitrix job list --cluster c",
        "pitrix job describe j-1",
        "pitrix job watch j-1 --color never -q",
        "pitrix job cancel j-1",
        "pitrix job retry j-1 --detach",
        "pitrix job prune --older-than 30 --from-now-on",
        "pitrix job prune --keep-all",
        "pitrix plan create c --app redis@1.0.0",
        "pitrix plan start c",
        "pitrix plan stop c",
        "pitrix plan delete c --keep-volumes",
        "pitrix plan scale c replica=3",
        "pitrix plan delete-nodes c replica-1",
        "pitrix plan resize c replica --disk 2",
        "pitrix plan update-env c --set env.a=1",
        "pitrix plan upgrade c --to 1.1.0",
        "pitrix plan rollback c",
        "pitrix plan recover c",
        "pitrix plan run c backup",
        "pitrix plan attach-key c --key-file a.pub",
        "pitrix events --cluster c --follow",
        "pitrix events --job j-1 -o json",
        "pitrix completion zsh",
        "pitrix man here",
        "pitrix orphans --runtime local",
        "pitrix --state x doctor",
        "pitrix __executor --state x",
        "pitrix __drone x",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn mistakes_are_told() {
    fn check(line: &str, says: &str) {
        let error = parse(line).unwrap_err();
        assert!(error.to_string().contains(says), "{line}: {error}");
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    check("pitrix clutser list", "a similar subcommand exists: 'cluster'");
    check("pitrix cluster create c", "--app <APP>");
    check("pitrix cluster create c --app redis", "expected NAME@VERSION");
    check("pitrix cluster create c --app a@1 --set novalue", "expected a key, `=` and a value");
    check("pitrix runtime create A --provider x", "lower-case letters");
    check("pitrix job watch ../x", "lower-case letters");
    check("pitrix cluster scale c", "<ROLE=N>");
    check("pitrix cluster scale c replica", "expected a key, `=` and a value");
    check("pitrix cluster resize c replica", "<--cpu <CORES>|--memory <MIB>|--disk <GIB>>");
    check("pitrix cluster resize c replica --cpu 0", "0 is not in 1..");
    check("pitrix cluster delete-nodes c", "<NODE>...");
    check("pitrix cluster delete c --purge --force", "cannot be used with");
    check("pitrix cluster upgrade c", "--to <VERSION>");
    check("pitrix plan delete c --yes", "unexpected argument");
    check("pitrix plan start c --detach", "unexpected argument");
    check("pitrix cluster restart c --on-failure at-least=0", "at least 1");
    check("pitrix cluster restart c --on-failure x", "expected `stop`, `go-on` or `at-least=N`");
    check("pitrix plan restart c --on-failure stop", "unexpected argument");
    check("pitrix job prune", "--older-than <DAYS>");
    check("pitrix job prune --older-than soon", "invalid digit");
    check("pitrix events --job j-1 --cluster c", "cannot be used with");
    check("pitrix cluster list -o xml", "[possible values: table, wide, json, yaml, name]");
}

#[test]
fn no_argument_takes_a_secret() {
    fn walk(command: &clap::Command) {
        for argument in command.get_arguments() {
            let name = argument.get_id().as_str();
            let is_source = [
                "credential_file",
                "credential_text",
                "credential_env",
                "credential_command",
                "ask_credential",
            ];
            // Public keys, in files.
            let is_source = [&is_source[..], &["key_file"]].concat();
            let sounds_secret =
                ["credential", "secret", "password", "key", "token"].iter().any(|w| name.contains(w));
            assert!(!sounds_secret || is_source.contains(&name), "{} {name}", command.get_name());
        }
        command.get_subcommands().for_each(walk);
    }
    walk(&Cli::command());
}
