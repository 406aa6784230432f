"""The tables of BENCHMARKS.md: every row of every group, those that tierstack loses included."""

TITLES = {
    "get_hit": "`get`, all hits in hot, Zipf 0.99",
    "get_miss": "`get` of keys that are not there",
    "hot_key": "`get` of one hot key by all threads",
    "mixed_99_1": "99 `get` to 1 `store`, each store demoting one",
    "mixed_90_10": "90 `get` to 10 `store`, each store demoting one",
    "mixed_50_50": "50 `get` to 50 `store`, each store demoting one",
    "store_demote": "`store`, each demoting one",
    "insert": "`store` of keys that are not there, each pushing one out at the bottom",
    "cycle_1": "One key removed and stored again and again, beside so many others",
    "cycle_100": "100 keys removed and stored again in turn, beside so many others",
    "cycle_10000": "10,000 keys removed and stored again in turn, beside so many others",
    "churn": "Promotions and demotions",
    "bulk_load": "Filling an empty store",
    "bulk": "Loading a million fragments into an empty store, by single stores and by one call: ns each",
    "age": "Fragments with and without an age, one thread: ns each",
    "checkpoint": "Checkpoints of texts of 100 bytes: ns a fragment",
    "hot_picture": "A picture of hot: ns each, alone and beside two threads that store",
    "hot_picture_writers": "A `store` by two threads together, without and with a third that takes pictures",
    "trace": "Traces replayed: time and hit ratio",
    "trace_one_tier": "Exact LRU in one tier: hit ratio",
    "record": "Recording alone",
    "snapshots": "Recording, with a snapshot every 100",
    "record_latency": "How long single records take",
    "record_latency_snapshots": "How long single records take, with snapshots in between",
    "latency_get": "How long single `get`s take",
    "latency_store": "How long single `store`s take",
    "stall": "Throughput while one thread is stopped in the middle of an operation",
    "overhead": "Bytes of overhead a fragment",
    "overhead_spread": "Bytes of overhead a fragment at rest, by the gets of others between two stores",
    "instructions": "Instructions and allocations of one operation",
    "churn_memory": "Peak live bytes against what the tiers hold, 8 threads storing 16 KiB values",
    "long_pin": "One long-held pin",
}


def table(header, rows):
    """Markdown, with all columns but the first to the right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)] + rows
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plain(header, rows):
    """Aligned text, for a terminal; all columns but the first two to the right."""
    lines = [header] + rows
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    aligned = ([f"{cell:<{width}}" if at < 2 else f"{cell:>{width}}" for at, (cell, width) in enumerate(zip(line, widths))] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in aligned)


def number(value):
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, int) or float(value).is_integer() and abs(value) >= 100:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def phases(row):
    """Means of what varies through time: before, during and after what was done in the middle."""
    ends = sorted(value for name, value in row.at.items() if name.endswith("_ms"))
    if len(ends) != 2 or "ms" not in row.numbers:
        return None
    cells = {}
    times = row["ms"]
    for name, series in row.numbers.items():
        if name == "ms" or not isinstance(series, list):
            continue
        for phase, low, high in (("before", 0, ends[0]), ("during", *ends), ("after", ends[1], float("inf"))):
            values = [value for at, value in zip(times, series) if low < at <= high]
            cells[f"{name} {phase}"] = sum(values) / len(values) if values else None
    if "operations_per_s" in row.numbers:
        cells["operations_per_s, lowest 50 ms after"] = lowest_after(row, "operations_per_s")
    return cells


def lowest_after(row, name, ms=50):
    """The lowest mean over so long that a series has once what was done in the middle is over."""
    end = max(value for at, value in row.at.items() if at.endswith("_ms"))
    after = [(at, value) for at, value in zip(row["ms"], row[name]) if at > end]
    windows = [[value for other, value in after if at <= other < at + ms] for at, _ in after if at + ms <= after[-1][0] + 1]
    return min((sum(window) / len(window) for window in windows if window), default=None)


# Numbers stand in this order, and others after them.
ORDER = [
    "ns", "hit_ratio", "operations_per_s", "p50_ns", "p99_ns", "p999_ns", "p9999_ns", "p9999_less_waiting_ns", "waiting_share", "sleeping_share",
    "max_ns", "operations", "instructions",
]


def of_group(runs, group):
    """A row for each point where one number was measured, and a column for each subject. Otherwise a row for each."""
    rows = runs.of(group)
    names = {name for row in rows for name in row.numbers} - {"ns_low", "ns_high"}
    varied = list(dict.fromkeys(name for row in rows for name in row.at))

    def point(row):
        return [number(row.at.get(name)) for name in varied]

    if len(names) == 1:
        (name,) = names
        subjects = list(dict.fromkeys(row.subject for row in rows))
        cells = {(*point(row), row.subject): row[name] for row in rows}
        points = list(dict.fromkeys(tuple(point(row)) for row in rows))
        lines = [[*at] + [number(cells.get((*at, subject))) for subject in subjects] for at in points]
        return table(varied + subjects, lines)
    lines = [(point(row) + [row.subject], phases(row) or row.numbers) for row in rows]
    measured = dict.fromkeys(name for _, cells in lines for name in cells if name not in ("ns_low", "ns_high"))
    header = sorted(measured, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return table(varied + ["subject"] + header, [at + [number(cells.get(name)) for name in header] for at, cells in lines])


def all_groups(runs):
    known = [group for group in TITLES if group in runs.groups()]
    rest = [group for group in runs.groups() if group not in TITLES]
    return "\n\n".join(f"### {TITLES.get(group, f'`{group}`')}\n\n{of_group(runs, group)}" for group in known + rest)


def replace(text, name, content):
    """Puts content between a pair of markers."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise SystemExit(f"there is not one pair of markers for {name}")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"
