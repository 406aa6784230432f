//! The example `strategies`, run as a person runs it: twice, so that the second run starts from the archive.

#![cfg(all(feature = "redb", feature = "serde"))]

use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

static BINARY: LazyLock<PathBuf> = LazyLock::new(built);

/// The example's binary. Cargo tells no test where it is, and need not have built it: this asks cargo to, with the
/// features, the profile and the directory of this test.
fn built() -> PathBuf {
    let features = [
        ("redb", true),
        ("serde", true),
        ("fs", cfg!(feature = "fs")),
        ("aws", cfg!(feature = "aws")),
        ("gcp", cfg!(feature = "gcp")),
        ("azure", cfg!(feature = "azure")),
        ("tokio", cfg!(feature = "tokio")),
    ];
    let features: Vec<_> = features.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    let test = env::current_exe().expect("a test knows its path");
    // <target directory>[/<target triple>]/<profile>/deps/<test>
    let built = test.ancestors().nth(2).expect("tests are built below a target directory");
    let target_dir = built.ancestors().skip(1).take(2).find(|dir| dir.join(".rustc_info.json").exists());
    let target_dir = target_dir.unwrap_or_else(|| built.parent().unwrap());
    let triple = built.parent().filter(|dir| *dir != target_dir).and_then(Path::file_name);
    let profile = built.file_name().and_then(OsStr::to_str).expect("profiles have plain names");

    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--example", "strategies", "--features", &features.join(",")]);
    cargo.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
    cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "--target-dir"]).arg(target_dir);
    if let Some(triple) = triple {
        cargo.arg("--target").arg(triple);
    }
    assert!(cargo.status().expect("cargo runs").success(), "the example does not build");
    built.join("examples").join(format!("strategies{}", env::consts::EXE_SUFFIX))
}

/// What a run printed.
struct Ran(String);

/// More arguments, and variables of the environment.
#[derive(Clone, Copy, Default)]
struct With<'a> {
    arguments: &'a [&'a str],
    variables: &'a [(&'a str, &'a str)],
}

fn run(sources: &Path, archive: &OsStr, with: With<'_>) -> Ran {
    let mut command = Command::new(&*BINARY);
    command.arg("--archive").arg(archive).args(with.arguments).envs(with.variables.iter().copied());
    command.arg(sources).arg("how is an archived needle restored?");
    let output = command.output().expect("the example starts");
    let text = |bytes| String::from_utf8(bytes).expect("only UTF-8 is printed");
    let (out, errors) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success() && errors.is_empty(), "{out}{errors}");
    Ran(out)
}

impl Ran {
    /// The number behind a label.
    #[track_caller]
    fn number(&self, label: &str) -> u64 {
        let line = self.0.lines().find(|line| line.starts_with(label)).expect("it is printed");
        let number = line.split_ascii_whitespace().nth(1).and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("no number: {line}"))
    }

    /// The best fragments, without where they stand.
    fn best(&self) -> Vec<&str> {
        let lines = self.0.lines().filter_map(|line| line.trim_start().split_once(". "));
        lines.map(|(_, line)| line.split_once("  (").expect("it says where it stands").0).collect()
    }
}

/// Forty files of ten fragments each. One fragment says what is asked for.
fn sources() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..40 {
        let mut text = String::new();
        for fragment in 0..10 {
            for line in 0..14 {
                writeln!(text, "    line {line} of an archived fragment {fragment} of {number}").unwrap();
            }
            if (number, fragment) == (17, 4) {
                text += "fn restored_needle() {}\n";
            }
            text += "\n";
        }
        let folder = dir.path().join(format!("folder {}", number % 4));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number}.rs")), text).unwrap();
    }
    fs::write(dir.path().join("binary"), [0, 1, 2, 0xff]).unwrap();
    dir
}

/// Runs it twice on one archive. The second time the sources are gone.
fn twice(archive: &OsStr, with: With<'_>) {
    let sources = sources();
    let first = run(sources.path(), archive, with);
    assert_eq!((first.number("found"), first.number("stored")), (0, 400), "{}", first.0);
    assert!(first.number("archived") >= 300, "memory holds a seventh: {}", first.0);
    assert!(first.best()[0].starts_with("folder 1/17.rs:"), "{}", first.0);
    assert!(first.0.contains("in the archive, for 400 records"), "{}", first.0);

    let path = sources.path().to_owned();
    drop(sources);
    let second = run(&path, archive, with);
    assert_eq!((second.number("found"), second.number("stored")), (400, 0), "{}", second.0);
    assert!(second.number("restored") >= 400, "{}", second.0);
    assert_eq!(second.best(), first.best(), "{}", second.0);
    assert!(second.0.contains("in the archive, for 400 records"), "{}", second.0);
}

#[test]
fn a_second_run_starts_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    twice(folder.path().join("new").as_os_str(), With::default());
    assert!(folder.path().join("new/archive.redb").is_file());
}

#[cfg(feature = "fs")]
#[test]
fn a_second_run_starts_from_the_segments() {
    let folder = tempfile::tempdir().unwrap();
    twice(folder.path().join("new").as_os_str(), With { arguments: &["--segments"], ..With::default() });
    assert!(folder.path().join("new/manifest").is_file());
}

#[cfg(feature = "aws")]
#[test]
fn a_second_run_starts_from_the_bucket() {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    let Ok(server) = env::var("TIERSTACK_ARCHIVE_S3") else {
        println!("SKIPPED: TIERSTACK_ARCHIVE_S3 names no server, so the example is not run on S3");
        return;
    };
    let mut stream = TcpStream::connect(&server).unwrap();
    write!(stream, "PUT /example HTTP/1.1\r\nHost: {server}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let endpoint = format!("http://{server}");
    let variables = [
        ("AWS_ENDPOINT", &*endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    twice(OsStr::new("s3://example/some/prefix"), With { variables: &variables, ..With::default() });
}

#[test]
fn what_cannot_be_asked_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    let refused = |question: &str| {
        let output = Command::new(&*BINARY).arg("--archive").arg(&archive).arg(folder.path()).arg(question).output();
        let output = output.expect("the example starts");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused("what is it").starts_with("error: the question has no words"));
    assert!(refused("any needle").starts_with("error: there are no text files in "));
}
