//! Symbol definitions: fragments that define something whose name has the question's words.

use crate::{
    corpus::{Corpus, Id},
    fragment::Snippet,
    strategies::Judge,
    words::{Question, Terms, words},
};

/// What may stand before the keyword.
const MODIFIERS: &[&str] = &[
    "pub",
    "async",
    "unsafe",
    "extern",
    "default",
    "export",
    "public",
    "private",
    "protected",
    "static",
    "inline",
    "abstract",
    "final",
    "virtual",
];
/// What stands right before the name. `static` and `const` are also modifiers: `static fn`, `const fn`.
const KEYWORDS: &[&str] = &[
    "fn",
    "struct",
    "enum",
    "trait",
    "union",
    "type",
    "macro_rules!",
    "const",
    "static",
    "class",
    "interface",
    "def",
    "func",
    "function",
    "namespace",
];

pub struct Symbols<'c> {
    corpus: &'c Corpus,
}

impl<'c> Symbols<'c> {
    pub fn new(corpus: &'c Corpus) -> Self {
        Self { corpus }
    }
}

impl Judge for Symbols<'_> {
    fn name(&self) -> &'static str {
        "symbols"
    }

    /// All of them: the index does not know definitions.
    fn candidates(&self) -> Vec<Id> {
        self.corpus.select(|_| true)
    }

    /// By the best name: how much of the question it has, and how much of it the question has.
    fn judge(&self, _: Id, snippet: &Snippet) -> Option<f64> {
        let of_name = |name| {
            let (terms, matched, words) = match_name(&self.corpus.question, name);
            self.corpus.share(terms) * f64::from(matched) / f64::from(words.max(1))
        };
        names(&snippet.text).map(of_name).max_by(f64::total_cmp).filter(|&score| score > 0.0)
    }
}

/// The terms of the question in a name, how many of its words are such, and how many words it has.
fn match_name(question: &Question, name: &str) -> (Terms, u32, u32) {
    let (mut terms, mut matched, mut all) = (0, 0, 0);
    words(name, |word| {
        all += 1;
        if let Some(term) = question.term(word) {
            matched += 1;
            terms |= 1 << term;
        }
    });
    (terms, matched, all)
}

/// The names that a text defines, by the look of its lines: good enough for most languages, exact for none.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(defined_name)
}

fn defined_name(line: &str) -> Option<&str> {
    let mut keyword = None;
    for word in line.split_whitespace() {
        let head = word.split('(').next().unwrap_or_default();
        if KEYWORDS.contains(&head) {
            keyword = Some(head);
        } else if keyword.is_some() {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let name = &word[..word.find(|c| !is_part(c)).unwrap_or(word.len())];
            let modifier = MODIFIERS.contains(&word) || word == "mut" || word.starts_with('"');
            if !modifier {
                return (!name.is_empty()).then_some(name);
            }
        } else if !MODIFIERS.contains(&head) && !word.starts_with('"') {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_known_by_their_looks() {
        let named = |line| defined_name(line).unwrap_or("-");
        assert_eq!(named("    pub(crate) const unsafe fn try_advance<T>(&self) {"), "try_advance");
        assert_eq!(named("pub struct LocalHandle;"), "LocalHandle");
        assert_eq!(named("extern \"C\" fn call() {"), "call");
        assert_eq!(named("static mut COUNT: u32 = 0;"), "COUNT");
        assert_eq!(named("macro_rules! atomic {"), "atomic");
        assert_eq!(named("def reclaim(self):"), "reclaim");
        assert_eq!(named("export default class Epoch {"), "Epoch");
        for other in ["", "let fn_pointer = x;", "// fn no", "impl Epoch {", "use mod_a::b;", "pub use a;", "fn (x)"] {
            assert_eq!(defined_name(other), None, "{other:?}");
        }
    }

    #[test]
    fn terms_are_found_in_names_only() {
        let question = Question::new("epoch advance").unwrap();
        assert!(names("fn advanced() {\n    epoch();\n}").eq(["advanced"]));
        assert!(names("struct Epoch;\npub fn new() {}").eq(["Epoch", "new"]));
        assert_eq!(match_name(&question, "try_advance"), (0b10, 1, 2));
    }
}
