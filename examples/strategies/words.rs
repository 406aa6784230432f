//! Words, and the words of the question.

/// Words that say nothing about what is looked for.
const STOP_WORDS: &[&str] = &[
    "about", "after", "all", "an", "and", "any", "are", "as", "at", "be", "been", "before", "by", "can", "could",
    "did", "do", "does", "for", "from", "get", "had", "has", "have", "how", "if", "in", "into", "is", "it", "its",
    "me", "my", "no", "not", "of", "on", "once", "or", "our", "out", "should", "so", "some", "than", "that", "the",
    "their", "them", "then", "there", "they", "this", "to", "up", "us", "was", "we", "were", "what", "when", "where",
    "which", "while", "who", "why", "will", "with", "would", "you", "your",
];

/// Each word of `text`, in lower case, without its ending: `RetiredNode` and `retire_nodes` both give `retir`, `nod`.
pub fn words(text: &str, mut each: impl FnMut(&str)) {
    let mut word = String::new();
    let mut after_lower = false;
    for c in text.chars() {
        if !c.is_alphanumeric() || (after_lower && c.is_uppercase()) {
            if !word.is_empty() {
                each(stem(&word));
                word.clear();
            }
            after_lower = false;
        }
        if c.is_alphanumeric() {
            after_lower = c.is_lowercase() || c.is_numeric();
            if c.is_ascii() { word.push(c.to_ascii_lowercase()) } else { word.extend(c.to_lowercase()) }
        }
    }
    if !word.is_empty() {
        each(stem(&word));
    }
}

/// The word without its ending. It need not be a word, only the same for all forms of one.
fn stem(word: &str) -> &str {
    for (ending, least) in [("ations", 4), ("ation", 4), ("ings", 3), ("ing", 3), ("ed", 3)] {
        if let Some(stem) = word.strip_suffix(ending)
            && stem.len() >= least
        {
            let doubled = matches!(stem.as_bytes(), [.., a, b] if a == b && b"bdgmnprt".contains(b));
            return if doubled { &stem[..stem.len() - 1] } else { stem };
        }
    }
    ["es", "s", "e"].iter().filter_map(|ending| word.strip_suffix(ending)).find(|stem| stem.len() >= 3).unwrap_or(word)
}

/// A set of the question's terms, as bits.
pub type Terms = u64;

/// What is looked for.
pub struct Question {
    pub text: String,
    /// Without repetitions, in the order in which they were asked.
    terms: Vec<String>,
}

/// How often a text has each term.
pub struct Counts {
    /// For each term of the question.
    pub of: Vec<u32>,
    /// Words in all.
    pub words: u32,
}

impl Counts {
    /// The terms that occur.
    pub fn terms(&self) -> Terms {
        self.of.iter().enumerate().filter(|&(_, &n)| n > 0).fold(0, |terms, (i, _)| terms | 1 << i)
    }
}

impl Question {
    /// `None` where there is no word to look for. Words after the 64th that counts are left out.
    pub fn new(text: &str) -> Option<Self> {
        let mut stops = Vec::new();
        words(&STOP_WORDS.join(" "), |word| stops.push(word.to_owned()));
        let mut terms = Vec::new();
        words(text, |word| {
            let counts = word.chars().nth(1).is_some() && !stops.iter().any(|stop| stop == word);
            if counts && terms.len() < Terms::BITS as usize && !terms.iter().any(|term| term == word) {
                terms.push(word.to_owned());
            }
        });
        (!terms.is_empty()).then(|| Self { text: text.to_owned(), terms })
    }

    pub fn terms(&self) -> &[String] {
        &self.terms
    }

    /// The number of a term of the question, if the word is one.
    pub fn term(&self, word: &str) -> Option<usize> {
        self.terms.iter().position(|term| term == word)
    }

    pub fn count(&self, text: &str) -> Counts {
        let mut counts = Counts { of: vec![0; self.terms.len()], words: 0 };
        words(text, |word| {
            counts.words += 1;
            if let Some(term) = self.term(word) {
                counts.of[term] += 1;
            }
        });
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        words(text, |word| all.push(word.to_owned()));
        all
    }

    #[test]
    fn forms_of_a_word_are_one() {
        assert_eq!(all("RetiredNode, retire_nodes!"), ["retir", "nod", "retir", "nod"]);
        assert_eq!(all("pin pinned pinning pins"), ["pin"; 4]);
        assert_eq!(all("advance advances advanced ADVANCING"), ["advanc"; 4]);
        assert_eq!(all("l'Été 2PC"), ["l", "été", "2", "pc"]);
    }

    #[test]
    fn a_question_keeps_what_it_asks_for() {
        let question = Question::new("When does the epoch advance, and the epochs?").unwrap();
        assert_eq!(question.terms(), ["epoch", "advanc"]);
        assert_eq!(question.count("Epoch::advance(epoch), x").of, [2, 1]);
        assert_eq!(question.count("no such thing").terms(), 0);
        assert_eq!(question.count("to advance").terms(), 0b10);
        assert!(Question::new("what is it?").is_none());
        assert!(Question::new(" ").is_none());
    }
}
