//! What is asked for, in its order: a recorded trace, or draws by a Zipf distribution.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufReader, Read as _},
    path::Path,
};

use ruzstd::decoding::StreamingDecoder;
use serde_json::Value;

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
    /// Reads a trace, from text or, in a file that ends in `.zst`, Zstandard-compressed text. The first line tells the format:
    ///
    /// - Accesses to the blocks of a disk, as published with ARC (N. Megiddo and D. S. Modha, FAST 2003). A line begins with
    ///   the first block and how many follow; what else is on it is passed over.
    /// - Requests to a served language model, as published with Mooncake (R. Qin et al., FAST 2025). A line is a JSON object, and
    ///   its `hash_ids` are the blocks of the prompt, in order: equal ids are equal prefixes of prompts.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub fn of_trace(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut file = BufReader::new(File::open(path).map_err(|error| failed(&error))?);
        let is_compressed = path.extension().is_some_and(|extension| extension == "zst");
        let mut lines = String::new();
        if is_compressed {
            let mut decoder = StreamingDecoder::new(file).map_err(|error| failed(&error))?;
            decoder.read_to_string(&mut lines).map_err(|error| failed(&error))?;
        } else {
            file.read_to_string(&mut lines).map_err(|error| failed(&error))?;
        }
        let name = if is_compressed { path.with_extension("") } else { path.to_path_buf() };
        let name = name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::of_lines(name, &lines).map_err(|error| failed(&error))
    }

    fn of_lines(name: String, lines: &str) -> Result<Self, String> {
        let blocks_of = if lines.trim_start().starts_with('{') { of_prompt } else { of_disk };
        let mut blocks = Vec::new();
        for (line, number) in lines.lines().zip(1..) {
            blocks_of(line, &mut blocks).map_err(|error| format!("line {number} {error}"))?;
        }
        if let Some(block) = blocks.iter().find(|&&block| block >= workload::MOST_KEYS) {
            return Err(format!(
                "block {block} has a number that makes no key: it is not below {}",
                workload::MOST_KEYS
            ));
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

/// The blocks of a line such as `13 2 0 7`: 13 and 14.
fn of_disk(line: &str, blocks: &mut Vec<usize>) -> Result<(), String> {
    let mut fields = line.split_whitespace().map(str::parse::<usize>);
    let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.next()) else {
        return Err("does not begin with a block and a count".into());
    };
    let end = first.checked_add(count).filter(|&end| end <= workload::MOST_KEYS);
    blocks.extend(first..end.ok_or("has blocks whose numbers make no keys")?);
    Ok(())
}

/// The blocks of a line such as `{"timestamp": 0, "input_length": 600, "output_length": 9, "hash_ids": [4, 7]}`: 4 and 7.
fn of_prompt(line: &str, blocks: &mut Vec<usize>) -> Result<(), String> {
    let request: Value = serde_json::from_str(line).map_err(|error| format!("is no JSON object: {error}"))?;
    let ids = request["hash_ids"].as_array().ok_or("has no list of hash_ids")?;
    for id in ids {
        let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
        blocks.push(id.ok_or("has something in hash_ids that is not the number of a block")?);
    }
    Ok(())
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

    const PROMPTS: &str = r#"{"timestamp": 0, "input_length": 900, "output_length": 50, "hash_ids": [0, 1]}
{"timestamp": 3, "input_length": 1300, "output_length": 9, "hash_ids": [0, 1, 2]}
{"hash_ids": [], "timestamp": 5}
{"timestamp": 9, "input_length": 40, "output_length": 7, "hash_ids": [5]}
"#;

    fn keys(requests: &Requests) -> Vec<&str> {
        (0..requests.len()).map(|at| requests.key(at)).collect()
    }

    #[test]
    fn a_prompt_uses_its_blocks_in_order() {
        let requests = Requests::of_lines("t".into(), PROMPTS).unwrap();
        assert_eq!(keys(&requests), [0, 1, 0, 1, 2, 5].map(workload::key));
        assert_eq!(requests.distinct, 4);
    }

    #[test]
    fn what_is_no_prompt_is_refused_by_its_line() {
        for (wrong, why) in [
            ("{\"hash_ids\": [1}", "is no JSON"),
            ("7 2 0 1", "is no JSON"),
            ("7", "has no list of hash_ids"),
            ("{}", "has no list of hash_ids"),
            ("{\"hash_ids\": [1, \"2\"]}", "has something in hash_ids"),
            ("{\"hash_ids\": [-1]}", "has something in hash_ids"),
            ("{\"hash_ids\": [1.5]}", "has something in hash_ids"),
        ] {
            let lines = format!("{{\"hash_ids\": [1]}}\n{wrong}\n");
            let error = Requests::of_lines("t".into(), &lines).err().unwrap();
            assert!(error.starts_with(&format!("line 2 {why}")), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_number_that_makes_no_key_is_refused() {
        for lines in ["99999999 2 0 1\n", "18446744073709551615 2 0 1\n", "{\"hash_ids\": [100000000]}\n"] {
            let error = Requests::of_lines("t".into(), lines).err().unwrap();
            assert!(error.contains("no key"), "{lines}: {error}");
        }
        assert!(Requests::of_lines("t".into(), "99999999 1 0 1\n").is_ok());
    }

    #[test]
    fn a_compressed_trace_is_the_same_trace() {
        for (lines, extension) in [("7 2 0 1\n3 1 0 2\n", "zst"), (PROMPTS, "jsonl.zst"), (PROMPTS, "jsonl")] {
            let name = format!("tierstack-trace-{}", process::id());
            let path = env::temp_dir().join(format!("{name}.{extension}"));
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            let compressed = || ruzstd::encoding::compress_to_vec(lines.as_bytes(), level);
            fs::write(&path, if extension.ends_with("zst") { compressed() } else { lines.into() }).unwrap();
            let read = Requests::of_trace(&path);
            fs::remove_file(&path).unwrap();
            let (read, told) = (read.unwrap(), Requests::of_lines("t".into(), lines).unwrap());
            assert_eq!((read.text, read.distinct), (told.text, told.distinct));
            assert_eq!(read.name, name, "without the extensions");
        }
    }

    #[test]
    fn zipf_draws_are_the_same_each_time_and_favour_few() {
        let (one, two) = (Requests::zipf(1_000, 5_000), Requests::zipf(1_000, 5_000));
        assert_eq!(one.text, two.text);
        assert!((100..900).contains(&one.distinct), "{} of 1000", one.distinct);
    }
}
