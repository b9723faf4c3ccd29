"""The page of `evaluate --report`: how good a model is on a data set. It needs no script."""

import numpy as np

from fastmnist.datasets.labelled import LabelledImages
from fastmnist.errors import AnyPath, printable
from fastmnist.evaluation import Evaluation
from fastmnist.model.facts import facts_of
from fastmnist.model.model_file import Model
from fastmnist.report.charts import curves, reliability
from fastmnist.report.confusions import heat_map, image_name, sections
from fastmnist.report.mistakes import MOST_LISTED, Positions, cells, doubtful_labels, worst
from fastmnist.report.page import error_list, facts, filled, page, percent, picture, table, text
from fastmnist.shapes import NO_DIGIT
from fastmnist.training.loop import sha256_of

MOST_ERRORS = 100  # lines about images that can't be read


def evaluation_page(model: Model, images: LabelledImages, figures: Evaluation, data: AnyPath | None = None) -> bytes:
    """Return the page about `figures`, which are those of `model` on `images`, of the data set at the path `data`.

    It is HTML in UTF-8 that loads nothing. Equal arguments give equal bytes. Up to 10,000 mistakes are shown, in less
    than 10 MB.
    """
    title = "How well the model reads " + ("these images" if data is None else printable(data))
    history = curves(model.origin.get("history"))
    body = filled(
        "evaluation.html",
        title=text(title),
        tiles=_tiles(figures),
        classes=_classes(figures, images.class_names),
        matrix=heat_map(figures, images.class_names),
        cells=sections(cells(images.labels, figures), images, figures),
        reliability=reliability(figures),
        curves=filled("curves.html", curves=history) if history else "",
        doubtful=_listed(doubtful_labels(images.labels, figures), images, figures),
        worst=_listed(worst(images.labels, figures), images, figures),
        model=_words([*facts_of(model), ("checksum", model.checksum or "none: the model is not in a file")]),
        data=_words(_facts_of_data(model, images, figures, data)),
        errors=error_list(images.errors[:MOST_ERRORS], len(images.errors)),
    )
    return page(title, body)


def _tiles(figures: Evaluation) -> str:
    """Return the figures that stand first."""
    n_wrong = figures.n_samples - int(np.trace(figures.confusion))
    low, high = figures.accuracy_interval
    shown = [
        ("accuracy", percent(figures.accuracy, 2)),
        ("95 % interval", f"{100 * low:.2f} to {percent(high, 2)}"),
        ("images", f"{figures.n_samples:,}"),
        ("mistakes", f"{n_wrong:,}"),
        *([] if figures.refused is None else [(f"taken for {NO_DIGIT}", f"{figures.n_refused:,}")]),
        ("loss", f"{figures.loss:.4f}"),
        ("calibration error", f"{figures.calibration_error:.4f}"),
    ]
    return facts(shown)


def _classes(figures: Evaluation, names: list[str]) -> str:
    """Return the table of the classes, and of the means over classes and over images."""
    columns = np.stack([figures.precision, figures.recall, figures.f1], axis=1)
    sizes = figures.class_sizes
    rows = [*zip(map(text, names), columns, sizes, strict=True)]
    total = int(sizes.sum())
    rows.append(("mean", columns.mean(axis=0), total))
    rows.append(("weighted mean", sizes @ columns / total, total))
    cells = [[name, *(f"{share:.4f}" for share in shares), f"{size:,}"] for name, shares, size in rows]
    return table(["class", "precision", "recall", "f1", "images"], cells, "Figures of each class")


def _words(known: list[tuple[str, str]]) -> str:
    """Return names and values, plain text, as HTML."""
    return facts([(name, text(value)) for name, value in known])


def _facts_of_data(
    model: Model, images: LabelledImages, figures: Evaluation, data: AnyPath | None
) -> list[tuple[str, str]]:
    checksum = sha256_of(images.pixels, images.labels)
    is_trained = checksum == model.origin.get("train_data_sha256")
    known = [
        ("path", "none: the data was passed as arrays" if data is None else printable(data)),
        ("images", f"{figures.n_samples:,}, {figures.n_errors:,} more can't be read"),
        ("classes", f"{len(images.class_names)}: {', '.join(images.class_names)}"),
        ("checksum", checksum),
    ]
    warning = ("warning", "the model was trained on these very images: it does worse on other images")
    return [*known, warning] if is_trained else known


def _listed(positions: Positions, images: LabelledImages, figures: Evaluation) -> str:
    """Return pictures of the first of these mistakes, with the class that is the label and the one that is read."""
    if not len(positions):
        return "<p>None.</p>\n"
    names = [text(name) for name in [*images.class_names, NO_DIGIT]]
    shown = positions[:MOST_LISTED].tolist()
    lines = [
        f"<li>{picture(images.pixels[position])}"
        f"<b>{names[images.labels[position]]}</b> {percent(float(figures.label_probabilities[position]))}"
        f"<br>read as <b>{names[figures.predictions[position]]}</b> {percent(float(figures.confidences[position]))}"
        f"<br>{image_name(images, position)}</li>\n"
        for position in shown
    ]
    count = f"<p>{len(positions):,}, the first {len(shown)}:</p>\n" if len(shown) < len(positions) else ""
    return f'{count}<ul class="pictures">\n{"".join(lines)}</ul>\n'
