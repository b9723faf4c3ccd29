"""A run's results: figures as JSON, a file per section, and the tables of bench/README.md."""

import importlib
import json
from pathlib import Path
from typing import Any

from bench.machine import NOT_INSTALLED
from bench.settings import Settings
from bench.table import Row, Table, write_json

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
README = FOLDER / "README.md"
MARK = "<!-- Below: written by `python -m bench --write-readme`. -->"


def run_section(name: str, settings: Settings, machine: dict[str, str]) -> list[str]:
    """Run one section, print its tables as they are finished, and save its figures; return the rows without a peer."""
    tables = []
    for table in importlib.import_module(f"bench.{name}").run(settings):
        print(table.text(), flush=True)
        tables.append(table)
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{'smoke-' if settings.smoke else ''}{name}.json", machine, tables)
    return [f"{row.name} ({row.note})" for table in tables for row in table.rows if NOT_INSTALLED in row.note]


def write_readme(sections: tuple[str, ...]) -> None:
    """Replace everything below the mark in bench/README.md with the last full run of each section."""
    kept = README.read_text(encoding="utf-8").partition(MARK)[0]
    paths = [path for name in sections if (path := RESULTS / f"{name}.json").exists()]
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    parts = [kept + MARK, "", _machines([content["machine"] for content in contents])]
    parts += [_table(table).markdown() for content in contents for table in content["tables"]]
    README.write_text("\n".join(parts), encoding="utf-8")


def _machines(machines: list[dict[str, str]]) -> str:
    """Return the machine as a list; values that differ between sections are all listed, once each."""
    lines = []
    for name in machines[0]:
        values = dict.fromkeys(machine[name] for machine in machines)
        lines.append(f"- {name}: {'; '.join(values)}")
    return "\n".join([*lines, ""])


def _table(content: dict[str, Any]) -> Table:
    return Table(content["title"], [Row(**row) for row in content["rows"]])
