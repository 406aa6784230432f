//! What is asked for, in its order: a recorded trace, or draws by a Zipf distribution.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufReader, Read as _},
    path::Path,
};

use ruzstd::decoding::StreamingDecoder;

use crate::workload::{self, KEY_BYTES};

/// Keys, one request after the other.
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
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
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

    /// Draws by a Zipf distribution over so many keys.
    pub fn zipf(keys: usize, requests: usize) -> Self {
        let keys = workload::keys(0, keys);
        let text: String = workload::draw(&keys, requests, 0).collect();
        let mut requests = Self { name: "zipf".into(), text, distinct: 0 };
        requests.distinct = (0..requests.len()).map(|at| requests.key(at)).collect::<HashSet<_>>().len();
        requests
    }

    /// How many there are.
    #[allow(clippy::len_without_is_empty, reason = "there is no use for it")]
    pub fn len(&self) -> usize {
        self.text.len() / KEY_BYTES
    }

    /// The key of one request.
    #[inline]
    pub fn key(&self, at: usize) -> &str {
        &self.text[at * KEY_BYTES..(at + 1) * KEY_BYTES]
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::*;

    #[test]
    fn a_request_touches_each_of_its_blocks() {
        let requests = Requests::of_lines("t".into(), "7 2 0 1\n3 1 0 2\n7 1 0 3\n").unwrap();
        let keys: Vec<&str> = (0..requests.len()).map(|at| requests.key(at)).collect();
        assert_eq!(keys, [7, 8, 3, 7].map(workload::key));
        assert_eq!(requests.distinct, 3);
    }

    #[test]
    fn what_is_no_trace_is_refused_by_its_line() {
        let error = Requests::of_lines("t".into(), "7 2 0 1\n7\n").err().unwrap();
        assert!(error.starts_with("line 2 "), "{error}");
    }

    #[test]
    fn a_compressed_trace_is_the_same_trace() {
        let lines = "7 2 0 1\n3 1 0 2\n";
        let path = env::temp_dir().join(format!("tierstack-trace-{}.zst", process::id()));
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        fs::write(&path, ruzstd::encoding::compress_to_vec(lines.as_bytes(), level)).unwrap();
        let read = Requests::of_trace(&path);
        fs::remove_file(&path).unwrap();
        let (read, told) = (read.unwrap(), Requests::of_lines("t".into(), lines).unwrap());
        assert_eq!((read.text, read.distinct), (told.text, told.distinct));
        assert!(read.name.starts_with("tierstack-trace-"));
    }

    #[test]
    fn zipf_draws_are_the_same_each_time_and_favour_few() {
        let (one, two) = (Requests::zipf(1_000, 5_000), Requests::zipf(1_000, 5_000));
        assert_eq!(one.text, two.text);
        assert!((100..900).contains(&one.distinct), "{} of 1000", one.distinct);
    }
}
