//! The way to the API server, on which a process can die as well: before a request that changes something is sent, and
//! when it was carried out and nobody has heard the answer.
//!
//! It is a part of the outside: what was sent before a crash arrives, as it does when a process is killed.

use super::Stop;
use crate::kubernetes::Witness;
use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

/// A kubectl that speaks plain HTTP with us and everything else with the API server. It ends with this.
pub(super) struct Gate {
    kubectl: Child,
    /// Kept, so that it can say what it wants.
    _said: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Gate {
    pub(super) fn open(witness: &Witness) -> Self {
        let mut kubectl = witness.proxy();
        let mut said = BufReader::new(kubectl.stdout.take().expect("its output is ours"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it says where it serves");
        let address = line.trim().rsplit(' ').next().and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("kubectl does not serve: {line}"));
        Self { kubectl, _said: said, address }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // Only one that has ended can't be killed.
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}

/// A request that changed something, as it was answered.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) status: u16,
}

/// One way through a gate, with its own stop.
pub(super) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// What carries; it ends with this.
    _runtime: Runtime,
}

struct Shared {
    gate: SocketAddr,
    stop: Mutex<Arc<Stop>>,
    made: Mutex<Vec<Made>>,
    /// The end of the path of a change that is refused once.
    refused: Mutex<Option<String>>,
    /// The changes whose first answer was lost; none when answers arrive.
    lost: Mutex<Option<BTreeSet<String>>>,
}

impl Wire {
    pub(super) fn through(gate: &Gate, stop: Arc<Stop>) -> Self {
        let shared = Arc::new(Shared {
            gate: gate.address,
            stop: Mutex::new(stop),
            made: Mutex::default(),
            refused: Mutex::default(),
            lost: Mutex::default(),
        });
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads can be had");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let carried = shared.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = carried.clone();
                // Who hangs up early has crashed.
                tokio::spawn(async move { carry(client, &shared).await });
            }
        });
        Self { address, shared, _runtime: runtime }
    }

    /// Where it begins.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops here from now on, and forgets what was made so far.
    pub(super) fn stop_at(&self, stop: Arc<Stop>) {
        *lock(&self.shared.stop) = stop;
        lock(&self.shared.made).clear();
    }

    /// Answers the next change of what is called so as a server does that has lost its store for a moment. After a 503 the
    /// client itself would ask again.
    pub(super) fn refuse_once(&self, path_end: &str) {
        *lock(&self.shared.refused) = Some(path_end.to_owned());
    }

    /// Loses the first answer to each change from now on: it was carried out, and the client is told that nobody knows.
    pub(super) fn lose_answers(&self) {
        *lock(&self.shared.lost) = Some(BTreeSet::new());
    }

    /// Whether it is still to be refused.
    pub(super) fn refuses(&self) -> bool {
        lock(&self.shared.refused).is_some()
    }

    /// What was made since.
    pub(super) fn made(&self) -> Vec<Made> {
        lock(&self.shared.made).clone()
    }
}

async fn carry(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let Some(request) = Request::read(&mut client).await? else { return Ok(()) };
    let mut server = TcpStream::connect(shared.gate).await?;
    if !request.is_change() {
        server.write_all(&request.bytes).await?;
        let (mut said, mut answer) = client.split();
        tokio::select! {
            copied = tokio::io::copy(&mut server, &mut answer) => copied.map(|_| ())?,
            // Whoever watches and goes ends the watch.
            _ = said.read_u8() => {}
        }
        return client.shutdown().await;
    }
    if lock(&shared.refused).take_if(|end| request.path.ends_with(end.as_str())).is_some() {
        client.write_all(BROKEN).await?;
        return client.shutdown().await;
    }
    let stop = lock(&shared.stop).clone();
    let what = format!("{} {}", request.method, request.path);
    if stop.is_at(&format!("before {what}")) {
        return until_gone(&mut client).await;
    }
    server.write_all(&request.bytes).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    let status = String::from_utf8_lossy(&answer[..answer.len().min(16)]);
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    lock(&shared.made).push(Made { method: request.method, path: request.path, status });
    if stop.is_at(&format!("after {what}")) {
        return until_gone(&mut client).await;
    }
    if lock(&shared.lost).as_mut().is_some_and(|lost| lost.insert(what)) {
        answer = TIMED_OUT.to_vec();
    }
    client.write_all(&answer).await?;
    client.shutdown().await
}

const BROKEN: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

const TIMED_OUT: &[u8] = b"HTTP/1.1 504 Gateway Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Until the process at the other end has died.
async fn until_gone(client: &mut TcpStream) -> io::Result<()> {
    while client.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

struct Request {
    method: String,
    path: String,
    query: String,
    /// All of it; it asks for one answer and then the end.
    bytes: Vec<u8>,
}

impl Request {
    /// Reads one; none when nothing comes.
    async fn read(client: &mut TcpStream) -> io::Result<Option<Self>> {
        const END: &[u8] = b"\r\n\r\n";
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(END.len()).position(|window| window == END) {
                break at;
            }
            if client.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut body = bytes.split_off(end + END.len());
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut to_send = format!("{first}\r\nConnection: close\r\n");
        let mut length = 0;
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            match name.to_ascii_lowercase().as_str() {
                "connection" => continue,
                "content-length" => length = value.trim().parse().unwrap_or_default(),
                _ => {}
            }
            to_send.push_str(line);
            to_send.push_str("\r\n");
        }
        while body.len() < length {
            if client.read_buf(&mut body).await? == 0 {
                return Ok(None);
            }
        }
        let (path, query) = (path.to_owned(), query.to_owned());
        Ok(Some(Self { method, path, query, bytes: [to_send.as_bytes(), b"\r\n", &body].concat() }))
    }

    /// Whether it may change anything. Reviews of access are questions.
    fn is_change(&self) -> bool {
        self.method != "GET"
            && !self.path.contains("/authorization.k8s.io/")
            && !self.query.contains("dryRun=All")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
