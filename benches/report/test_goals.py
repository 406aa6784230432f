"""python3 -m unittest discover -s benches -t benches"""

import json
import re
import tempfile
import unittest
from pathlib import Path

from report import goals, runs, tables

RUN = {"bench": "store", "seconds": 1, "commit": "c", "machine": "m", "system": "s", "command": "cargo bench"}


def results(rows):
    """Runs of such rows: group, subject, at, is."""
    lines = [{"run": RUN}] + [dict(zip(("group", "subject", "at", "is"), row)) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "store-1.jsonl").write_text("\n".join(map(json.dumps, lines)))
        return runs.Runs(folder)


def ns(group, subject, fragments, threads, value):
    return group, subject, {"fragments": fragments, "threads": threads}, {"ns": value}


STALL_AT = {"stopped_from_ms": 20.0, "stopped_to_ms": 40.0}


def stall(after):
    ms = [10.0 * (at + 1) for at in range(4 + len(after))]
    return "stall", "tierstack", STALL_AT, {"ms": ms, "operations_per_s": [100, 100, 90, 90] + after}


class Goals(unittest.TestCase):
    def verdicts(self, rows):
        return {(goal.name, goal.where): goal for goal in goals.all_goals(results(rows))}

    def test_ratios_have_a_floor_and_a_goal(self):
        name, at = "`store` demoting, over the coarse lock", "1,000 fragments, 1 thread"
        for ours, verdict in ((100, "goal"), (120, "floor"), (150, "BELOW THE FLOOR")):
            rows = [ns("store_demote", subject, 1_000, 1, value) for subject, value in (("tierstack_owned", ours), ("coarse_lock", 100))]
            goal = self.verdicts(rows)[name, at]
            self.assertAlmostEqual(goal.value, 100 / ours)
            self.assertEqual(goal.verdict(), verdict)

    def test_what_is_to_be_small_has_them_the_other_way_round(self):
        name, at = "`get` hit, owned: ns more than pinned", "1,000 fragments, 1 thread"
        for owned, verdict in ((22, "goal"), (24, "floor"), (26, "BELOW THE FLOOR")):
            rows = [ns("get_hit", subject, 1_000, 1, value) for subject, value in (("tierstack_owned", owned), ("tierstack_pinned", 20))]
            goal = self.verdicts(rows)[name, at]
            self.assertEqual((goal.value, goal.verdict()), (owned - 20, verdict))

    def test_what_was_not_measured_says_so(self):
        self.assertEqual({goal.verdict() for goal in goals.all_goals(results([]))}, {"not measured"})

    def test_of_many_rows_the_worst_counts(self):
        rows = [ns("hot_key", subject, size, 2, value) for size, ours in ((1_000, 10), (10_000, 40))
                for subject, value in (("tierstack_pinned", ours), ("quick_cache", 60))]
        goal = self.verdicts(rows)["one hot key, over quick_cache", "10,000 fragments, 2 threads: worst of 2"]
        self.assertEqual((goal.value, goal.verdict()), (1.5, "short of the goal"))

    def test_the_pace_after_a_stall_is_its_mean_and_its_lowest(self):
        found = self.verdicts([stall([40] * 5 + [100] * 15)])
        name = "pace once a stalled thread goes on, over the pace before"
        self.assertAlmostEqual(found[name, "mean of 200 ms"].value, 0.85)
        self.assertAlmostEqual(found[name, "lowest 50 ms"].value, 0.4)

    def test_one_key_that_comes_and_goes_is_beside_many(self):
        rows = [ns("cycle_1", "tierstack_pinned", 10_000, 1, 400), ns("cycle_10000", "tierstack_pinned", 10_000, 1, 200)]
        goal = self.verdicts(rows)["a key removed and stored again: time of one over that of 10,000 in turn", "10,000 others"]
        self.assertEqual((goal.value, goal.verdict()), (2, "short of the goal"))

    def test_a_short_run_measures_what_its_goals_are_of(self):
        (pattern,) = goals.filters("store")
        for name in ("get_hit/floor/1000/1t", "get_hit/tierstack_slack/100000/2t", "get_hit/quick_cache/112500/1t",
                     "store_demote/tiny_ufo/10000/2t", "mixed_90_10/coarse_lock/1000/2t", "cycle_10000/tierstack_pinned/100000/1t"):
            self.assertRegex(name, pattern)
        for name in ("get_hit/moka/1000/1t", "get_hit/floor/1000/16t", "store_demote/foyer/100000/1t", "churn/foyer/10000/1t"):
            self.assertNotRegex(name, pattern)

        # Were all that measured, no goal of a short run would lack its numbers.
        rows = []
        for group, subjects, size, threads in re.findall(r"([a-z_0-9]+)/\(([^)]*)\)/(\d+)/(\d+)t", pattern):
            rows += [ns(group, subject, int(size), int(threads), 10) for subject in subjects.split("|")]
        lacking = [goal.name for goal in goals.quick_goals(results(rows)) if goal.value is None]
        others = ("instructions", "bytes of overhead", "p99.99", "pace once")
        self.assertEqual([name for name in lacking if not name.startswith(others)], [])

    def test_every_benchmark_of_a_short_run_has_filters(self):
        for bench in ("store", "memory", "latency", "stall"):
            self.assertTrue(goals.filters(bench))


class Tables(unittest.TestCase):
    def test_one_number_a_row_makes_a_column_of_each_subject(self):
        rows = [("trace_one_tier", subject, {"trace": "t", "fragments": 8}, {"hit_ratio": 0.5}) for subject in ("lru", "tierstack_owned")]
        self.assertIn("| t | 8 | 0.5 | 0.5 |", tables.of_group(results(rows), "trace_one_tier"))

    def test_aligned_text_is_as_wide_as_its_widest_cells(self):
        self.assertEqual(tables.plain(["a", "b", "c"], [["long", "x", "1"], ["s", "y", "22"]]).splitlines(), ["a     b   c", "long  x   1", "s     y  22"])


if __name__ == "__main__":
    unittest.main()
