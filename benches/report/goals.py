"""The goals, as ratios in one run."""

from .tables import number

PINNED, OWNED = "tierstack_pinned", "tierstack_owned"

# Peers whose bound is never passed, not even for a moment: what exceeds it leaves under the same lock.
STRICT = ["quick_cache", "coarse_lock", "rw_lock", "foyer", "scc"]


class Goal:
    """What is to hold in each of some rows."""

    def __init__(self, name, least=None, most=None):
        self.name, self.least, self.most = name, least, most
        self.found = []

    def add(self, where, value):
        if value is not None:
            self.found.append((value, where))

    def met(self, value):
        return value >= self.least if self.most is None else value <= self.most

    def cells(self):
        wanted = f"≥ {self.least}" if self.most is None else f"≤ {self.most}"
        if not self.found:
            return [self.name, wanted, "-", "-", "not measured"]
        worst, where = (min if self.most is None else max)(self.found)
        met = sum(self.met(value) for value, _ in self.found)
        verdict = "met" if met == len(self.found) else f"short: met in {met} of {len(self.found)}"
        return [self.name, wanted, number(worst), where, verdict]


def _times(runs, goal, group, ours, peers, name="ns", inverse=False, **at):
    """How many times as fast ours is as the fastest of the peers, wherever both were measured."""
    for row in runs.of(group, **at):
        if row.subject != ours:
            continue
        theirs = [runs.number(group, peer, name, **row.at) for peer in peers]
        theirs = [value for value in theirs if value]
        if theirs and row.numbers.get(name):
            ratio = min(theirs) / row[name]
            where = ", ".join(f"{value} {key}" for key, value in row.at.items())
            goal.add(where, 1 / ratio if inverse else ratio)
    return goal


def all_goals(runs):
    goals = []

    def goal(name, group, ours, peers, least=None, most=None, number="ns", points=({},)):
        new = Goal(name, least, most)
        for at in points:
            _times(runs, new, group, ours, peers, number, most is not None, **at)
        goals.append(new)

    few = [{"threads": 1}, {"threads": 2}]
    goal("`get` hit, pinned, over quick_cache", "get_hit", PINNED, ["quick_cache"], least=1.2, points=few)
    goal("`get` hit, pinned: time over the floor's", "get_hit", PINNED, ["floor"], most=2, points=few)
    goal("one hot key, 2 threads, over quick_cache", "hot_key", PINNED, ["quick_cache"], least=2, points=few[1:])
    goal("`store` demoting, 1 thread, over the coarse lock", "store_demote", OWNED, ["coarse_lock"], 1.0, points=few[:1])
    goal("`store` demoting, 2 threads, over the coarse lock", "store_demote", OWNED, ["coarse_lock"], 1.5, points=few[1:])
    goal("`store` demoting, over moka", "store_demote", OWNED, ["moka"], 3)
    goal("90/10, pinned, over the best strict peer", "mixed_90_10", PINNED, STRICT, 1.2)
    for ours, group in ((PINNED, "get"), (OWNED, "store")):
        goal(
            f"p99.99 of `{group}`, 16 threads, over the coarse lock's", f"latency_{group}", ours, ["coarse_lock"],
            most=0.1, number="p9999_ns", points=[{"threads": 16}],
        )

    overhead = Goal("overhead at rest, bytes a fragment, at 100k", most=150)
    for row in runs.of("overhead", fragments=100_000):
        if row.subject.startswith("tierstack"):
            for name, value in row.numbers.items():
                if name.endswith("at_rest_bytes"):
                    overhead.add(f"{row.subject}, {name}", value)
    churn = Goal("peak live bytes over what the tiers hold, churn", most=1.1)
    for row in runs.of("churn_memory"):
        if row.subject.startswith("tierstack"):
            churn.add(", ".join(f"{value} {key}" for key, value in row.at.items()), row.numbers.get("worst_ratio"))
    goals.extend([overhead, churn])

    logs = ["vec_pl", "vec_std", "rpds_pl", "rpds_std", "imbl_pl", "imbl_std", "boxcar_copy"]
    for ours in ("handle", "plan"):
        goal(f"record with snapshots, `{ours}`, over all", "snapshots", ours, logs, least=1.0)
        goal(f"record, `{ours}`, over `Mutex<rpds::StackSync>`", "record", ours, ["rpds_pl", "rpds_std"], least=1.3)
        goal(f"record, `{ours}`: time over `Mutex<Vec>`'s", "record", ours, ["vec_pl", "vec_std"], most=3)
    return goals
