"""Runs a workload on a subject by some threads, and takes the medians of several rounds."""

from __future__ import annotations

import gc
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy
import numpy.typing

from .subjects import SUBJECTS, Subject
from .workloads import BUDGET, Plan, Workload

PERCENTILES = (50.0, 99.0, 99.9)

T = TypeVar("T")


@dataclass(slots=True)
class Rounds:
    """What the rounds of one cell of the table gave."""

    rates: list[float] = field(default_factory=list)
    """Operations a second, of all threads together."""
    shares: list[float] = field(default_factory=list)
    """How much of a core the process had meanwhile. With one thread that is 1, unless others use the machine."""
    latencies: list[list[float]] = field(default_factory=list)
    """The percentiles of a round, in nanoseconds. Not a number where a round had too few operations to tell."""

    @property
    def rate(self) -> float:
        """The median of the rounds."""
        return float(numpy.median(self.rates))

    @property
    def spread(self) -> float:
        """From the slowest to the fastest round, as a part of the median."""
        return (max(self.rates) - min(self.rates)) / self.rate

    @property
    def percentiles(self) -> list[float]:
        """The median of the rounds, for each of `PERCENTILES`."""
        return [float(value) for value in numpy.median(self.latencies, axis=0)]


def percentiles(latencies: numpy.typing.NDArray[numpy.int64]) -> list[float]:
    """Of one round. At least one operation has to lie beyond each."""
    told = numpy.percentile(latencies, PERCENTILES)
    enough = [latencies.size * (100 - number) >= 100 for number in PERCENTILES]
    return [float(value) if is_enough else math.nan for value, is_enough in zip(told, enough, strict=True)]


Cell = tuple[str, int, str]
"""A workload, a number of threads, a subject."""


def by_threads(work: Callable[[Subject, Plan, int], T], subject: Subject, plans: list[Plan], passes: int) -> tuple[float, list[T]]:
    """Starts a thread for each plan at one instant. The seconds from the first start to the last end, and what each thread returned."""
    ready = threading.Barrier(len(plans))
    results: dict[int, tuple[int, int, T]] = {}

    def body(thread: int, plan: Plan) -> None:
        ready.wait()
        start = time.perf_counter_ns()
        result = work(subject, plan, passes)
        results[thread] = (start, time.perf_counter_ns(), result)

    threads = [threading.Thread(target=body, args=pair) for pair in enumerate(plans)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(results) < len(plans):
        sys.exit("a thread of the benchmark has failed")
    first, last = min(start for start, _, _ in results.values()), max(end for _, end, _ in results.values())
    return (last - first) / 1e9, [result for _, _, result in results.values()]


def measure(workloads: list[Workload], threads: list[int], rounds: int, seconds: float, told: Callable[[str], None]) -> Mapping[Cell, Rounds]:
    """All cells. Each round takes the subjects in another order, and each run has a subject of its own."""
    cells: dict[Cell, Rounds] = {}
    for workload in workloads:
        for count in threads:
            plans = list(workload.plans(count))
            passes: dict[tuple[str, bool], int] = {}
            for turn in range(rounds + 1):
                told(f"{workload.name}, {count} threads, round {turn} of {rounds}")
                for name in _in_turn(list(SUBJECTS), turn):
                    cell = cells.setdefault((workload.name, count, name), Rounds())
                    _round(workload, plans, name, passes, seconds, cell if turn else None)
    return cells


def _in_turn(names: list[str], turn: int) -> Iterator[str]:
    yield from names[turn % len(names) :]
    yield from names[: turn % len(names)]


def _round(workload: Workload, plans: list[Plan], name: str, passes: dict[tuple[str, bool], int], seconds: float, cell: Rounds | None) -> None:
    """One round of a subject: a run for the rate, a run for the latencies. Without a cell it only finds how many passes take so long."""
    for timed in (False, True):
        subject = SUBJECTS[name](BUDGET)
        workload.fill(subject)
        gc.collect()
        if cell is None:
            passes[name, timed] = _passes(workload.timed if timed else workload.loop, subject, plans, seconds)
        elif timed:
            _, took = by_threads(workload.timed, subject, plans, passes[name, timed])
            every = numpy.concatenate([numpy.asarray(one, dtype=numpy.int64) for one in took])
            cell.latencies.append(percentiles(every))
        else:
            before = time.process_time()
            took_seconds, _ = by_threads(workload.loop, subject, plans, passes[name, timed])
            cell.shares.append((time.process_time() - before) / took_seconds)
            cell.rates.append(passes[name, timed] * sum(map(len, plans)) / took_seconds)


def _passes(work: Callable[[Subject, Plan, int], object], subject: Subject, plans: list[Plan], seconds: float) -> int:
    """How many passes through the plans take so many seconds, about."""
    passes = 1
    while True:
        took, _ = by_threads(work, subject, plans, passes)
        if took >= seconds / 8:
            return max(1, round(passes * seconds / took))
        passes *= 4
