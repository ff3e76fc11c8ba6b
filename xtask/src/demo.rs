//! `cargo xtask demo`: the whole life of a real application on this machine, and an executor killed in its middle.
//!
//! Everything that it says is seen from outside: in Redis, in the kernel's list of processes, in the file system and
//! in what `pitrix` prints. All of its state lies in `target/demo/state`; a failed demo leaves it there to look at.

use crate::{
    Options, Result,
    command::Cmd,
    processes::{belonging_to, signal},
    redis,
    workspace::Workspace,
};
use serde_json::Value;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fmt, fs, thread};

pub(crate) fn run(options: Options) -> Result<()> {
    options.finish()?;
    let stage = prepare(&Workspace::enter()?).map_err(|NotHere(why)| why)?;
    play(&stage)
}

const CLUSTER: &str = "cache";
const REPLICAS: usize = 2;
const GUESTBOOK: &str = "book";

/// Where the local provider keeps what it makes, relative to the state directory; empty when all is deleted.
const INSTANCE_DIRS: [&str; 2] = ["local/instances", "local/volumes"];

/// Long enough for anything that we wait for on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The demo can't run on this machine, and why.
pub(crate) struct NotHere(pub(crate) String);

/// What the demo plays on.
pub(crate) struct Stage {
    state: PathBuf,
    pitrix: PathBuf,
    /// `PATH` with a Redis; whatever `pitrix` starts inherits it.
    path: String,
    verbs: Cell<usize>,
}

/// Looks for what the demo needs and can't build.
pub(crate) fn prepare(workspace: &Workspace) -> Result<Stage, NotHere> {
    if !cfg!(target_os = "linux") {
        return Err(NotHere("runtime `local` needs Linux".to_owned()));
    }
    let path = redis::path_with_redis(workspace).map_err(NotHere)?;
    Ok(Stage {
        state: workspace.target.join("demo/state"),
        pitrix: workspace.target.join("debug/pitrix"),
        path,
        verbs: Cell::new(0),
    })
}

/// The story. Each step fails if the world is not as it should be.
pub(crate) fn play(stage: &Stage) -> Result<()> {
    Cmd::cargo(&["build", "--package", "pitrix", "--no-default-features", "--features", "local"]).run()?;
    stage.clear()?;

    say("a primary with two replicas");
    stage.pitrix(&["app", "push", "examples/redis"])?;
    let replicas = format!("cluster.replica.count={REPLICAS}");
    let options = ["--app", "redis@1.0.0", "--runtime", "local", "--set", &replicas];
    let created = stage.pitrix(&[&["cluster", "create", CLUSTER][..], &options].concat())?;
    let primary = Server::from_connect_line(&created)?;
    let alive = stage.look()?;
    println!("{alive}");
    // What finds nothing now would find nothing at the end either.
    if alive.processes < 1 + REPLICAS || alive.directories < 1 + REPLICAS || alive.records != 1 {
        return Err(format!("a cluster of {} nodes shows {alive}", 1 + REPLICAS));
    }

    say("written on the primary, read on a replica");
    stage.write_and_wait(&primary, "set greeting hello")?;
    stage.expect(&stage.replicas(&primary, REPLICAS)?[0], "get greeting", "hello")?;

    say("a guestbook that is linked to it");
    stage.pitrix(&["app", "push", "examples/guestbook"])?;
    let link = format!("cluster.cache={CLUSTER}");
    let options = ["--app", "guestbook@1.0.0", "--runtime", "local", "--set", &link];
    let created = stage.pitrix(&[&["cluster", "create", GUESTBOOK][..], &options].concat())?;
    let page = page_address(&created)?;
    exchange(&page, "POST / HTTP/1.0\r\nContent-Length: 16\r\n\r\nentry=I+was+here")?;
    expect_signed(&page)?;
    if stage.pitrix(&["cluster", "delete", CLUSTER, "--yes"]).is_ok() {
        return Err(format!("`{CLUSTER}` was deleted although `{GUESTBOOK}` is linked to it"));
    }

    say("scaled out: one more replica, which has the data");
    stage.scale(REPLICAS + 1)?;
    let replicas = stage.replicas(&primary, REPLICAS + 1)?;
    replicas.iter().try_for_each(|replica| stage.expect(replica, "get greeting", "hello"))?;

    say("a replica killed by hand, and recovered");
    let redis = field(&stage.redis(&replicas[0], "info server")?, "process_id")?;
    signal(redis, "KILL")?;
    until("the cluster is degraded", || stage.health().is_ok_and(|health| health == "degraded"))?;
    stage.pitrix(&["cluster", "list"])?;
    stage.pitrix(&["cluster", "recover", CLUSTER])?;
    stage.expect(&replicas[0], "get greeting", "hello")?;
    stage.expect_healthy()?;

    say("resized: Redis has half of the new memory");
    stage.expect(&primary, "config get maxmemory", "maxmemory\n134217728")?;
    stage.pitrix(&["cluster", "resize", CLUSTER, "primary", "--memory", "512"])?;
    stage.expect(&primary, "config get maxmemory", "maxmemory\n268435456")?;

    say("upgraded, and rolled back; each time the data is there");
    stage.pitrix(&["app", "push", "examples/redis-1.1.0"])?;
    stage.expect(&primary, "config get tcp-keepalive", "tcp-keepalive\n300")?;
    stage.pitrix(&["cluster", "upgrade", CLUSTER, "--to", "1.1.0"])?;
    stage.expect(&primary, "config get tcp-keepalive", "tcp-keepalive\n60")?;
    stage.expect(&primary, "get greeting", "hello")?;
    stage.expect(&primary, "set greeting hi", "OK")?;
    stage.pitrix(&["cluster", "rollback", CLUSTER])?;
    stage.expect(&primary, "config get tcp-keepalive", "tcp-keepalive\n300")?;
    stage.expect(&primary, "get greeting", "hi")?;
    expect_signed(&page)?;

    say("scaled in, and the guestbook deleted");
    stage.scale(REPLICAS)?;
    stage.replicas(&primary, REPLICAS)?;
    stage.expect_healthy()?;
    stage.pitrix(&["cluster", "delete", GUESTBOOK, "--yes"])?;

    say("the executor killed in the middle of a stop");
    stage.stop_with_a_crash(&primary)?;
    let stopped = stage.look()?;
    if stopped.processes > 0 {
        return Err(format!("a stopped cluster shows {stopped}"));
    }

    say("started again, with its data");
    stage.pitrix(&["cluster", "start", CLUSTER])?;
    stage.expect(&primary, "get greeting", "hi")?;
    stage.expect(&stage.replicas(&primary, REPLICAS)?[0], "get greeting", "hi")?;

    say("deleted");
    stage.pitrix(&["cluster", "delete", CLUSTER, "--yes"])?;
    let left = stage.look()?;
    println!("{} verbs run, {} calls in the ledger, {left}", stage.verbs.get(), stage.calls_in_the_ledger()?);
    if left == Seen::default() { Ok(()) } else { Err(format!("after the deletion there are {left}")) }
}

fn say(what: &str) {
    println!("\n# {what}");
}

/// The product.
impl Stage {
    /// Runs a verb of the product and returns what it prints as data.
    fn pitrix(&self, args: &[&str]) -> Result<String> {
        self.verbs.set(self.verbs.get() + 1);
        let output = self.ask(args)?;
        print!("{output}");
        Ok(output)
    }

    /// As [`Stage::pitrix`], for the questions of the demo itself.
    fn ask(&self, args: &[&str]) -> Result<String> {
        Cmd::new(&self.pitrix, args)
            .quiet_env("PITRIX_STATE", &self.state)
            .quiet_env("PATH", &self.path)
            .output()
    }

    fn scale(&self, replicas: usize) -> Result<()> {
        self.pitrix(&["cluster", "scale", CLUSTER, &format!("replica={replicas}")]).map(drop)
    }

    /// How the cluster is, as the product says.
    fn health(&self) -> Result<String> {
        let mut list = Cmd::new(&self.pitrix, &["cluster", "list", "-o", "json"])
            .quiet_env("PITRIX_STATE", &self.state)
            .quiet_env("PATH", &self.path);
        let clusters: Value = serde_json::from_str(&list.quiet_output()?)
            .map_err(|error| format!("cannot read the list of clusters: {error}"))?;
        let mut clusters = clusters.as_array().into_iter().flatten();
        let health =
            clusters.find(|cluster| cluster["name"] == CLUSTER).map(|found| &found["health"]["state"]);
        health.and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("`{CLUSTER}` has no health"))
    }

    fn expect_healthy(&self) -> Result<()> {
        match self.health()?.as_str() {
            "healthy" => Ok(()),
            other => Err(format!("`{CLUSTER}` is {other}, expected healthy")),
        }
    }

    /// Stops the cluster. The primary is frozen, so the stop gets past the replicas and no further; there the
    /// executor dies. Another one has to find out what was done and end the job.
    fn stop_with_a_crash(&self, primary: &Server) -> Result<()> {
        let replicas = self.replicas(primary, REPLICAS)?;
        let redis = field(&self.redis(primary, "info server")?, "process_id")?;
        signal(redis, "STOP")?;
        let job = self.pitrix(&["cluster", "stop", CLUSTER, "--detach", "-o", "name"])?;
        until("the replicas are down", || !replicas.iter().any(Server::listens))?;
        signal(self.executor().ok_or("no executor runs in the middle of a job")?, "KILL")?;
        signal(redis, "CONT")?;
        self.pitrix(&["job", "watch", job.trim()]).map(drop)
    }

    /// The process that runs jobs, as it says itself.
    fn executor(&self) -> Option<u32> {
        fs::read_to_string(self.state.join("executor.pid")).ok()?.trim().parse().ok()
    }

    fn calls_in_the_ledger(&self) -> Result<u64> {
        let jobs: Value = serde_json::from_str(&self.ask(&["job", "list", "-o", "json"])?)
            .map_err(|error| format!("cannot read the list of jobs: {error}"))?;
        let jobs = jobs.as_array().ok_or("the list of jobs is no list")?;
        match jobs.iter().filter_map(|job| job["calls"].as_u64()).sum() {
            0 => Err("the ledger has no call".to_owned()),
            calls => Ok(calls),
        }
    }

    /// Ends what an earlier demo left running and removes its state.
    fn clear(&self) -> Result<()> {
        for pid in belonging_to(&self.state) {
            // It may end by itself in between, which is as good.
            let _ = signal(pid, "KILL");
        }
        until("an earlier demo has ended", || belonging_to(&self.state).is_empty())?;
        let failed = |error| format!("cannot empty `{}`: {error}", self.state.display());
        if self.state.exists() {
            fs::remove_dir_all(&self.state).map_err(failed)?;
        }
        fs::create_dir_all(&self.state).map_err(failed)
    }
}

/// What there is of our cluster on this machine.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    processes: usize,
    directories: usize,
    records: usize,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processes, directories, records } = self;
        write!(f, "{processes} processes, {directories} directories, {records} live records")
    }
}

impl Stage {
    fn look(&self) -> Result<Seen> {
        // The executor stays for a while in case that more is to do; it is no part of a cluster.
        let executor = self.executor();
        let processes = belonging_to(&self.state);
        let directories = INSTANCE_DIRS.iter().map(|dir| entries(&self.state.join(dir)));
        Ok(Seen {
            processes: processes.iter().filter(|pid| Some(**pid) != executor).count(),
            directories: directories.sum(),
            records: self.ask(&["cluster", "list", "-o", "name"])?.lines().count(),
        })
    }
}

fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

/// A Redis server, and what one can learn from it alone.
struct Server {
    host: String,
    port: String,
}

impl Server {
    /// The server of the line `redis-cli -h HOST -p PORT` in `text`.
    fn from_connect_line(text: &str) -> Result<Self> {
        let words: Vec<_> = text.split_whitespace().collect();
        let server = words.windows(5).find_map(|words| match words {
            ["redis-cli", "-h", host, "-p", port] => {
                Some(Self { host: host.to_string(), port: port.to_string() })
            }
            _ => None,
        });
        server.ok_or_else(|| "`create` does not say how to connect".to_owned())
    }

    /// The servers of the lines `slaveN:ip=HOST,port=PORT,state=online,…` in `info`.
    fn replicas(info: &str) -> Vec<Self> {
        let lines = info.lines().filter_map(|line| line.strip_prefix("slave")?.split_once(":ip="));
        let servers = lines.filter_map(|(_, rest)| {
            let mut parts = rest.split(',');
            let (host, port, state) = (parts.next()?, parts.next()?.strip_prefix("port=")?, parts.next()?);
            (state == "state=online").then(|| Self { host: host.to_owned(), port: port.to_owned() })
        });
        servers.collect()
    }

    fn listens(&self) -> bool {
        TcpStream::connect(format!("{}:{}", self.host, self.port)).is_ok()
    }
}

impl Stage {
    fn redis(&self, server: &Server, command: &str) -> Result<String> {
        self.cli(server, command).output()
    }

    fn cli(&self, server: &Server, command: &str) -> Cmd {
        let address = ["-h", &server.host, "-p", &server.port];
        let args: Vec<_> = address.into_iter().chain(command.split(' ')).collect();
        Cmd::new("redis-cli", &args).quiet_env("PATH", &self.path)
    }

    /// Sends `command` and waits until every replica has it. Both on one connection: Redis waits for what the
    /// asking connection wrote.
    fn write_and_wait(&self, server: &Server, command: &str) -> Result<()> {
        let Server { host, port } = server;
        let script = format!("printf '{command}\\nwait {REPLICAS} 10000\\n' | redis-cli -h {host} -p {port}");
        let answers = Cmd::new("sh", &["-c", &script]).quiet_env("PATH", &self.path).output()?;
        print!("{answers}");
        let expected = format!("OK\n{REPLICAS}\n");
        if answers == expected { Ok(()) } else { Err(format!("`{command}` did not reach every replica")) }
    }

    /// Sends `command` and fails unless the answer is `expected`.
    fn expect(&self, server: &Server, command: &str, expected: &str) -> Result<()> {
        let answer = self.redis(server, command)?;
        let answer = answer.trim_end();
        println!("{answer}");
        if answer == expected {
            Ok(())
        } else {
            Err(format!("`{command}` on {} answered `{answer}`, expected `{expected}`", server.host))
        }
    }

    /// The replicas that are in step, as the primary knows them, once there are so many. After a restart of the
    /// primary they come back by themselves, each at its own next try.
    fn replicas(&self, primary: &Server, count: usize) -> Result<Vec<Server>> {
        let known = || {
            let info = self.cli(primary, "info replication").quiet_output().unwrap_or_default();
            Server::replicas(&info)
        };
        until(&format!("the primary knows {count} replicas that are online"), || known().len() == count)?;
        Ok(known())
    }
}

/// The address in the line `curl http://HOST:PORT/` of `text`.
fn page_address(text: &str) -> Result<String> {
    let mut words = text.split_whitespace();
    let address = words.find_map(|word| word.strip_prefix("http://")?.strip_suffix('/'));
    address.map(str::to_owned).ok_or_else(|| "`create` does not say where the page is".to_owned())
}

/// Sends a request and gives the answer.
fn exchange(address: &str, request: &str) -> Result<String> {
    let mut answer = String::new();
    TcpStream::connect(address)
        .and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            stream.read_to_string(&mut answer)
        })
        .map_err(|error| format!("cannot fetch the page at `{address}`: {error}"))?;
    Ok(answer)
}

fn expect_signed(page: &str) -> Result<()> {
    let answer = exchange(page, "GET / HTTP/1.0\r\n\r\n")?;
    println!("{answer}");
    if answer.contains("I was here") { Ok(()) } else { Err("the entry is not in the guestbook".to_owned()) }
}

/// The number in the line `NAME:NUMBER` of Redis's `info`.
fn field(info: &str, name: &str) -> Result<u32> {
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).ok_or_else(|| format!("redis does not say its {name}"))
}

/// Waits for another process; there is nothing to be told by.
fn until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > PATIENCE {
            return Err(format!("waited {} s in vain until {what}", PATIENCE.as_secs()));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_from_what_others_print() {
        let show = |server: &Server| format!("{}:{}", server.host, server.port);
        let created = "cache is active\n  connect  redis-cli -h 127.1.2.3 -p 6379\n";
        assert_eq!(Server::from_connect_line(created).map(|server| show(&server)).unwrap(), "127.1.2.3:6379");
        assert!(Server::from_connect_line("cache is active").is_err());
        let page = page_address("connect   curl http://127.1.2.3:8080/    web; keeper 127.1.2.4");
        assert_eq!(page.as_deref(), Ok("127.1.2.3:8080"));

        let info = "role:master\r\nconnected_slaves:2\r\nslave0:ip=127.1.2.4,port=6379,state=online,offset=1\r\n\
            slave1:ip=127.1.2.5,port=6379,state=wait_bgsave,offset=0\r\nslave_expires_tracked_keys:0\r\n";
        assert_eq!(Server::replicas(info).iter().map(show).collect::<Vec<_>>(), ["127.1.2.4:6379"]);
    }

    #[test]
    fn a_number_is_read_from_info() {
        let info = "# Server\r\nprocess_id:417\r\n";
        assert_eq!(field(info, "process_id"), Ok(417));
        assert_eq!(field(info, "process").unwrap_err(), "redis does not say its process");
    }
}
