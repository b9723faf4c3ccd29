"""The table of one benchmark run: aligned text to read, markdown to keep, JSON to compare."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.timing import Comparison, Timing

SECONDS_IN = {"s": 1.0, "ms": 1e3, "us": 1e6}

HEADER = ("what", "ours", "ours min", "peer", "peer min", "ratio", "unit", "note")


@dataclass(frozen=True)
class Row:
    """One figure. `ours` and `peer` are medians; what was not measured is None, and the note says why."""

    name: str
    ours: float | None
    peer: float | None
    ratio: float | None
    unit: str
    note: str = ""
    ours_min: float | None = None
    peer_min: float | None = None

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, in the header's order."""
        figures = [_figure(value) for value in (self.ours, self.ours_min, self.peer, self.peer_min)]
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} x"
        return (self.name, *figures, ratio, self.unit, self.note)


@dataclass
class Table:
    """Rows under one title, in the order in which they were measured."""

    title: str
    rows: list[Row] = field(default_factory=list)

    def add(
        self,
        name: str,
        ours: float | None,
        peer: float | None = None,
        ratio: float | None = None,
        unit: str = "",
        note: str = "",
    ) -> None:
        """Add a figure of any unit; `ratio` says how many times better ours is."""
        self.rows.append(Row(name, ours, peer, ratio, unit, note))

    def add_timing(self, name: str, timing: Timing, unit: str = "s", note: str = "") -> None:
        """Add a time that has no peer."""
        scale = SECONDS_IN[unit]
        self.rows.append(Row(name, timing.median * scale, None, None, unit, note, ours_min=timing.min * scale))

    def add_comparison(self, name: str, comparison: Comparison, unit: str = "s", note: str = "") -> None:
        """Add ours and a peer's time."""
        scale = SECONDS_IN[unit]
        ours, peer = comparison.ours, comparison.peer
        self.rows.append(
            Row(
                name,
                ours.median * scale,
                peer.median * scale,
                comparison.ratio,
                unit,
                note,
                ours_min=ours.min * scale,
                peer_min=peer.min * scale,
            )
        )

    def text(self) -> str:
        """Return the table in aligned columns, for a terminal."""
        cells = [HEADER, *(row.cells() for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(_align(line, widths)).rstrip() for line in cells]
        return "\n".join([self.title, "", *lines, ""])

    def markdown(self) -> str:
        """Return the table as a markdown section."""
        rule = ("---", "---:", "---:", "---:", "---:", "---:", "---", "---")
        cells = [HEADER, rule, *(row.cells() for row in self.rows)]
        lines = [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in cells]
        return "\n".join([f"## {self.title}", "", *lines, ""])


def write_json(path: Path, machine: dict[str, str], tables: Iterable[Table]) -> None:
    """Write all figures of a run, unrounded, with the machine they come from."""
    content = {"machine": machine, "tables": [asdict(table) for table in tables]}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _figure(value: float | None) -> str:
    """Write a figure with three significant digits, and large ones in full."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def _align(line: tuple[str, ...], widths: list[int]) -> list[str]:
    """Pad the cells of one line: figures to the right, words to the left."""
    sides: list[Callable[[str, int], str]] = [str.ljust, *[str.rjust] * 5, str.ljust, str.ljust]
    return [side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True)]
