//! What the store holds: blocks of lines, cut from files.

use std::{fmt, sync::Arc, time::SystemTime};

use tierstack::TierStore;

/// A store of fragments. The value is behind an `Arc`: what the store hands out is a clone, and must be cheap.
pub type Store = TierStore<Key, Arc<Snippet>>;

/// Which lines of which file. All keys of one file share its path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The path below the directory that was searched.
    pub path: Arc<str>,
    /// The first line, counted from 1.
    pub first: u32,
    /// The last line.
    pub last: u32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}-{}", self.path, self.first, self.last)
    }
}

/// The lines themselves.
#[derive(Debug)]
pub struct Snippet {
    pub text: Box<str>,
    /// When the file was last modified.
    pub modified: SystemTime,
}

impl Snippet {
    /// What it takes from the budget: the bytes that it would add to a prompt.
    pub fn weight(&self) -> u64 {
        self.text.len() as u64
    }
}

/// A block of lines that [`cut`] found.
#[derive(Debug, PartialEq, Eq)]
pub struct Block<'t> {
    pub first: u32,
    pub last: u32,
    pub text: &'t str,
}

/// A fragment ends before an unindented line that follows a blank one, once it has so many lines …
const ENOUGH: u32 = 8;
/// … and at any blank line, once it has so many …
const MANY: u32 = 40;
/// … and anywhere, once it has so many.
const MOST: u32 = 80;

/// Cuts a file at blank lines into blocks of some 8 to 80 lines: an item with its comments, a paragraph, a section.
/// Blank lines at either end belong to no block, and blocks never overlap.
pub fn cut(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Open> = None;
    let mut after_blank = false;
    let mut offset = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let start = offset;
        offset += line.len();
        if line.trim().is_empty() {
            after_blank = true;
            continue;
        }
        let unindented = !line.starts_with(char::is_whitespace);
        if let Some(block) = open
            && block.ends_before(number, unindented, after_blank)
        {
            blocks.push(block.close(text));
            open = None;
        }
        let block = open.get_or_insert(Open { first: number, last: number, start, end: start });
        block.last = number;
        block.end = start + line.trim_end().len();
        after_blank = false;
    }
    blocks.extend(open.map(|block| block.close(text)));
    blocks
}

/// A block that may still grow: its lines, and the bytes they take.
#[derive(Clone, Copy)]
struct Open {
    first: u32,
    last: u32,
    start: usize,
    end: usize,
}

impl Open {
    fn ends_before(self, line: u32, unindented: bool, after_blank: bool) -> bool {
        let lines = line - self.first;
        lines >= MOST || (after_blank && (lines >= MANY || (unindented && lines >= ENOUGH)))
    }

    fn close(self, text: &str) -> Block<'_> {
        Block { first: self.first, last: self.last, text: &text[self.start..self.end] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_blank_lines_is_lost_and_nothing_overlaps() {
        let text: String = (1..500).map(|n| if n % 7 == 0 { "\n".into() } else { format!("line {n}\r\n") }).collect();
        let lines: Vec<_> = text.lines().collect();
        let blocks = cut(&text);
        assert!(blocks.len() > 10);
        let mut line = 0;
        for block in &blocks {
            assert!(lines[line..block.first as usize - 1].iter().all(|line| line.is_empty()));
            line = block.last as usize;
            let expected = &lines[block.first as usize - 1..line];
            assert!(block.text.lines().eq(expected.iter().copied()), "{block:?}");
            assert!(block.last - block.first < MOST);
        }
        assert!(lines[line..].iter().all(|line| line.is_empty()));
    }

    #[test]
    fn blocks_end_where_items_do() {
        let item = "fn item() {\n    one();\n\n    two();\n    three();\n    four();\n    five();\n}\n";
        let text = format!("\n{item}\n\n{item}");
        let ends: Vec<_> = cut(&text).iter().map(|block| (block.first, block.last)).collect();
        assert_eq!(ends, [(2, 9), (12, 19)]);
    }

    #[test]
    fn the_smallest_and_the_longest() {
        assert_eq!(cut(""), []);
        assert_eq!(cut(" \n\n\t\n"), []);
        assert_eq!(cut("é"), [Block { first: 1, last: 1, text: "é" }]);
        assert_eq!(cut(&"x\n".repeat(200)).len(), 3);
    }
}
