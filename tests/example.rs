//! The examples, run as a person runs them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

static BINARY: LazyLock<PathBuf> = LazyLock::new(|| built("strategies"));

/// An example's binary. Cargo tells no test where it is, and need not have built it: this asks cargo to, with the
/// profile, the target and the directory of this test.
fn built(example: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows its path");
    // <target directory>[/<target triple>]/<profile>/deps/<test>
    let built = test.ancestors().nth(2).expect("tests are built below a target directory");
    let target_dir = built.ancestors().skip(1).take(2).find(|dir| dir.join(".rustc_info.json").exists());
    let target_dir = target_dir.unwrap_or_else(|| built.parent().unwrap());
    let triple = built.parent().filter(|dir| *dir != target_dir).and_then(Path::file_name);
    let profile = built.file_name().and_then(|name| name.to_str()).expect("profiles have plain names");
    let profile = if profile == "debug" { "dev" } else { profile };

    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--example", example, "--features", "rayon", "--profile", profile]);
    cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "--target-dir"]).arg(target_dir);
    if let Some(triple) = triple {
        cargo.arg("--target").arg(triple);
    }
    assert!(cargo.status().expect("cargo runs").success(), "the example does not build");
    built.join("examples").join(format!("{example}{}", env::consts::EXE_SUFFIX))
}

/// What a run printed, and its exit code.
struct Ran {
    out: String,
    err: String,
    code: Option<i32>,
}

fn run(dir: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(&*BINARY).arg(dir).args(arguments).output().expect("the example starts");
    let text = |bytes| String::from_utf8(bytes).expect("only UTF-8 is printed");
    let ran = Ran { out: text(output.stdout), err: text(output.stderr), code: output.status.code() };
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

impl Ran {
    /// The run was refused, for a reason that it names, and nothing was printed as a result.
    #[track_caller]
    fn refused(&self, reason: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(2), ""), "{}", self.err);
        assert!(self.err.starts_with("error: ") && self.err.contains(reason), "{}", self.err);
    }

    /// All checks passed, and the output is for a reader that is no terminal.
    #[track_caller]
    fn passed(&self) {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        assert_eq!(self.out.lines().filter(|line| line.starts_with("ok ")).count(), 15, "{}", self.out);
        assert!(!self.out.contains("FAILED") && !self.out.contains('\u{1b}'), "{}", self.out);
    }

    /// The lines of the table that has this in its head, as words.
    #[track_caller]
    fn table(&self, head: &str) -> Vec<Vec<&str>> {
        let rows = self.out.lines().skip_while(|line| !line.starts_with(head)).skip(1);
        let rows: Vec<_> = rows.take_while(|line| !line.is_empty()).collect();
        assert!(!rows.is_empty(), "no table {head:?} in:\n{}", self.out);
        rows.iter().map(|row| row.split_whitespace().collect()).collect()
    }

    #[track_caller]
    fn says(&self, what: &str) {
        assert!(self.out.contains(what), "no {what:?} in:\n{}", self.out);
    }
}

/// A directory of its own for each test, empty at first.
fn directory(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example").join(name);
    // Left by an earlier run, or not there.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn a_directory_that_does_not_exist_is_named() {
    run(&directory("missing").join("nowhere"), &["epoch"]).refused("nowhere");
}

#[test]
fn a_file_is_no_directory() {
    let file = directory("file").join("a.txt");
    fs::write(&file, "epoch").unwrap();
    run(&file, &["epoch"]).refused("is not a directory");
}

#[test]
fn there_is_nothing_in_an_empty_directory() {
    let dir = directory("empty");
    run(&dir, &["epoch"]).refused("no text files");
    fs::write(dir.join("blank.txt"), "\n \n\t\n").unwrap();
    run(&dir, &["epoch"]).refused("only blank files");
    fs::write(dir.join("blank.txt"), b"\xff\xfe\xfd").unwrap();
    run(&dir, &["epoch"]).refused("1 not UTF-8");
}

#[test]
fn a_question_has_words_and_numbers_make_sense() {
    let dir = directory("usage");
    fs::write(dir.join("a.txt"), "epoch").unwrap();
    run(&dir, &["what", "is", "it?"]).refused("no words");
    run(&dir, &["epoch", "--threads", "0"]).refused("--threads");
    run(&dir, &["epoch", "--threads", "1000000"]).refused("--threads");
    run(&dir, &["epoch", "--budget", "12KB"]).refused("`KB` is no unit");
    run(&dir, &["epoch", "--budget", "-1"]).refused("whole number of bytes");
    run(&dir, &["epoch", "--budget", "2000GiB"]).refused("largest budget");
}

#[test]
fn a_tiny_corpus_is_answered() {
    let dir = directory("tiny");
    fs::create_dir(dir.join("src")).unwrap();
    fs::write(dir.join("src/epoch.rs"), "//! Epochs.\n\n/// Moves on.\npub fn advance_epoch() {}\n").unwrap();
    fs::write(dir.join("other.txt"), "Nothing of the kind.\n").unwrap();
    let ran = run(&dir, &["how", "does", "the", "epoch", "advance"]);
    ran.passed();
    ran.says("2 files");
    let best = ran.out.lines().find(|line| line.starts_with("   1 ")).unwrap_or_default();
    assert!(best.ends_with("src/epoch.rs:1-4"), "{}", ran.out);
    ran.says("| pub fn advance_epoch() {}");

    let ran = run(&dir, &["quaternion"]);
    ran.passed();
    ran.says("Nothing matches the question");
}

#[test]
fn what_is_no_text_is_skipped_and_named() {
    let dir = directory("skipped");
    fs::write(dir.join("good.txt"), "the epoch\n").unwrap();
    fs::write(dir.join("latin.txt"), b"caf\xe9 epoch\n").unwrap();
    fs::write(dir.join("binary.dat"), b"epoch\0\x01").unwrap();
    fs::write(dir.join("long.txt"), "epoch ".repeat(200_000)).unwrap();
    let ran = run(&dir, &["epoch"]);
    ran.passed();
    ran.says("1 file of 10 B");
    ran.says("1 not UTF-8: latin.txt");
    ran.says("1 binary: binary.dat");
    ran.says("1 longer than 512 KiB: long.txt");
    ran.says("good.txt:1-1");
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_skipped_and_named() {
    use std::os::unix::fs::PermissionsExt;

    let dir = directory("unreadable");
    // The good one is the younger, which decides between equals where both can be read.
    fs::write(dir.join("secret.txt"), "the epoch\n").unwrap();
    fs::write(dir.join("good.txt"), "the epoch\n").unwrap();
    fs::create_dir(dir.join("locked")).unwrap();
    for closed in ["secret.txt", "locked"] {
        fs::set_permissions(dir.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
    }
    // To a privileged user nothing is closed.
    let expected =
        if fs::read(dir.join("secret.txt")).is_ok() { "2 files of" } else { "2 unreadable: locked, secret.txt" };
    let ran = run(&dir, &["epoch"]);
    fs::set_permissions(dir.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    ran.passed();
    ran.says(expected);
    ran.says("good.txt:1-1");
}

#[cfg(unix)]
#[test]
fn links_that_loop_and_names_that_are_no_text_do_no_harm() {
    use std::os::unix::{ffi::OsStrExt, fs::symlink};

    let dir = directory("links");
    fs::write(dir.join("good.txt"), "the epoch\n").unwrap();
    fs::write(dir.join("red\u{1b}[31m.txt"), "no epoch \u{1b}[2J\n").unwrap();
    symlink(".", dir.join("loop")).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    // Some file systems refuse the name; the rest holds all the same.
    let odd = fs::write(dir.join(std::ffi::OsStr::from_bytes(b"odd\xff.txt")), "epoch").is_ok();
    let ran = run(&dir, &["epoch"]);
    ran.passed();
    ran.says("2 files");
    if odd {
        ran.says("1 not UTF-8: odd");
    }
}

#[test]
fn each_strategy_has_a_changeset_with_all_that_it_decided() {
    let dir = directory("changesets");
    for file in 0..300 {
        let about = ["the epoch advances", "nothing of the kind"][file % 2];
        fs::write(dir.join(format!("{file}.txt")), format!("{about}\n{}", "more\n".repeat(file % 9))).unwrap();
    }
    let ran = run(&dir, &["epoch", "advance"]);
    ran.passed();
    let changesets = ran.table("changeset ");
    assert!(changesets.iter().all(|row| row[2] == "closed"), "{}", ran.out);
    // The loader's is there before the strategies are.
    assert_eq!(changesets[0][..2], ["changeset-1", "loader"], "{}", ran.out);
    let by = |name: &str| changesets.iter().filter(|row| row[1] == name).map(|row| &row[3..]).collect::<Vec<_>>();
    let strategies = ran.table("strategy ");
    assert_eq!((strategies.len(), changesets.len()), (4, 5), "{}", ran.out);
    for row in &strategies {
        let [changeset] = by(row[0])[..] else { panic!("{} has not one changeset in:\n{}", row[0], ran.out) };
        assert_eq!(changeset[1..3], row[2..4], "{}", ran.out);
    }
    // Half of them have the question's words, which is more than a strategy picks: there are losers as well.
    assert_eq!((strategies[0][0], &strategies[0][2..4]), ("words", &["64", "86"][..]), "{}", ran.out);
}

#[test]
fn budgets_from_nothing_to_everything_hold() {
    let dir = directory("budgets");
    for file in 0..40 {
        let function = |n| format!("/// The epoch of {file}.\nfn advance_{n}() {{\n{}}}\n\n", "    x();\n".repeat(n));
        let functions = (0..30).map(function).collect::<Vec<_>>().concat();
        fs::write(dir.join(format!("file_{file}.rs")), functions).unwrap();
    }
    for (budget, threads) in [("0", "2"), ("1", "1"), ("700", "8"), ("4KiB", "3"), ("64 KiB", "16"), ("1024GiB", "2")] {
        let ran = run(&dir, &["epoch", "advance", "--budget", budget, "--threads", threads]);
        ran.passed();
        ran.says("40 files");
        ran.says("   1 ");
    }
}

#[test]
fn a_service_leaves_nothing() {
    let binary = built("service");
    let run = |arguments: &[&str]| {
        let output = Command::new(&binary).args(arguments).output().expect("the example starts");
        (output.status.code(), String::from_utf8(output.stdout).expect("only UTF-8 is printed"))
    };
    // Plans enough that all end again and again, and one that all threads work on.
    for arguments in
        [["--plans", "40", "--threads", "8", "--seconds", "1"], ["--plans", "1", "--threads", "4", "--seconds", "0.5"]]
    {
        let (code, out) = run(&arguments);
        assert_eq!(code, Some(0), "{out}");
        assert_eq!(out.lines().filter(|line| line.starts_with("ok ")).count(), 4, "{out}");
    }
    for refused in [["--plans", "0"], ["--threads", "0"], ["--seconds", "-1"], ["--seconds", "soon"]] {
        assert_eq!(run(&refused), (Some(2), String::new()), "{refused:?}");
    }
}
