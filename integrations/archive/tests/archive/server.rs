//! A server that speaks as S3 does, and a proxy before it that fails. The address comes from `check`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tierstack_archive::object_store::aws::AmazonS3Builder;
use tierstack_archive::{Archive, ArchiveError, ErrorKind, ObjectArchive, ObjectOptions, Op, Retry, Timeouts};

use crate::common::{Chance, Model, Step, agree, folder_options, ops};

/// `127.0.0.1:PORT`, or `None` with a word about it.
pub fn server() -> Option<SocketAddr> {
    let address = std::env::var("TIERSTACK_ARCHIVE_S3").ok();
    if address.is_none() {
        println!("SKIPPED: TIERSTACK_ARCHIVE_S3 names no server, so nothing is tried on S3");
    }
    address.map(|address| address.parse().expect("an address and a port"))
}

pub fn bucket(server: SocketAddr, name: &str) {
    let mut stream = TcpStream::connect(server).unwrap();
    write!(stream, "PUT /{name} HTTP/1.1\r\nHost: {server}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

pub fn open_with(options: ObjectOptions, at: SocketAddr, bucket: &str) -> Result<ObjectArchive, ArchiveError> {
    let builder = AmazonS3Builder::new()
        .with_endpoint(format!("http://{at}"))
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id("key")
        .with_secret_access_key("secret")
        .with_bucket_name(bucket);
    options.open_s3(builder, "some/prefix")
}

pub fn short() -> Timeouts {
    Timeouts {
        connect: Duration::from_millis(500),
        request: Duration::from_millis(700),
        retries: 1,
        call: Duration::from_secs(3),
    }
}

#[test]
fn an_archive_on_s3_agrees_with_the_model() {
    let Some(server) = server() else { return };
    bucket(server, "conformance");
    let open = || open_with(folder_options(), server, "conformance").unwrap();
    let (mut archive, mut model, mut chance) = (open(), Model::default(), Chance(3));
    for number in 0..60_u64 {
        let step = |_| Step {
            key: vec![u8::try_from(chance.below(15)).unwrap()],
            tick: number + chance.below(8),
            value: (chance.below(4) > 0).then(|| vec![1; usize::try_from(chance.below(300)).unwrap()]),
        };
        let steps: Vec<_> = (0..6).map(step).collect();
        assert_eq!(archive.commit(&ops(&steps)).unwrap(), model.commit(&steps).unwrap());
        match number % 10 {
            3 => drop(archive.compact().unwrap()),
            7 => archive = open(),
            _ => {}
        }
    }
    agree(&archive, &model);
}

#[test]
fn an_older_writer_on_s3_is_fenced() {
    let Some(server) = server() else { return };
    bucket(server, "fenced");
    let open = || open_with(folder_options(), server, "fenced");
    let older = open().unwrap();
    older.commit(&[Op::Put { key: b"key", tick: 1, value: b"older" }]).unwrap();
    let newer = open().unwrap();
    assert_eq!(newer.get(b"key").unwrap().unwrap().value, "older");
    let error = older.commit(&[Op::Put { key: b"key", tick: 2, value: b"lost" }]).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Fenced, Retry::Reopen));
    // Of many that open at once, each gets its turn, and the last one writes.
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    let written =
        all.iter().filter(|archive| archive.commit(&[Op::Put { key: b"one", tick: 1, value: b"" }]).is_ok()).count();
    assert_eq!(written, 1);
}

pub const PASS: u8 = 0;
/// Answers 500 to all.
pub const FAIL: u8 = 1;
/// Takes the request, and says nothing.
pub const HANG: u8 = 2;
/// Closes the connection at once.
pub const DROP: u8 = 3;
/// Hands the request on, and closes before the answer comes back.
pub const LOSE: u8 = 4;

pub struct Proxy {
    pub at: SocketAddr,
    mode: Arc<AtomicU8>,
    done: Arc<AtomicBool>,
}

impl Proxy {
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { at: listener.local_addr().unwrap(), mode: Arc::default(), done: Arc::default() };
        let (mode, done) = (proxy.mode.clone(), proxy.done.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if done.load(Ordering::SeqCst) {
                    return;
                }
                let (stream, mode) = (stream.unwrap(), mode.clone());
                // An end that goes away is no news here.
                std::thread::spawn(move || drop(serve(stream, server, &mode)));
            }
        });
        proxy
    }

    pub fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.at));
    }
}

/// One request after the other, each in the mode that holds when it comes.
fn serve(mut client: TcpStream, server: SocketAddr, mode: &AtomicU8) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(server)?;
    loop {
        let request = message(&mut client)?;
        match mode.load(Ordering::SeqCst) {
            FAIL => {
                client.write_all(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")?;
            }
            HANG => {
                std::thread::sleep(Duration::from_secs(5));
                return Ok(());
            }
            DROP => return Ok(()),
            LOSE => {
                upstream.write_all(&request)?;
                message(&mut upstream)?;
                return Ok(());
            }
            _ => {
                upstream.write_all(&request)?;
                let answer = message(&mut upstream)?;
                client.write_all(&answer)?;
            }
        }
    }
}

/// A head and as much of a body as it says.
fn message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let (mut data, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let end = data.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&data[..end]).to_ascii_lowercase();
            // Answers to HEAD have a length, and no body: nobody here sends one but for errors.
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
            if data.len() >= end + 4 + length {
                return Ok(data);
            }
        }
        match stream.read(&mut part)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => data.extend_from_slice(&part[..read]),
        }
    }
}

#[test]
fn a_failing_server_is_said_in_time_and_got_over() {
    let Some(server) = server() else { return };
    bucket(server, "failing");
    let proxy = Proxy::before(server);
    let archive = open_with(folder_options().timeouts(short()), proxy.at, "failing").unwrap();
    let mut model = Model::default();
    for (mode, number) in [FAIL, HANG, DROP, LOSE].into_iter().cycle().zip(0..12_u64) {
        let step = |at: u64| Step {
            key: vec![u8::try_from(at).unwrap()],
            tick: number * 10 + at,
            value: Some(number.to_le_bytes().to_vec()),
        };
        let before: Vec<_> = (0..3).map(step).collect();
        archive.commit(&ops(&before)).unwrap();
        model.commit(&before).unwrap();
        proxy.set(mode);
        let after: Vec<_> = (2..5).map(step).collect();
        let begun = Instant::now();
        let error = archive.commit(&ops(&after)).unwrap_err();
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(4), "mode {mode}: {took:?}");
        assert_eq!(error.retry(), Retry::Again, "mode {mode}: {error:?}");
        let expected = if mode == HANG { ErrorKind::TimedOut } else { ErrorKind::Unavailable };
        assert_eq!(error.kind(), expected, "mode {mode}: {error:?}");
        assert_eq!(archive.get(&[0]).unwrap_err().retry(), Retry::Again);
        proxy.set(PASS);
        archive.commit(&ops(&after)).unwrap();
        model.commit(&after).unwrap();
        archive.flush().unwrap();
        agree(&archive, &model);
    }
    archive.compact().unwrap();
    agree(&open_with(folder_options(), server, "failing").unwrap(), &model);
}

#[test]
fn a_server_that_is_not_there_is_said_in_time() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let begun = Instant::now();
    let error = open_with(ObjectOptions::new().timeouts(short()), nobody, "nothing").unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Again), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(4));
}
