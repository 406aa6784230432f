"""The runs' results, as benches/src/results.rs describes them."""

import json
import time
from pathlib import Path


class Row:
    """What was measured of one subject at one point."""

    def __init__(self, run, line):
        self.run = run
        self.group = line["group"]
        self.subject = line["subject"]
        self.at = line["at"]
        self.numbers = line["is"]

    def __getitem__(self, name):
        return self.numbers[name]


class Runs:
    """The rows of a folder's files. Where two have the same name, the newer run's is kept."""

    def __init__(self, folder):
        rows = {}
        files = [self._read(path) for path in Path(folder).glob("*.jsonl")]
        for run, lines in sorted(files, key=lambda file: file[0]["seconds"]):
            for line in lines:
                row = Row(run, line)
                rows[row.group, row.subject, json.dumps(row.at, sort_keys=True)] = row
        self.rows = list(rows.values())

    @staticmethod
    def _read(path):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        if not lines or "run" not in lines[0]:
            raise SystemExit(f"{path} does not begin with the run's line")
        return lines[0]["run"], lines[1:]

    def groups(self):
        return list(dict.fromkeys(row.group for row in self.rows))

    def of(self, group, **at):
        """The group's rows at the points that have these values."""
        wanted = at.items()
        return [row for row in self.rows if row.group == group and wanted <= row.at.items()]

    def number(self, group, subject, name, **at):
        """One number of one row, or None."""
        found = [row for row in self.of(group, **at) if row.subject == subject]
        return found[0].numbers.get(name) if len(found) == 1 else None

    def values(self, group, name, **at):
        """The values that were measured of what varies."""
        return sorted({row.at[name] for row in self.of(group, **at) if name in row.at})


def told(rows):
    """Where, of what and how rows were measured, a line for each run."""
    runs = {(row.run["bench"], row.run["seconds"]): row.run for row in rows}
    for run in runs.values():
        date = time.strftime("%Y-%m-%d", time.gmtime(run["seconds"]))
        yield f"{run['machine']}; {run['system']}; commit {run['commit']}; {date}; {run['command']}"
