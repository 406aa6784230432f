"""What the README and the doc strings show is run, and is so."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tierstack
import tierstack.compat

README = Path(__file__).parent.parent / "README.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ONE_AT_A_TIME = threading.Lock()  # doctest takes the place of `sys.stdout`
OPTIONS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


def modules() -> Iterator[Any]:
    yield tierstack
    for found in pkgutil.walk_packages(tierstack.__path__, "tierstack."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def documented(owner: Any, name: str) -> Iterator[tuple[str, str]]:
    """The doc strings of a module or class and of what is in it, with their names. Native ones are found as others are."""
    yield name, owner.__doc__ or ""
    for part, value in sorted(vars(owner).items()):
        in_module = inspect.ismodule(owner)
        home = str(getattr(value, "__module__", None))
        if in_module and home != owner.__name__ and not (owner is tierstack and part in tierstack.__all__ and home.startswith("tierstack")):
            continue  # imported from elsewhere
        if inspect.isclass(value):
            if in_module:
                yield from documented(value, f"{name}.{part}")
        elif inspect.isroutine(value) or inspect.isdatadescriptor(value):
            yield f"{name}.{part}", value.__doc__ or ""


EXAMPLES = {name: text for module in modules() for name, text in documented(module, module.__name__) if ">>>" in text}
BLOCKS = [text for language, text in FENCE.findall(README.read_text(encoding="utf-8")) if language == "python"]


def run(source: str, name: str, names: dict[str, Any]) -> int:
    """Runs the examples in a text. How many there were."""
    test = doctest.DocTestParser().get_doctest(source, names, name, name, 0)
    told: list[str] = []
    with ONE_AT_A_TIME:
        failed = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=told.append).failed
    assert not failed, "".join(told)
    return len(test.examples)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_a_doc_string_are_so(name: str) -> None:
    assert run(EXAMPLES[name], name, {**vars(tierstack), **vars(tierstack.compat)}) > 0


def test_there_are_examples() -> None:
    """Those of the package, of its native part and of the compatible classes, at least."""
    wanted = {"tierstack", "tierstack.compat", "tierstack.compat._service.ContextTierService"}
    assert wanted <= EXAMPLES.keys() and any("TierStore" in name for name in EXAMPLES)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_python_of_the_readme_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = BLOCKS[number]
    if ">>>" in source:
        run(source, f"README, block {number}", {})
    else:
        exec(compile(source, f"README, block {number}", "exec"), {"__name__": "readme"})


def test_the_readme_names_every_method() -> None:
    """The tables of methods lack none, and name none that is not there."""
    text = README.read_text(encoding="utf-8")
    for owner in (tierstack.TierStore, tierstack.PlanContext, tierstack.PlanSnapshot):
        section = text.partition(f"### `{owner.__name__}`\n")[2].partition("\n#")[0]
        named = set(re.findall(r"`(\w+)(?:\(|`)", section))
        public = {name for name in vars(owner) if not name.startswith("_")}
        assert public <= named, f"{owner.__name__}: {sorted(public - named)}"
        calls = set(re.findall(r"^\| (.*?) \|", section, re.MULTILINE))
        in_tables = {name for cell in calls for name in re.findall(r"`(\w+)\(", cell)}
        assert in_tables <= public, f"{owner.__name__}: {sorted(in_tables - public)}"
