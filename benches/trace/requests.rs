//! What is asked for, in its order: a recorded trace, or draws by a Zipf distribution.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufReader, Read as _},
    path::Path,
};

use ruzstd::decoding::StreamingDecoder;
use tierstack_benches::workload::{self, KEY_BYTES};

pub struct Requests {
    /// As it is called in tables.
    pub name: String,
    /// The keys in their order, one after the other, each of `KEY_BYTES`: reading them streams.
    text: String,
    /// How many different keys there are.
    pub distinct: usize,
}

impl Requests {
    /// Reads a trace of block accesses. Each line begins with the first block and how many follow, as in those that were
    /// published with ARC (N. Megiddo and D. S. Modha, FAST 2003); what else is on it is passed over.
    pub fn of_trace(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = BufReader::new(File::open(path).map_err(|error| failed(&error))?);
        let mut lines = String::new();
        if path.extension().is_some_and(|extension| extension == "zst") {
            let mut decoder = StreamingDecoder::new(file).map_err(|error| failed(&error))?;
            decoder.read_to_string(&mut lines).map_err(|error| failed(&error))?;
        } else {
            let mut file = file;
            file.read_to_string(&mut lines).map_err(|error| failed(&error))?;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::of_lines(name, &lines).map_err(|error| failed(&error))
    }

    fn of_lines(name: String, lines: &str) -> Result<Self, String> {
        let mut blocks = Vec::new();
        for (line, number) in lines.lines().zip(1..) {
            let mut fields = line.split_whitespace().map(str::parse::<usize>);
            let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.next()) else {
                return Err(format!("line {number} does not begin with a block and a count"));
            };
            blocks.extend(first..first + count);
        }
        let distinct = blocks.iter().collect::<HashSet<_>>().len();
        Ok(Self { name, text: blocks.into_iter().map(workload::key).collect(), distinct })
    }

    pub fn zipf(keys: usize, requests: usize) -> Self {
        let keys = workload::keys(0, keys);
        let text: String = workload::draw(&keys, requests, 0).collect();
        let mut requests = Self { name: "zipf".into(), text, distinct: 0 };
        requests.distinct = (0..requests.len()).map(|at| requests.key(at)).collect::<HashSet<_>>().len();
        requests
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.text.len() / KEY_BYTES
    }

    #[inline]
    pub fn key(&self, at: usize) -> &str {
        &self.text[at * KEY_BYTES..(at + 1) * KEY_BYTES]
    }
}
