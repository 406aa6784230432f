//! What a million records cost: to write, to open, to open after a kill, and in memory.
//!
//! `cargo run --release --features fs --example million [RECORDS]`

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tierstack_archive::{Archive, ObjectOptions, Op, RedbArchive};

/// Counts what is allocated now.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's duties are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's duties are the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const VALUE: [u8; 100] = [7; 100];
const BATCH: u64 = 10_000;

/// Keys of 16 bytes, in no order.
fn key(number: u64) -> [u8; 16] {
    (u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_le_bytes()
}

fn fill(archive: &dyn Archive, records: u64) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    for first in (0..records).step_by(usize::try_from(BATCH)?) {
        let keys: Vec<_> = (first..records.min(first + BATCH)).map(key).collect();
        let batch: Vec<_> = keys.iter().zip(first..).map(|(key, tick)| Op::Put { key, tick, value: &VALUE }).collect();
        archive.commit(&batch)?;
    }
    let status = archive.status()?;
    println!(
        "  written in {:.1?}: {} records with keys of 16 and values of {} bytes, {} MB on the disk",
        begun.elapsed(),
        status.records,
        VALUE.len(),
        status.bytes / 1_000_000
    );
    Ok(())
}

fn open<A: Archive>(
    what: &str,
    records: u64,
    open: impl FnOnce() -> Result<A, tierstack_archive::ArchiveError>,
) -> Result<A, Box<dyn Error>> {
    let (before, begun) = (ALLOCATED.load(Ordering::Relaxed), Instant::now());
    let archive = open()?;
    let (took, memory) = (begun.elapsed(), ALLOCATED.load(Ordering::Relaxed).saturating_sub(before));
    assert_eq!(archive.status()?.records, records);
    println!("  {what}: {took:.1?}, {} bytes of memory a record", memory as u64 / records);
    let begun = Instant::now();
    for number in 0..1000 {
        assert!(archive.get(&key(number * records / 1000))?.is_some());
    }
    println!("    a record read in {:.1?} on average", begun.elapsed() / 1000);
    Ok(archive)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [command, path] = &arguments[..]
        && command == "hold"
    {
        return hold(Path::new(path));
    }
    let records = arguments.first().map_or(Ok(1_000_000), |records| records.parse())?;
    let folder = tempfile::tempdir()?;
    println!("redb");
    let path = folder.path().join("archive.redb");
    fill(&RedbArchive::open(&path)?, records)?;
    open("opened after it was closed", records, || RedbArchive::open(&path))?;
    // A child opens it, commits, and is killed while it is open.
    let mut child = Command::new(std::env::current_exe()?).arg("hold").arg(&path).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().ok_or("no output")?), &mut line)?;
    child.kill()?;
    child.wait()?;
    open("opened after a kill", records + 1, || RedbArchive::open(&path))?;

    println!("a folder of segments");
    let path = folder.path().join("segments");
    fill(&ObjectOptions::new().open_folder(&path)?, records)?;
    let archive = open("opened", records, || ObjectOptions::new().open_folder(&path))?;
    let begun = Instant::now();
    archive.compact()?;
    println!("  compacted in {:.1?}, {} segments", begun.elapsed(), archive.status()?.segments);
    Ok(())
}

/// Commits to the file, says so, and waits to be killed.
fn hold(path: &Path) -> Result<(), Box<dyn Error>> {
    let archive = RedbArchive::open(path)?;
    archive.commit(&[Op::Put { key: b"held", tick: u64::MAX, value: &VALUE }])?;
    println!("held");
    loop {
        std::thread::park();
    }
}
