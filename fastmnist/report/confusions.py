"""The confusion matrix as a heat map, in which each cell links to a section with its pictures."""

import math

from fastmnist.datasets.labelled import LabelledImages
from fastmnist.evaluation import Evaluation
from fastmnist.report.mistakes import Cell
from fastmnist.report.page import percent, picture, text
from fastmnist.shapes import NO_DIGIT

LEVELS = 9  # of heat: style.css has a colour for each


def heat_map(figures: Evaluation, names: list[str]) -> str:
    """Return the matrix as a table: a row per true class, a column per predicted class, all counts as text."""
    counts = figures.confusion.tolist()
    said_names = names
    if figures.refused is not None:
        counts = [[*row, refused] for row, refused in zip(counts, figures.refused.tolist(), strict=True)]
        said_names = [*names, NO_DIGIT]
    wrong = [count for label, row in enumerate(counts) for said, count in enumerate(row) if said != label]
    most = max(wrong, default=0)
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in said_names)
    lines = []
    for label, row in enumerate(counts):
        cells = "".join(_cell(label, said, count, most) for said, count in enumerate(row))
        lines.append(f'<tr><th scope="row">{text(names[label])}</th>{cells}</tr>\n')
    return (
        '<div class="wide" role="region" aria-label="Confusion matrix" tabindex="0"><table class="heat">\n'
        "<caption>A row for each true class, a column for each predicted class</caption>\n"
        f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody></table></div>\n"
    )


def sections(cells: list[Cell], images: LabelledImages, figures: Evaluation) -> str:
    """Return the pictures of all cells, a section for each."""
    return "".join(_section(cell, images, figures) for cell in cells)


def image_name(images: LabelledImages, position: int) -> str:
    """Return what to call an image, as HTML: its path, or its number in the set."""
    return text(images.names[position]) if images.names else f"image {position}"


def _cell(label: int, said: int, count: int, most: int) -> str:
    if not count:
        return "<td>0</td>"
    heat = "right" if label == said else f"heat{math.ceil(LEVELS * math.sqrt(count / most))}"
    return f'<td class="{heat}"><a href="#{_id(label, said)}">{count}</a></td>'


def _section(cell: Cell, images: LabelledImages, figures: Evaluation) -> str:
    names = [text(name) for name in [*images.class_names, NO_DIGIT]]
    count, n_shown = _count(cell, figures), len(cell.positions)
    is_right = cell.label == cell.prediction
    title = f"{names[cell.label]} read as {names[cell.prediction]}: {count:,}"
    shown = ""
    if n_shown < count:
        kind = "least" if is_right else "most"
        shown = f", the {n_shown:,} {kind} confident" if n_shown else ", none of them shown"
    pictures = "".join(
        f"<li>{picture(images.pixels[position])}{percent(float(figures.confidences[position]))}"
        f"<br>{image_name(images, position)}</li>\n"
        for position in cell.positions.tolist()
    )
    return (
        f'<section class="cell" id="{_id(cell.label, cell.prediction)}" tabindex="-1"><h3>{title}{shown}</h3>\n'
        f'<a class="close" href="#confusions">close</a>\n<ul class="pictures small">\n{pictures}</ul></section>\n'
    )


def _count(cell: Cell, figures: Evaluation) -> int:
    if cell.prediction < len(figures.confusion):
        return int(figures.confusion[cell.label, cell.prediction])
    assert figures.refused is not None  # noqa: S101  # only what is refused has such a prediction
    return int(figures.refused[cell.label])


def _id(label: int, said: int) -> str:
    return f"cell-{label}-{said}"
