//! Progress bars for the long parts, none where a person would not see them.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub struct Progress {
    shown: bool,
}

impl Progress {
    /// The bars go to standard error, but they would also spoil what a pager shows of standard output.
    pub fn new() -> Self {
        Self { shown: io::stdout().is_terminal() && io::stderr().is_terminal() }
    }

    /// A bar for a part with a known end.
    pub fn bar(&self, what: &'static str, length: usize) -> ProgressBar {
        self.start(what, Some(length as u64), "{msg:>10} {wide_bar} {human_pos}/{human_len}")
    }

    /// A spinner for a part whose end is not known.
    pub fn spinner(&self, what: &'static str) -> ProgressBar {
        self.start(what, None, "{msg:>10} {spinner} {human_pos}")
    }

    fn start(&self, what: &'static str, length: Option<u64>, template: &str) -> ProgressBar {
        let target = if self.shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(template).expect("the templates above are right");
        let bar = ProgressBar::with_draw_target(length, target).with_style(style).with_message(what);
        if self.shown {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        bar
    }
}
