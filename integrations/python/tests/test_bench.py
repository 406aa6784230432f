"""The benchmark works, and its table goes between the markers. What it measures here means nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

for needed in ("cachebox", "cachetools", "numpy", "tabulate"):
    pytest.importorskip(needed)
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy  # noqa: E402
from bench import __main__ as bench  # noqa: E402
from bench import report  # noqa: E402
from bench.measure import Rounds, percentiles  # noqa: E402
from bench.subjects import SUBJECTS, LockedTiers  # noqa: E402
from bench.workloads import BUDGET, DEMOTE, FRAGMENTS, GET, KEYS, VALUES, WORKLOADS  # noqa: E402


@pytest.mark.parametrize("name", SUBJECTS)
def test_all_subjects_hold_the_same(name: str) -> None:
    subject = SUBJECTS[name](BUDGET)
    GET.fill(subject)
    assert [subject.get(key) for key in KEYS[:FRAGMENTS]] == VALUES[0][:FRAGMENTS]
    assert sorted(subject.prompt().split("\n")) == sorted(VALUES[0][:FRAGMENTS])
    subject.store(KEYS[FRAGMENTS], VALUES[0][FRAGMENTS])  # one more: the least recently used makes room
    prompt = subject.prompt().split("\n")
    assert len(prompt) == FRAGMENTS and VALUES[0][0] not in prompt and VALUES[0][FRAGMENTS] in prompt


@pytest.mark.parametrize("threads", [1, 3])
def test_a_store_that_demotes_does_so_each_time(threads: int) -> None:
    subject = SUBJECTS["tierstack"](BUDGET)
    DEMOTE.fill(subject)
    metrics = subject._tiers.metrics  # type: ignore[attr-defined]
    before = metrics().evictions
    for plan in DEMOTE.plans(threads):
        DEMOTE.loop(subject, plan[:50], 1)
    assert metrics().evictions - before == 50 * threads


def test_the_locked_tiers_lose_nothing() -> None:
    tiers = LockedTiers(BUDGET)
    for key, value in zip(KEYS, VALUES[0], strict=True):
        tiers.store(key, value)
    assert all(tiers.get(key) == value for key, value in zip(KEYS, VALUES[0], strict=True))
    assert (len(tiers._hot), len(tiers._warm), tiers._hot_bytes) == (FRAGMENTS, FRAGMENTS, BUDGET)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_the_loops_do_as_many_operations_as_are_counted(workload: object) -> None:
    assert workload in WORKLOADS
    for one in WORKLOADS:
        if one is workload:
            subject = SUBJECTS["tierstack"](BUDGET)
            one.fill(subject)
            plan = one.plans(2)[1]
            assert len(one.timed(subject, plan, 2)) == 2 * len(plan)


def test_the_command_measures_and_prints_goals(capsys: pytest.CaptureFixture[str]) -> None:
    readme = report.README.read_bytes()
    assert bench.main(["--quick", "--threads", "1", "--only", "get", "demotes"]) == 0
    told = capsys.readouterr().out
    assert all(goal.text in told for goal in report.GOALS if goal.threads == 1) and all(name in told for name in SUBJECTS)
    assert report.README.read_bytes() == readme


def test_goals_are_told_as_reached_or_not() -> None:
    cells = {}
    for workload, threads, ours, locked in ((GET.name, 1, 500.0, 100.0), (GET.name, 4, 1_999.0, 100.0), (DEMOTE.name, 1, 151.0, 100.0)):
        cells[workload, threads, report.OURS] = Rounds([ours], [1.0], [[1, 2, 9]])
        cells[workload, threads, report.LOCKED] = Rounds([locked], [1.0], [[1, 2, 90]])
    told = [goal.told(cells) for goal in report.GOALS]
    assert [row and row[-1] for row in told] == ["reached", "reached", "not reached", None, "reached"]


def test_a_busy_machine_is_told() -> None:
    def told(*shares: float) -> str:
        return report.busy({("get", 1, "one"): Rounds(shares=list(shares)), ("get", 4, "one"): Rounds(shares=[0.1])})

    assert told(0.99, 1.0, 0.6) == told() == "" and "60%" in told(0.6, 0.5, 1.0)


def test_the_table_goes_between_the_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n")
    for _ in range(2):
        report.into_readme(["one", "two"], readme)
    assert readme.read_text() == f"before\n\n{report.BEGIN}\n\none\n\ntwo\n\n{report.END}\n\nafter\n"
    readme.write_text("no markers")
    with pytest.raises(SystemExit):
        report.into_readme(["one"], readme)


def test_a_percentile_beyond_which_there_is_nothing_is_not_told() -> None:
    told = [report.duration(value) for value in percentiles(numpy.arange(1, 1_000))]
    assert told == ["500 ns", "989 ns", "–"]
    assert report.duration(percentiles(numpy.arange(1, 1_002))[-1]) == "1 µs"


@pytest.mark.parametrize("given", [["--rounds", "0"], ["--threads", "0"], ["--seconds", "0"], ["--only", "nothing"]])
def test_what_cannot_be_measured_is_refused(given: list[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(given)
