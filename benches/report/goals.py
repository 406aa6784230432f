"""The goals: ratios, differences and counts of one run, each with a floor and a goal.

A goal is one row for each point that it names, so that `benches/run --quick` can measure just these: see `filters`.
"""

from .tables import lowest_after, number, phases

PINNED, OWNED, SLACK = "tierstack_pinned", "tierstack_owned", "tierstack_slack"

# Peers whose bound is never passed, not even for a moment: what exceeds it leaves under the same lock.
STRICT = ["quick_cache", "coarse_lock", "rw_lock", "foyer", "scc"]

# Where a fill by single stores ends in the middle of a growth of the index.
MID_GROWTH = 112_500

# The groups of the benchmark `store`.
STORE = ("get_hit", "get_miss", "hot_key", "mixed_", "store_demote", "insert", "cycle_", "churn", "bulk_load")


class Goal:
    """One number that is to be at least, or at most, so much. Between floor and goal it is in order, and short of the goal."""

    def __init__(self, name, where, value, goal, floor=None, most=False):
        self.name, self.where, self.value, self.goal, self.floor, self.most = name, where, value, goal, floor, most

    def _reaches(self, wanted):
        return self.value <= wanted if self.most else self.value >= wanted

    def verdict(self):
        if self.value is None:
            return "not measured"
        if self._reaches(self.goal):
            return "goal"
        if self.floor is None:
            return "short of the goal"
        return "floor" if self._reaches(self.floor) else "BELOW THE FLOOR"

    def cells(self):
        sign = "≤" if self.most else "≥"
        wanted = [f"{sign} {limit}" if limit is not None else "-" for limit in (self.floor, self.goal)]
        return [self.name, self.where, number(self.value), *wanted, self.verdict()]


HEADER = ["goal", "at", "measured", "floor", "goal", "verdict"]


def where(at):
    names = {"fragments": "fragments", "threads": "threads", "job": "", "tiers_mib": "MiB", "gets_between_stores": "gets between"}
    told = []
    for name, value in at.items():
        value = f"{value:,}" if isinstance(value, int) else value
        text = f"{value} {names.get(name, name)}".strip()
        told.append(text[:-1] if text == "1 threads" else text)
    return ", ".join(told)


class Compared:
    """A number of ours beside the best of some peers', at one point."""

    def __init__(self, name, group, ours, peers, at, goal, floor=None, of="faster", measure="ns"):
        self.name, self.group, self.ours, self.peers, self.at = name, group, ours, peers, at
        self.goal, self.floor, self.of, self.measure = goal, floor, of, measure

    def row(self, runs):
        ours = runs.number(self.group, self.ours, self.measure, **self.at)
        theirs = [runs.number(self.group, peer, self.measure, **self.at) for peer in self.peers]
        theirs = [value for value in theirs if value]
        value = None
        if ours and theirs:
            best = min(theirs)
            value = {"faster": best / ours, "over": ours / best, "more": ours - best}[self.of]
        return Goal(self.name, where(self.at), value, self.goal, self.floor, most=self.of != "faster")


def _points(sizes, threads):
    return [{"fragments": size, "threads": count} for count in threads for size in sizes]


def _compared():
    found = []

    def add(name, group, ours, peers, at, goal, floor=None, **more):
        found.append(Compared(name, group, ours, peers, at, goal, floor, **more))

    small = [1_000, 10_000]
    for threads, floor, goal in ((1, 0.75, 1.0), (2, 1.2, 1.5)):
        for at in _points(small, [threads]):
            add("`store` demoting, over the coarse lock", "store_demote", OWNED, ["coarse_lock"], at, goal, floor)
    for peer, floor, goal in (("moka", 3, 6), ("tiny_ufo", 3, 4), ("foyer", 1.5, 2.5)):
        for at in _points(small, [1, 2]):
            add(f"`store` demoting, over {peer}", "store_demote", OWNED, [peer], at, goal, floor)
    for threads, floor, goal in ((1, 0.53, 0.8), (2, 1.1, 1.5)):
        for at in _points(small, [threads]):
            add("90/10, over the coarse lock", "mixed_90_10", PINNED, ["coarse_lock"], at, goal, floor)

    sizes = [1_000, 10_000, 100_000]
    for size, floor, goal in zip(sizes, (0.92, 1.05, 1.2), (1.1, 1.2, 1.4)):
        at = {"fragments": size, "threads": 1}
        add("`get` hit, pinned, over quick_cache", "get_hit", PINNED, ["quick_cache"], at, goal, floor)
    for at in _points(sizes, [2]):
        add("`get` hit, pinned, over quick_cache", "get_hit", PINNED, ["quick_cache"], at, 1.2, 0.9)
    for size, floor, goal in zip(sizes, (1.9, 1.6, 1.4), (1.6, 1.4, 1.3)):
        at = {"fragments": size, "threads": 1}
        add("`get` hit, pinned: time over the floor's", "get_hit", PINNED, ["floor"], at, goal, floor, of="over")
    for at in _points(sizes, [1, 2]):
        add("`get` hit with `recency_slack`, over quick_cache", "get_hit", SLACK, ["quick_cache"], at, 1.5, 1.1)
    for group, points in (("get_hit", _points(sizes, [1, 2])), ("mixed_90_10", _points(small, [1, 2]))):
        for at in points:
            add(f"`{group}` with `recency_slack`, over exact order", group, SLACK, [PINNED], at, 1.0)
    for at in _points(sizes, [1]):
        add("`get` hit, owned: ns more than pinned", "get_hit", OWNED, [PINNED], at, 3, 5, of="more")
    for at in _points([MID_GROWTH], [1]):
        add(f"a fill of {MID_GROWTH:,}: `get` hit, pinned, over quick_cache", "get_hit", PINNED, ["quick_cache"], at, 1.2, 1.0)

    at = {"fragments": 10_000, "threads": 16}
    tail = "p99.99 of `store` over the coarse lock's"
    add(tail, "latency_store", OWNED, ["coarse_lock"], at, 1.0, of="over", measure="p9999_ns")
    add(f"{tail}, less waits for a core", "latency_store", OWNED, ["coarse_lock"], at, 1.0, of="over", measure="p9999_less_waiting_ns")
    return found


INSTRUCTIONS = {
    "store_demote": (1_830, 1_400), "get_pinned": (210, 180), "evict": (930, 700), "remove": (1_500, 1_100),
    "demote_promote": (3_200, 2_000),
}


def _others(runs):
    """Goals that are no comparison with a peer."""
    for job, (floor, goal) in INSTRUCTIONS.items():
        value = runs.number("instructions", "tierstack", "instructions", job=job)
        yield Goal("instructions", f"`{job}`", value, goal, floor, most=True)

    size = 100_000
    at_rest = [
        value for row in runs.of("overhead", fragments=size) if row.subject == OWNED
        for name, value in row.numbers.items() if name.endswith("at_rest_bytes")
    ]
    yield Goal("bytes of overhead a fragment, at rest", f"{size:,} fragments, dense", max(at_rest, default=None), 110, 130, True)
    at = {"fragments": size, "gets_between_stores": 16}
    value = runs.number("overhead_spread", OWNED, "at_rest_bytes", **at)
    yield Goal("bytes of overhead a fragment, at rest", where(at), value, 140, 180, True)

    stalls = [row for row in runs.of("stall") if row.subject == "tierstack"]
    pace = lowest = None
    if stalls:
        means = phases(stalls[0])
        pace = means["operations_per_s after"] / means["operations_per_s before"]
        lowest = lowest_after(stalls[0], "operations_per_s") / means["operations_per_s before"]
    yield Goal("pace once a stalled thread goes on, over the pace before", "mean of 200 ms", pace, 0.8, 0.5)
    yield Goal("pace once a stalled thread goes on, over the pace before", "lowest 50 ms", lowest, 0.5)


CYCLE_BESIDE = (10_000, 100_000)


def _cycle(runs):
    """One key that comes and goes costs no more than many that do so in turn, whatever stands beside it."""
    for fragments in CYCLE_BESIDE:
        one, many = (runs.number(group, PINNED, "ns", fragments=fragments, threads=1) for group in ("cycle_1", "cycle_10000"))
        ratio = one / many if one and many else None
        yield Goal("a key removed and stored again: time of one over that of 10,000 in turn", f"{fragments:,} others", ratio, 1.5, most=True)


def _bulk(runs):
    """A million fragments by one call, beside single stores; and by two threads beside one."""
    for fits in ("hot", "warm"):
        one, two = ({row.subject: row["ns"] for row in runs.of("bulk", fits=fits, threads=threads)} for threads in (1, 2))
        ratio = one["store_all"] / one["store"] if {"store_all", "store"} <= one.keys() else None
        yield Goal("`store_all`: time over single stores'", f"1,000,000 fragments, {fits}", ratio, 0.6, most=True)
        rate = one["par_store_all"] / two["par_store_all"] if "par_store_all" in one.keys() & two.keys() else None
        yield Goal("`par_store_all`: rate of 2 threads over that of 1", f"1,000,000 fragments, {fits}", rate, 1.7)


class Worst:
    """The worst row of many."""

    def __init__(self, name, goal, most=False):
        self.name, self.goal, self.most, self.found = name, goal, most, []

    def add(self, at, value):
        if value is not None:
            self.found.append((value, where(at)))

    def row(self):
        if not self.found:
            return Goal(self.name, "-", None, self.goal, most=self.most)
        value, at = (max if self.most else min)(self.found)
        return Goal(self.name, f"{at}: worst of {len(self.found)}", value, self.goal, most=self.most)


def _worsts(runs):
    """Goals of many rows, of which the worst counts. A short run does not measure them."""

    def compared(name, group, ours, peers, goal, of="faster", measure="ns", **at):
        worst = Worst(name, goal, of != "faster")
        for row in runs.of(group, **at):
            if row.subject == ours:
                worst.add(row.at, Compared(name, group, ours, peers, row.at, goal, of=of, measure=measure).row(runs).value)
        return worst.row()

    yield compared("90/10, pinned, over the best strict peer", "mixed_90_10", PINNED, STRICT, 1.2)
    yield compared("one hot key, over quick_cache", "hot_key", PINNED, ["quick_cache"], 2, threads=2)
    yield compared(
        "p99.99 of `get` over the coarse lock's", "latency_get", PINNED, ["coarse_lock"], 0.1, "over", "p9999_ns", threads=16,
    )
    for ours, theirs in (("snapshot_owned", "iter_owned"), ("snapshot_lent", "iter_lent")):
        yield compared(f"a picture of hot, alone: `{ours}`, time over `{theirs}`'s", "hot_picture", ours, [theirs], 3, "over", writers=0)
    churn = Worst("peak live bytes over what the tiers hold, churn", 1.1, most=True)
    for row in runs.of("churn_memory"):
        if row.subject == OWNED:
            churn.add(row.at, row.numbers.get("worst_ratio"))
    yield churn.row()
    logs = ["vec_pl", "vec_std", "rpds_pl", "rpds_std", "imbl_pl", "imbl_std", "boxcar_copy"]
    for ours in ("handle", "plan"):
        yield compared(f"record with snapshots, `{ours}`, over all", "snapshots", ours, logs, 1.0)
        yield compared(f"record, `{ours}`, over `Mutex<rpds::StackSync>`", "record", ours, ["rpds_pl", "rpds_std"], 1.3)
        yield compared(f"record, `{ours}`: time over `Mutex<Vec>`'s", "record", ours, ["vec_pl", "vec_std"], 3, "over")


def all_goals(runs):
    return [goal.row(runs) for goal in _compared()] + [*_others(runs), *_cycle(runs), *_bulk(runs)] + list(_worsts(runs))


def quick_goals(runs):
    """Those that a short run measures."""
    return [goal.row(runs) for goal in _compared()] + [*_others(runs), *_cycle(runs)]


def filters(bench):
    """What a short run is to measure of a benchmark: its filters. `store` takes one, a regular expression; others take parts of names."""
    if bench == "store":
        rows = {}
        for goal in _compared():
            if goal.group.startswith(STORE):
                rows.setdefault((goal.group, goal.at["fragments"], goal.at["threads"]), set()).update([goal.ours, *goal.peers])
        for group in ("cycle_1", "cycle_10000"):
            for fragments in CYCLE_BESIDE:
                rows[group, fragments, 1] = {PINNED, "coarse_lock"}
        each = (f"{group}/({'|'.join(sorted(subjects))})/{size}/{threads}t" for (group, size, threads), subjects in rows.items())
        return [f"^({'|'.join(each)})$"]
    return {
        "memory": [f"overhead/{OWNED}/100000", f"spread/{OWNED}/100000"],
        "latency": [f"store/16t/{subject}" for subject in (OWNED, "coarse_lock")],
        "stall": ["tierstack"],
    }[bench]
