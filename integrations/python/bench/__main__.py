"""``python -m bench``: measures, prints tables and goals, and writes both into the README."""

from __future__ import annotations

import argparse
import shlex
import sys

from . import report
from .measure import measure
from .workloads import WORKLOADS


def arguments(given: list[str]) -> argparse.Namespace:
    """The options. With ``--quick`` nothing is written."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Rates and latencies of the store, of OrderedDicts behind an RLock, of cachebox, and of cachetools behind a lock.",
    )
    parser.add_argument("--threads", type=int, nargs="+", metavar="N", help="numbers of threads (default: 1 2 4 8)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds, whose medians are taken (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.3, metavar="S", help="about how long each run takes (default: 0.3)")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="only the workloads whose names have one of these words")
    parser.add_argument("--quick", action="store_true", help="one short round at 1 and 4 threads, to see that it works: the figures mean little")
    parser.add_argument("--no-readme", action="store_true", help="print only")
    options = parser.parse_args(given)
    options.threads = options.threads or ([1, 4] if options.quick else [1, 2, 4, 8])
    if options.quick:
        options.rounds, options.seconds = 1, 0.01
    if min(options.threads) < 1 or options.rounds < 1 or not options.seconds > 0:
        parser.error("there must be at least one thread and one round, and some time")
    return options


def main(given: list[str]) -> int:
    """Measures and tells. Answers 0 whether or not the goals are reached: a machine that is busy says nothing about the code."""
    options = arguments(given)
    chosen = [one for one in WORKLOADS if not options.only or any(word in one.name for word in options.only)]
    if not chosen:
        sys.exit(f"no workload has such a name; there are: {', '.join(one.name for one in WORKLOADS)}")
    cells = measure(chosen, options.threads, options.rounds, options.seconds, _tell)
    _tell("")
    circumstances = report.circumstances(shlex.join(["python", "-m", "bench", *given]), options.rounds, options.seconds) + report.busy(cells)
    print(report.figures(cells, "simple"), report.goals(cells, "simple"), circumstances, sep="\n\n")
    if not options.quick and not options.no_readme and not options.only:
        report.into_readme([circumstances, report.goals(cells, "github"), report.figures(cells, "github")])
    return 0


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
