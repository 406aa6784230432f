"""The tables, the goals, and the part of the README that is theirs."""

from __future__ import annotations

import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tabulate import tabulate

from .measure import PERCENTILES, Cell, Rounds
from .subjects import SUBJECTS
from .workloads import BUDGET, DEMOTE, FRAGMENTS, GET

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

OURS, LOCKED = list(SUBJECTS)[:2]


@dataclass(frozen=True, slots=True)
class Goal:
    """What the store is to reach beside the locked tiers."""

    text: str
    workload: str
    threads: int
    tail: bool
    """Whether it is about the last percentile rather than about the rate."""
    factor: float
    """At least so many times the rate; at most so many times the percentile."""

    def told(self, cells: Mapping[Cell, Rounds]) -> tuple[str, str, str, str] | None:
        """Goal, aim, measured, outcome. None where it was not measured."""
        ours, locked = (cells.get((self.workload, self.threads, name)) for name in (OURS, LOCKED))
        if ours is None or locked is None:
            return None
        if self.tail:
            measured = ours.percentiles[-1] / locked.percentiles[-1]
            return self.text, f"≤ {self.factor:g} ×", f"{measured:.3g} ×", _outcome(measured <= self.factor)
        measured = ours.rate / locked.rate
        return self.text, f"≥ {self.factor:g} ×", f"{measured:.3g} ×", _outcome(measured >= self.factor)


def _outcome(reached: bool) -> str:
    return "reached" if reached else "not reached"


GOALS = [
    Goal("rate of `get`, 1 thread", GET.name, 1, False, 5),
    Goal("rate of a store that demotes, 1 thread", DEMOTE.name, 1, False, 1.5),
    Goal("rate of `get`, 4 threads", GET.name, 4, False, 20),
    Goal("rate of a store that demotes, 4 threads", DEMOTE.name, 4, False, 5),
    Goal("p99.9 of `get`, 4 threads", GET.name, 4, True, 0.1),
]


def goals(cells: Mapping[Cell, Rounds], style: str) -> str:
    """A table of the goals."""
    rows = [told for goal in GOALS if (told := goal.told(cells)) is not None]
    return tabulate(rows, [f"beside {LOCKED}", "goal", "measured", ""], tablefmt=style, disable_numparse=True)


def figures(cells: Mapping[Cell, Rounds], style: str) -> str:
    """A table of the rates and the percentiles."""
    rows = []
    for (workload, threads, name), rounds in cells.items():
        latencies = (duration(value) for value in rounds.percentiles)
        rows.append((workload, threads, name, rate(rounds.rate), f"± {rounds.spread / 2:.0%}", *latencies))
    headings = ["workload", "threads", "", "operations/s", "rounds", *(f"p{number:g}" for number in PERCENTILES)]
    right = ["left", "right", "left", *["right"] * (2 + len(PERCENTILES))]
    return tabulate(rows, headings, tablefmt=style, colalign=right, disable_numparse=True)


def rate(value: float) -> str:
    """For people: 10.2 M, 220 k."""
    for unit, letter in ((1e6, " M"), (1e3, " k")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"


def duration(nanoseconds: float) -> str:
    """For people: 69 ns, 1.2 µs, 5.4 ms. A dash for what is not a number."""
    if math.isnan(nanoseconds):
        return "–"
    for unit, letters in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if nanoseconds >= unit:
            return f"{nanoseconds / unit:.3g} {letters}"
    return f"{nanoseconds:.0f} ns"


def busy(cells: Mapping[Cell, Rounds]) -> str:
    """A sentence about what else the machine did, where that was enough to spoil the figures."""
    shares = [share for (_, threads, _), rounds in cells.items() if threads == 1 for share in rounds.shares]
    if not shares or (share := statistics.median(shares)) > 0.95:
        return ""
    return f" **The machine was busy**: a thread alone got {share:.0%} of a core, so that the figures are noisy."


def circumstances(command: str, rounds: int, seconds: float) -> str:
    """Machine, commit and command."""
    peers = ", ".join(f"{name} {version(name)}" for name in ("cachebox", "cachetools"))
    return (
        f"`{command}`: {FRAGMENTS:,} fragments fit within the budget of {BUDGET:,} bytes; medians of {rounds} rounds of {seconds:g} s. "
        f"{platform.python_implementation()} {platform.python_version()}, {_processor()}, {_cores()} cores, commit {_commit()}, {peers}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _commit() -> str:
    try:
        command = ["git", "-C", str(README.parent), "describe", "--always", "--dirty", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def into_readme(lines: Iterable[str], readme: Path = README) -> None:
    """Puts the lines between the markers."""
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{readme} lacks the lines {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")
