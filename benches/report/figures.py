"""The plots. Each says in its caption where, of what and how it was measured."""

import textwrap

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib import ticker  # noqa: E402

from .runs import told  # noqa: E402

COLOURS = {
    "tierstack_pinned": "#c0392b", "tierstack_owned": "#e67e22", "tierstack_slack": "#f1948a", "tierstack": "#c0392b",
    "tierstack_all_of_hot": "#e67e22", "handle": "#c0392b", "plan": "#e67e22",
    "floor": "#999999", "harness": "#cccccc",
    "quick_cache": "#1f77b4", "coarse_lock": "#2c3e50", "rw_lock": "#7f8c8d", "std_lock": "#5d6d7e",
    "moka": "#8e44ad", "mini_moka": "#bb8fce", "foyer": "#16a085", "scc": "#27ae60", "tiny_ufo": "#b7950b",
    "skip_map": "#d98880",
}
OTHERS = ["#34495e", "#5dade2", "#58d68d", "#af7ac5", "#f5b041", "#aab7b8"]

plt.rcParams.update({
    "svg.hashsalt": "tierstack", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#e8e8e8", "axes.axisbelow": True, "legend.frameon": False,
})


def colour(subject):
    return COLOURS.get(subject) or OTHERS[sum(map(ord, subject)) % len(OTHERS)]


def ours(subject):
    return subject.startswith("tierstack")


def subjects(rows):
    return [name for name in dict.fromkeys(row.subject for row in rows) if name != "harness"]


class Figure:
    """Some panels side by side, one legend, one caption. Nothing is written of which nothing was measured."""

    def __init__(self, folder, name, title):
        self.path, self.title, self.panels = folder / f"{name}.svg", title, []

    def panel(self, title, rows, draw):
        if rows:
            self.panels.append((title, rows, draw))

    def write(self):
        if not self.panels:
            return None
        columns = min(len(self.panels), 2)
        lines = -(-len(self.panels) // columns)
        figure, axes = plt.subplots(lines, columns, figsize=(5.2 * columns, 3.4 * lines), squeeze=False)
        for axis in axes.flat[len(self.panels):]:
            axis.set_visible(False)
        handles = {}
        for axis, (title, rows, draw) in zip(axes.flat, self.panels):
            draw(axis, rows)
            axis.set_title(title, fontsize=9)
            handles.update({label: handle for handle, label in zip(*axis.get_legend_handles_labels())})
        caption = "\n".join(
            line for run in told([row for _, rows, _ in self.panels for row in rows])
            for line in textwrap.wrap(run, 75 * columns)
        )
        figure.suptitle(self.title, fontsize=11)
        figure.tight_layout()
        if handles:
            figure.legend(handles.values(), handles.keys(), loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
        figure.text(0.01, -0.01, caption, fontsize=6.5, color="#666666", va="top")
        figure.savefig(self.path, bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)
        return self.path


def lines(x, y, x_label, y_label, log=True, linear_y=False):
    """A line for each subject: a number of the row, or what `y` makes of it, over what varies."""
    value = y if callable(y) else lambda row: row.numbers.get(y)

    def draw(axis, rows):
        for subject in subjects(rows):
            points = sorted((row.at[x], value(row)) for row in rows if row.subject == subject and value(row) is not None)
            axis.plot(
                *zip(*points), marker="o", markersize=3, label=subject, color=colour(subject),
                linewidth=2.2 if ours(subject) else 1.1, zorder=3 if ours(subject) else 2,
            )
        if log:
            axis.set_xscale("log")
        if not linear_y:
            axis.set_yscale("log")
        ticks = sorted({row.at[x] for row in rows})
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)

    return draw


def bars(value, label, limit=None):
    """A bar for each subject; a dashed line where the goal is."""

    def draw(axis, rows):
        found = [(value(row), row.subject) for row in rows if value(row) is not None]
        found.sort(reverse=True)
        axis.barh([name for _, name in found], [number for number, _ in found], color=[colour(n) for _, n in found])
        if limit is not None:
            axis.axvline(limit, color="#444444", linestyle="--", linewidth=1)
        axis.set_xlabel(label)

    return draw


def scatter(axis, rows):
    for row in rows:
        axis.scatter(row["ns"], 100 * row["hit_ratio"], color=colour(row.subject), label=row.subject, s=30)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())
    axis.set_xlabel("ns a request, all threads together")
    axis.set_ylabel("hits, %")


QUANTILES = {"p50_ns": "p50", "p99_ns": "p99", "p999_ns": "p99.9", "p9999_ns": "p99.99", "max_ns": "max"}


def tails(axis, rows):
    for row in rows:
        if row.subject != "harness":
            values = [row.numbers.get(name) for name in QUANTILES]
            axis.plot(
                list(QUANTILES.values()), values, marker="o", markersize=3, label=row.subject,
                color=colour(row.subject), linewidth=2.2 if ours(row.subject) else 1.1,
            )
    axis.set_yscale("log")
    axis.set_ylabel("ns")


def through_time(name, label):
    def draw(axis, rows):
        for row in rows:
            axis.plot(row["ms"], row[name], color=colour(row.subject), linewidth=1.3)
        axis.set_ylim(bottom=0)
        ends = sorted(value for at, value in rows[0].at.items() if at.endswith("_ms"))
        if len(ends) == 2:
            axis.axvspan(*ends, color="#f3e6e6", zorder=0)
        axis.set_xlabel("ms")
        axis.set_ylabel(label)

    return draw


def write_all(runs, folder):
    folder.mkdir(exist_ok=True)
    figures = []

    def figure(name, title):
        figures.append(Figure(folder, name, title))
        return figures[-1].panel

    by_size = lines("fragments", "ns", "fragments", "ns per operation")
    panel = figure("get_hit", "get, all hits in hot: time by size")
    for threads in (1, 2):
        panel(f"{threads} thread{'s' * (threads > 1)}", runs.of("get_hit", threads=threads), by_size)

    by_threads = lines("threads", lambda row: 1e3 / row["ns"], "threads", "10⁶ operations a second")
    panel = figure("threads", "Throughput by threads, 10,000 fragments in hot")
    named = {"get_hit": "get, all hits", "hot_key": "get of one hot key", "mixed_90_10": "90 get to 10 store",
             "store_demote": "store, each demoting one"}
    for group, title in named.items():
        panel(title, runs.of(group, fragments=10_000), by_threads)

    panel = figure("store_demote", "store, each demoting one: time by size")
    for threads in (1, 2):
        panel(f"{threads} thread{'s' * (threads > 1)}", runs.of("store_demote", threads=threads), by_size)

    panel = figure("mixed", "get and store, each store demoting one: 10,000 fragments in hot, 2 threads")
    for group in ("mixed_99_1", "mixed_90_10", "mixed_50_50", "churn"):
        title = "promotions and demotions" if group == "churn" else group.removeprefix("mixed_").replace("_", "/")
        rows = [row for row in runs.of(group, fragments=10_000, threads=2) if row.subject != "harness"]
        panel(title, rows, bars(lambda row: row["ns"], "ns per operation"))

    panel = figure("cycle", "Keys removed and stored again and again, beside 10,000 others: 1 thread")
    for group, title in {"cycle_1": "one key", "cycle_100": "100 keys in turn", "cycle_10000": "10,000 keys in turn"}.items():
        rows = [row for row in runs.of(group, fragments=10_000, threads=1) if row.subject != "harness"]
        panel(title, rows, bars(lambda row: row["ns"], "ns for both"))

    panel = figure("trace", "Traces replayed: hits in any tier, and time")
    for name in runs.values("trace", "trace"):
        for threads in (1, 2):
            panel(f"{name}, {threads} thread{'s' * (threads > 1)}", runs.of("trace", trace=name, threads=threads), scatter)

    panel = figure("latency", "How long single operations take, on 2 cores")
    for operation in ("get", "store"):
        for threads in (8, 16):
            rows = runs.of(f"latency_{operation}", threads=threads)
            panel(f"{operation}, {threads} threads", rows, tails)

    panel = figure("stall", "What others get done while one thread is stopped in the middle of an operation")
    for row in runs.of("stall"):
        panel(row.subject, [row], through_time("operations_per_s", "operations a second"))
    panel = figure("pin", "One long-held pin")
    panel("time", runs.of("long_pin"), through_time("ns", "ns per operation"))
    panel("waiting to be freed", runs.of("long_pin"), through_time("retired_bytes", "bytes"))

    panel = figure("memory", "Memory")

    def at_rest(row):
        return max(value for name, value in row.numbers.items() if name.endswith("at_rest_bytes"))

    panel("overhead at rest, 100,000 fragments", runs.of("overhead", fragments=100_000),
          bars(at_rest, "bytes a fragment", 110))
    panel("the same, 16 gets of others between two stores", runs.of("overhead_spread", gets_between_stores=16),
          bars(lambda row: row["at_rest_bytes"], "bytes a fragment", 140))
    for size in runs.values("churn_memory", "tiers_mib"):
        panel(f"8 threads storing 16 KiB, tiers of {size} MiB", runs.of("churn_memory", tiers_mib=size),
              bars(lambda row: row.numbers.get("worst_ratio"), "peak live over held", 1.1))

    panel = figure("scaling", "Time as the store grows")
    for group in runs.groups():
        if group.startswith("scaling_"):
            panel(group.removeprefix("scaling_").replace("_", " "), runs.of(group), by_size)

    return [path for path in (each.write() for each in figures) if path]
