"""The five workloads: what is there from the start, what the threads do, and the loops that are timed.

Each thread has a plan of its own, made before from a fixed seed. Every subject gets the same plans, and the same key and value objects.
A workload has two loops: one that does nothing else, for rates, and one that reads the clock around each operation, for latencies.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence

import numpy

from .subjects import Subject, weigh

FRAGMENTS = 1_000
"""As many fragments fit within the budget."""

KEYS = [f"src/part-{number:05}.py" for number in range(2 * FRAGMENTS)]
# Two values a key, as long as each other: what is replaced is replaced by another object.
VALUES = [[f"{turn}{key} ".ljust(100, ".") for key in KEYS] for turn in "ab"]
BUDGET = FRAGMENTS * weigh(KEYS[0], VALUES[0][0])

Plan = Sequence[tuple[str, str | None]]
"""Keys, each with the value to store, or None to get it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Workload:
    """One row of the table for each number of threads."""

    name: str
    """What it is called in the table."""
    filled: int
    """So many keys are stored before the clock starts."""
    plans: Callable[[int], Sequence[Plan]]
    """The plans of so many threads."""
    loop: Callable[[Subject, Plan, int], None]
    """Goes through the plan so many times."""
    timed: Callable[[Subject, Plan, int], list[int]]
    """The same, and how long each operation took, in nanoseconds."""

    def fill(self, subject: Subject) -> None:
        """Stores what is there from the start."""
        for key, value in zip(KEYS[: self.filled], VALUES[0], strict=False):
            subject.store(key, value)


def _gets(subject: Subject, plan: Plan, passes: int) -> None:
    get = subject.get
    keys = [key for key, _ in plan]
    for _ in range(passes):
        for key in keys:
            get(key)


def _stores(subject: Subject, plan: Plan, passes: int) -> None:
    store = subject.store
    for _ in range(passes):
        for key, value in plan:
            store(key, value)  # type: ignore[arg-type]  # this plan has stores only


def _mixed(subject: Subject, plan: Plan, passes: int) -> None:
    get, store = subject.get, subject.store
    for _ in range(passes):
        for key, value in plan:
            if value is None:
                get(key)
            else:
                store(key, value)


def _prompts(subject: Subject, plan: Plan, passes: int) -> None:
    prompt = subject.prompt
    for _ in itertools.repeat(None, passes * len(plan)):
        prompt()


def _timed_mixed(subject: Subject, plan: Plan, passes: int) -> list[int]:
    get, store, clock = subject.get, subject.store, time.perf_counter_ns
    took: list[int] = []
    append = took.append
    for _ in range(passes):
        for key, value in plan:
            if value is None:
                start = clock()
                get(key)
                append(clock() - start)
            else:
                start = clock()
                store(key, value)
                append(clock() - start)
    return took


def _timed_prompts(subject: Subject, plan: Plan, passes: int) -> list[int]:
    prompt, clock = subject.prompt, time.perf_counter_ns
    took: list[int] = []
    for _ in itertools.repeat(None, passes * len(plan)):
        start = clock()
        prompt()
        took.append(clock() - start)
    return took


def _shuffled(count: int, seed: int) -> list[int]:
    return [int(number) for number in numpy.random.default_rng(seed).permutation(count)]


def _get_plans(threads: int) -> list[Plan]:
    return [[(KEYS[number], None) for number in _shuffled(FRAGMENTS, seed)] for seed in range(threads)]


def _replace_plans(threads: int) -> list[Plan]:
    orders = [_shuffled(FRAGMENTS, seed) for seed in range(threads)]
    return [[(KEYS[number], VALUES[turn][number]) for turn in (1, 0) for number in order] for order in orders]


def _demote_plans(threads: int) -> list[Plan]:
    # Twice as many keys as fit, a share for each thread, round and round: a key has left hot when its turn comes again.
    shares = [range(thread, 2 * FRAGMENTS, threads) for thread in range(threads)]
    return [[(KEYS[number], VALUES[turn][number]) for turn in (1, 0) for number in share] for share in shares]


def _mixed_plans(threads: int) -> list[Plan]:
    # Twice as many keys as fit, with the skew of YCSB. One operation in ten stores.
    weights = 1 / numpy.arange(1, 2 * FRAGMENTS + 1) ** 0.99
    ranked = numpy.random.default_rng(99).permutation(2 * FRAGMENTS)
    plans: list[Plan] = []
    for thread in range(threads):
        random = numpy.random.default_rng(thread)
        drawn = ranked[random.choice(2 * FRAGMENTS, size=4 * FRAGMENTS, p=weights / weights.sum())]
        stores = random.random(drawn.size) < 0.1
        plans.append([(KEYS[n], VALUES[turn % 2][n] if store else None) for turn, (n, store) in enumerate(zip(drawn, stores, strict=True))])
    return plans


def _prompt_plans(threads: int) -> list[Plan]:
    return [[(KEYS[0], None)] for _ in range(threads)]


GET = Workload("get", FRAGMENTS, _get_plans, _gets, _timed_mixed)
DEMOTE = Workload("store that demotes", 2 * FRAGMENTS, _demote_plans, _stores, _timed_mixed)
WORKLOADS = [
    GET,
    Workload("replace", FRAGMENTS, _replace_plans, _stores, _timed_mixed),
    DEMOTE,
    Workload("90 % get, 10 % store", 2 * FRAGMENTS, _mixed_plans, _mixed, _timed_mixed),
    Workload("whole prompt", FRAGMENTS, _prompt_plans, _prompts, _timed_prompts),
]
