"""Builds a prompt from a folder of text files: ``python -m tierstack.examples.prompt DIR QUESTION``.

Retrieval strategies run at once, in a thread pool, over one store and one plan. Each has a changeset of its own, ranks the fragments of the
files in its own way, records those that it chose, and promotes them. The rankings are fused, the best fragments go into hot as long as
they fit beside the question, and the prompt is what a snapshot of hot shows.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tierstack import Change, ContendedError, Metrics, OverBudgetError, PlanContext, Tier, TierStore

QUESTION = "the question"
"""The key of the question. No fragment of a file has it: those have a colon."""

MOST_BYTES = 1 << 20
"""Larger files are passed over."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Some lines of a file."""

    key: str
    """Path and lines: ``src/main.py:41-80``."""
    path: str
    """The path within the folder, with ``/``."""
    text: str
    words: Counter[str]
    modified: float
    """When the file was changed last."""


Ranking = list[Fragment]
"""Fragments, the best first."""

Strategy = Callable[[Sequence[Fragment], frozenset[str]], Ranking]
"""Ranks the fragments that it finds worth anything for the words of a question."""


def words(text: str) -> list[str]:
    """The words of a text, in lower case. ``hotBudget`` and ``hot_budget`` are two words each."""
    found: list[str] = []
    for word in re.findall(r"[^\W\d_]+|\d+", text):
        found += re.split(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", word)
    return [word.lower() for word in found]


def lexical(fragments: Sequence[Fragment], asked: frozenset[str]) -> Ranking:
    """By the words of the question, the rare ones above all (BM25: Robertson and others, 1994)."""
    having = Counter(word for fragment in fragments for word in asked & fragment.words.keys())
    rarity = {word: math.log(1 + (len(fragments) - count + 0.5) / (count + 0.5)) for word, count in having.items()}
    lengths = [fragment.words.total() for fragment in fragments]
    average = sum(lengths) / max(1, len(lengths)) or 1.0
    scores: dict[str, float] = {}
    for fragment, length in zip(fragments, lengths, strict=True):
        damping = 1.2 * (0.25 + 0.75 * length / average)
        scores[fragment.key] = sum(
            rarity[word] * count * 2.2 / (count + damping) for word in asked if (count := fragment.words[word])
        )
    return _ranked(fragments, scores)


def recent(fragments: Sequence[Fragment], asked: frozenset[str]) -> Ranking:
    """By the time of the file's last change, of the fragments that have any word of the question."""
    return _ranked(fragments, {fragment.key: fragment.modified for fragment in fragments if asked & fragment.words.keys()})


def path(fragments: Sequence[Fragment], asked: frozenset[str]) -> Ranking:
    """By how many words of the question are in the file's path."""
    return _ranked(fragments, {fragment.key: len(asked.intersection(words(fragment.path))) for fragment in fragments})


def definitions(fragments: Sequence[Fragment], asked: frozenset[str]) -> Ranking:
    """By how many of the names that are defined there have a word of the question."""
    defined = re.compile(r"\b(?:def|class|fn|func|function|struct|enum|trait|interface|type|const|mod)\s+(\w+)|^#+\s+(.+)$", re.MULTILINE)
    scores: dict[str, float] = {}
    for fragment in fragments:
        names = (name or heading for name, heading in defined.findall(fragment.text))
        scores[fragment.key] = sum(len(asked.intersection(words(name))) for name in names)
    return _ranked(fragments, scores)


STRATEGIES: Mapping[str, Strategy] = {one.__name__: one for one in (lexical, recent, path, definitions)}


def _ranked(fragments: Sequence[Fragment], scores: Mapping[str, float]) -> Ranking:
    found = [fragment for fragment in fragments if scores.get(fragment.key, 0) > 0]
    return sorted(found, key=lambda fragment: (-scores[fragment.key], fragment.key))


def read(folder: Path, lines: int) -> Iterator[Fragment]:
    """The text files below the folder, cut into fragments of so many lines. Passes over what is hidden, large or not UTF-8."""
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(one for one in files if not one.startswith(".")):
            yield from _cut(folder, Path(name, file), lines)


def _cut(folder: Path, file: Path, lines: int) -> Iterator[Fragment]:
    try:
        facts = file.stat()
        if not file.is_file() or facts.st_size > MOST_BYTES:
            return
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    try:
        within = file.relative_to(folder).as_posix()
        within.encode()
    except UnicodeEncodeError:
        return  # a file name that is no text
    all_lines = text.splitlines(keepends=True)
    for first in range(0, 0 if "\0" in text else len(all_lines), lines):
        part = all_lines[first : first + lines]
        body = "".join(part)
        if body.strip():
            key = f"{within}:{first + 1}-{first + len(part)}"
            yield Fragment(key, within, f"## {key}\n{body.rstrip()}\n\n", Counter(words(body)), facts.st_mtime)


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a strategy."""

    strategy: str
    changeset: str
    ranking: Ranking
    found: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, and how it came about."""

    text: str
    keys: list[str]
    """Of the fragments in it, the best first."""
    findings: list[Finding]
    chosen_by: Mapping[str, list[str]]
    """The strategies that chose a fragment, by its key."""
    shared: int
    """How many fragments more than one changeset has: what the plan calls a conflict."""
    recorded: int
    fragments: int
    metrics: Metrics


def build(fragments: Sequence[Fragment], question: str, budget: int, strategies: Sequence[str], threads: int, most: int) -> Prompt:
    """Runs the strategies, each of which may choose so many fragments, and builds the prompt.

    Raises :class:`OverBudgetError` if the question alone does not fit into the budget.
    """
    store: TierStore[str] = TierStore(budget)
    plan = PlanContext()
    store.store(QUESTION, f"# {question}\n\n")
    store.promote(QUESTION)  # where it is too heavy for hot, this says so
    store.keep(QUESTION)  # no other fragment pushes it out of hot
    asked = frozenset(words(question))
    # All start before any ends: so the plan takes them for parallel, however fast they are.
    changesets = {name: plan.start_changeset() for name in strategies}

    def run(name: str) -> Finding:
        start = time.perf_counter()
        with changesets[name] as changeset:  # closed at the end; aborted if the strategy raises
            ranking = STRATEGIES[name](fragments, asked)
            for rank, fragment in enumerate(ranking[:most], 1):
                changeset.record(Change.modify(fragment.key, recorder=name, metadata={"rank": str(rank)}))
                _promote(store, fragment.key)
        return Finding(name, changeset.id, ranking[:most], len(ranking), time.perf_counter() - start)

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda fragment: _shelve(store, fragment), fragments):
            pass
        findings = list(pool.map(run, strategies))

    # From the last to the best: hot keeps those that were used last, and the least of them make room.
    for fragment in reversed(fuse(finding.ranking for finding in findings)):
        _promote(store, fragment.key)

    hot = store.snapshot(Tier.HOT).all()  # one instant; the most recently used first
    plan_snapshot = plan.snapshot()
    chosen_by = defaultdict(list)
    for record in plan_snapshot.changes():
        chosen_by[record.change.path].append(record.change.recorder or "")
    body = [item for item in hot if item.key != QUESTION]
    return Prompt(
        text=store[QUESTION] + "".join(item.value for item in body),
        keys=[item.key for item in body],
        findings=findings,
        chosen_by=chosen_by,
        shared=len(plan_snapshot.conflicts()),
        recorded=sum(map(len, chosen_by.values())),
        fragments=len(fragments),
        metrics=store.metrics(),
    )


def _shelve(store: TierStore[str], fragment: Fragment) -> None:
    """Stores a fragment for later. `store` puts it into hot, so that it is demoted at once."""
    store.store(fragment.key, fragment.text)
    store.demote_to(fragment.key, Tier.COLD)


def _promote(store: TierStore[str], key: str) -> None:
    """Makes a fragment the most recently used of hot. One that does not fit stays where it is."""
    with suppress(OverBudgetError, ContendedError):
        store.promote_to(key, Tier.HOT)


def fuse(rankings: Iterable[Ranking]) -> Ranking:
    """One ranking of several (reciprocal rank fusion: Cormack and others, 2009)."""
    scores: defaultdict[str, float] = defaultdict(float)
    known: dict[str, Fragment] = {}
    for ranking in rankings:
        for rank, fragment in enumerate(ranking, 1):
            known[fragment.key] = fragment
            scores[fragment.key] += 1 / (60 + rank)
    return sorted(known.values(), key=lambda fragment: (-scores[fragment.key], fragment.key))


Row = tuple[str, ...]


def strategy_rows(prompt: Prompt) -> list[Row]:
    """A row for each strategy, under its headings."""
    within = set(prompt.keys)
    rows: list[Row] = [("strategy", "changeset", "found", "chosen", "in the prompt", "ms")]
    for one in prompt.findings:
        used = sum(fragment.key in within for fragment in one.ranking)
        rows.append((one.strategy, one.changeset, str(one.found), str(len(one.ranking)), str(used), f"{one.seconds * 1000:.1f}"))
    return rows


def fragment_rows(prompt: Prompt) -> list[Row]:
    """A row for each fragment in the prompt, the best first, under its headings."""
    rows: list[Row] = [("fragment", "chosen by")]
    return rows + [(key, ", ".join(sorted(prompt.chosen_by[key]))) for key in prompt.keys]


def summary(prompt: Prompt, budget: int) -> str:
    """What came of it all, in two lines."""
    held, metrics = prompt.metrics.hot.bytes, prompt.metrics
    return (
        f"The prompt has {len(prompt.text.encode()):,} bytes; hot holds {held:,} of {budget:,}, "
        f"warm {metrics.warm.fragments:,} and cold {metrics.cold.fragments:,} fragments.\n"
        f"{prompt.fragments:,} fragments read, {prompt.recorded:,} choices recorded, "
        f"{prompt.shared:,} fragments chosen by more than one strategy."
    )


def show(tables: Iterable[list[Row]], *, plain: bool) -> None:
    """Prints tables whose first rows are headings: by `rich` where it is installed, and as plain text otherwise."""
    try:
        if plain:
            raise ImportError
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        for rows in tables:
            print(_plain(rows), end="\n\n")
        return
    console = Console()
    for headings, *rows in tables:
        table = Table(*headings)
        for row in rows:
            table.add_row(*map(Text, row))  # what is in brackets is no markup
        console.print(table)


def _plain(rows: list[Row]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m tierstack.examples.prompt",
        description="Builds a prompt from the text files of a folder, by several retrieval strategies at once.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the files are")
    parser.add_argument("question", nargs="+", metavar="QUESTION", help="what the prompt is to help to answer")
    parser.add_argument("--budget", type=_count, default=16_384, metavar="BYTES", help="the hot budget (default: 16384)")
    parser.add_argument("--threads", type=_count, default=4, metavar="N", help="threads of the pool (default: 4)")
    parser.add_argument("--lines", type=_count, default=40, metavar="N", help="lines of a fragment (default: 40)")
    parser.add_argument("--most", type=_count, default=50, metavar="N", help="fragments that a strategy may choose (default: 50)")
    parser.add_argument("--strategy", action="append", choices=STRATEGIES, help="only this one; may be given again (default: all)")
    parser.add_argument("--show", action="store_true", help="print the prompt as well, before the tables")
    parser.add_argument("--plain", action="store_true", help="plain text, even where rich is installed")
    options = parser.parse_args(given)
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is not a folder")
    return options


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def main(given: Sequence[str] | None = None) -> int:
    """Answers 0, or 1 where there is nothing to build a prompt of."""
    options = arguments(given)
    fragments = list(read(options.folder, options.lines))
    if not fragments:
        print(f"no text in {options.folder}", file=sys.stderr)
        return 1
    chosen = list(dict.fromkeys(options.strategy or STRATEGIES))
    try:
        prompt = build(fragments, " ".join(options.question), options.budget, chosen, options.threads, options.most)
    except OverBudgetError as error:
        print(f"the question does not fit into the budget: {error}", file=sys.stderr)
        return 1
    if options.show:
        print(prompt.text)
    show([strategy_rows(prompt), fragment_rows(prompt)], plain=options.plain)
    print(summary(prompt, options.budget))
    return 0


if __name__ == "__main__":
    sys.exit(main())
