"""The prompt example, over a folder that is made here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tierstack import OverBudgetError
from tierstack.examples import prompt

QUESTION = "how does the parser read numbers"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "src/parser.py": "def parse(text):\n    return [number(word) for word in text.split()]\n",
        "src/numbers.py": "def read_number(word):\n    # a parser of numbers\n    return int(word)\n",
        "src/parser_test.py": "def test_parser():\n    assert parse('1 2') == [1, 2]\n",
        "docs/guide.md": "# Guide\n\nThe parser reads numbers.\n",
        "docs/other.md": "Nothing to see here.\n",
        ".hidden/parser.py": "numbers = parser\n",
        "empty.txt": "\n\n",
        "größe.txt": "parser\r\nnumbers",
        **{f"many/{number:02}.txt": f"the parser, number {number}\n" * 50 for number in range(20)},
    }
    for number, (name, text) in enumerate(files.items()):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        os.utime(file, (1e9 + number, 1e9 + number))
    (tmp_path / "binary").write_bytes(b"parser\0numbers")
    (tmp_path / "latin1.txt").write_bytes("parser gr\u00f6\u00dfe".encode("latin-1"))
    (tmp_path / "large.txt").write_bytes(b"parser\n" * 200_000)
    return tmp_path


def test_fragments_are_the_text_of_the_folder(folder: Path) -> None:
    fragments = {fragment.key: fragment for fragment in prompt.read(folder, 40)}
    assert {fragment.path for fragment in fragments.values()} == {
        "src/parser.py", "src/numbers.py", "src/parser_test.py", "docs/guide.md", "docs/other.md", "größe.txt",
        *(f"many/{number:02}.txt" for number in range(20)),
    }  # fmt: skip
    assert {"many/00.txt:1-40", "many/00.txt:41-50", "src/parser.py:1-2"} <= fragments.keys()
    assert fragments["docs/other.md:1-1"].text == "## docs/other.md:1-1\nNothing to see here.\n\n"


def test_words_are_parts_of_names() -> None:
    assert prompt.words("readNumber read_number HTTPServer größe x86") == [
        "read", "number", "read", "number", "http", "server", "größe", "x", "86",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("strategy", "best"),
    [("lexical", "src/numbers.py:1-3"), ("recent", "many/19.txt:1-40"), ("path", "src/numbers.py:1-3"), ("definitions", "src/numbers.py:1-3")],
)
def test_each_strategy_has_a_best_fragment_of_its_own_kind(folder: Path, strategy: str, best: str) -> None:
    ranking = prompt.STRATEGIES[strategy](list(prompt.read(folder, 40)), frozenset(prompt.words(QUESTION)))
    assert ranking[0].key == best
    assert all("other.md" not in fragment.key for fragment in ranking)


@pytest.mark.parametrize("budget", [100, 600, 3_000, 1_000_000])
@pytest.mark.parametrize("threads", [1, 8])
def test_the_prompt_is_the_best_of_the_rankings_within_the_budget(folder: Path, budget: int, threads: int) -> None:
    fragments = list(prompt.read(folder, 40))
    built = prompt.build(fragments, QUESTION, budget, list(prompt.STRATEGIES), threads, 10)
    assert len(built.text.encode()) <= budget and built.text.startswith(f"# {QUESTION}\n\n")
    assert built.metrics.peak_hot_bytes <= budget
    ranking = [fragment.key for fragment in prompt.fuse(finding.ranking for finding in built.findings)]
    assert built.keys == [key for key in ranking if key in set(built.keys)]
    if budget == 1_000_000:
        assert built.keys == ranking
    assert all(f"## {key}\n" in built.text for key in built.keys)
    # Nothing is lost, and everything that was chosen is in the plan.
    metrics = built.metrics
    assert metrics.hot.bytes == len(built.text.encode()) + sum(len(key.encode()) for key in (prompt.QUESTION, *built.keys))
    assert metrics.hot.kept_fragments == 1
    assert metrics.hot.fragments + metrics.warm.fragments + metrics.cold.fragments == len(fragments) + 1
    assert built.recorded == sum(len(finding.ranking) for finding in built.findings) == sum(map(len, built.chosen_by.values()))
    for finding in built.findings:
        assert all(finding.strategy in built.chosen_by[fragment.key] for fragment in finding.ranking)
    assert built.shared == sum(len(chosen) > 1 for chosen in built.chosen_by.values())


def test_a_question_that_does_not_fit_is_told(folder: Path) -> None:
    with pytest.raises(OverBudgetError):
        prompt.build(list(prompt.read(folder, 40)), QUESTION, 10, ["lexical"], 2, 10)


def run(*given: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "120"}
    return subprocess.run([sys.executable, "-m", "tierstack.examples.prompt", *given], capture_output=True, encoding="utf-8", env=environment, timeout=120)


@pytest.mark.parametrize("plain", [True, False])
def test_the_command_shows_strategies_fragments_and_the_prompt(folder: Path, plain: bool) -> None:
    if not plain:
        pytest.importorskip("rich")
    done = run(str(folder), *QUESTION.split(), "--budget", "2000", "--show", *(["--plain"] if plain else []))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"# {QUESTION}\n")
    assert ("┃" in done.stdout) is not plain
    for text in (*prompt.STRATEGIES, "src/numbers.py:1-3", "definitions, lexical", "of 2,000", "chosen by more than one strategy"):
        assert text in done.stdout


@pytest.mark.parametrize("plain", [True, False])
def test_a_path_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], plain: bool) -> None:
    prompt.show([[("fragment", "chosen by"), ("[bold]/[id].tsx:1-40", "path")]], plain=plain)
    assert "[bold]/[id].tsx:1-40" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(folder: Path) -> None:
    for given, code, text in [
        ([str(folder / "none"), "why"], 2, "is not a folder"),
        ([str(folder / ".hidden" / "none"), "why"], 2, "is not a folder"),
        ([str(folder), "why", "--budget", "0"], 2, "less than 1"),
        ([str(folder), "why", "--strategy", "luck"], 2, "invalid choice"),
        ([str(folder), "why" * 100, "--budget", "20"], 1, "does not fit"),
    ]:
        done = run(*given)
        assert (done.returncode, text in done.stderr) == (code, True), done.stderr
    (folder / "bare").mkdir(exist_ok=True)
    assert run(str(folder / "bare"), "why").returncode == 1
