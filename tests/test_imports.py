"""Imports go downward only, from floor to lower floor, and sideways only where it is listed here."""

import ast
import sys
from graphlib import TopologicalSorter

import pytest
from conftest import ROOT

FLOORS = {
    "fastmnist": 0,
    "fastmnist.errors": 0,
    "fastmnist.threads": 0,
    "fastmnist.output": 1,
    "fastmnist.output_csv": 1,
    "fastmnist.output_jsonl": 1,
    "fastmnist.output_kaggle": 1,
    "fastmnist.output_part": 1,
    "fastmnist.output_rows": 1,
    "fastmnist.arrays_file": 2,
    "fastmnist.kernels": 1,
    "fastmnist.data": 2,
    "fastmnist.network": 3,
    "fastmnist.augmentation": 3,
    "fastmnist.model_file": 3,
    "fastmnist.training": 4,
    "fastmnist.checkpoint": 4,
    "fastmnist.misread": 4,
    "fastmnist.recipes": 4,
    "fastmnist.prediction": 4,
    "fastmnist.evaluation": 4,
    "fastmnist.calibration": 4,
    "fastmnist.cli": 5,
    "fastmnist.__main__": 6,
}

SIDEWAYS = {
    "fastmnist.threads": {"fastmnist.errors"},
    "fastmnist.data.idx": {"fastmnist.data.files"},
    "fastmnist.data.download": {"fastmnist.data.files"},
    "fastmnist.data.file_list": {"fastmnist.data.files"},
    "fastmnist.data.locate": {
        "fastmnist.data.emnist",
        "fastmnist.data.files",
        "fastmnist.data.idx",
        "fastmnist.data.table",
    },
    "fastmnist.data.class_folders": {
        "fastmnist.data.files",
        "fastmnist.data.labelled",
        "fastmnist.data.locate",
        "fastmnist.data.sources",
    },
    "fastmnist.data.datasets": {
        "fastmnist.data.class_folders",
        "fastmnist.data.idx",
        "fastmnist.data.labelled",
        "fastmnist.data.locate",
        "fastmnist.data.preprocess",
        "fastmnist.data.sources",
        "fastmnist.data.table",
    },
    "fastmnist.data.images": {"fastmnist.data.files"},
    "fastmnist.data.ink": {"fastmnist.data.images"},
    "fastmnist.data.many": {
        "fastmnist.data.batch",
        "fastmnist.data.emnist",
        "fastmnist.data.idx",
        "fastmnist.data.images",
        "fastmnist.data.normalize",
        "fastmnist.data.preprocess",
        "fastmnist.data.selection",
        "fastmnist.data.stdin",
        "fastmnist.data.table",
    },
    "fastmnist.data.normalize": {"fastmnist.data.images", "fastmnist.data.ink", "fastmnist.data.rules"},
    "fastmnist.data.rules": {"fastmnist.data.images", "fastmnist.data.ink"},
    "fastmnist.data.preprocess": {"fastmnist.data.images", "fastmnist.data.normalize"},
    "fastmnist.data.sources": {
        "fastmnist.data.batch",
        "fastmnist.data.files",
        "fastmnist.data.idx",
        "fastmnist.data.many",
        "fastmnist.data.normalize",
        "fastmnist.data.preprocess",
        "fastmnist.data.selection",
        "fastmnist.data.stdin",
        "fastmnist.data.table",
        "fastmnist.data.workers",
    },
    "fastmnist.data.stdin": {"fastmnist.data.files", "fastmnist.data.idx", "fastmnist.data.images"},
    "fastmnist.data.table": {"fastmnist.data.files", "fastmnist.data.idx"},
    "fastmnist.output_csv": {"fastmnist.output_rows"},
    "fastmnist.output_jsonl": {"fastmnist.output_rows"},
    "fastmnist.output_kaggle": {"fastmnist.output_csv", "fastmnist.output_rows"},
    "fastmnist.output_part": {"fastmnist.output", "fastmnist.output_rows"},
    "fastmnist.model_file": {"fastmnist.network"},
    "fastmnist.augmentation": {"fastmnist.network"},
    "fastmnist.training": {"fastmnist.recipes", "fastmnist.evaluation"},
    "fastmnist.checkpoint": {"fastmnist.training"},
}

# Modules beside network.py that run kernels of their own.
KERNEL_USERS = {
    "fastmnist.output_csv": {"fastmnist.kernels.format_rows", "fastmnist.kernels.jit"},
    "fastmnist.data.table": {"fastmnist.kernels.parse_rows"},
    "fastmnist.augmentation": {"fastmnist.kernels.augment", "fastmnist.kernels.jit"},
}

# Inside kernels/: the building blocks, in this order, and above them the kernels, which may be made of each other.
KERNEL_FLOORS = {"inlining": 0, "jit": 1, "randomness": 2, "simd": 2, "lanes": 3, "layout": 3}
KERNEL = 4

# What commands are made of, and share.
PARTS_OF_COMMANDS = {
    f"fastmnist.cli.{name}" for name in ("options", "recipe_options", "history", "predict_output", "show")
}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / "fastmnist").rglob("*.py"))}


def imported(statement):
    """The modules that an import statement names."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if statement.level:
        return ["relative import"]
    within = [f"{statement.module}.{alias.name}" for alias in statement.names]
    return [name if name in MODULES else statement.module for name in within]


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(source, *, everywhere):
    """The modules that `source` imports: everywhere, or only when it is loaded itself."""
    pending, found = list(ast.parse(source).body), []
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += imported(node)
        elif everywhere or not (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_type_checking(node)):
            pending += ast.iter_child_nodes(node)
    return sorted(set(found))


def floor(module):
    while module not in FLOORS:
        module = module.rpartition(".")[0]
    return FLOORS[module]


def is_allowed(module, target):
    """Tell whether `module` may import `target`, both of fastmnist."""
    if target.startswith("fastmnist.kernels.") and not module.startswith("fastmnist.kernels."):
        from_cli = module.startswith("fastmnist.cli.") and target == "fastmnist.kernels.jit"
        return module == "fastmnist.network" or from_cli or target in KERNEL_USERS.get(module, ())
    if module.startswith("fastmnist.kernels.") and target.startswith("fastmnist.kernels."):
        of, to = (KERNEL_FLOORS.get(name.rpartition(".")[2], KERNEL) for name in (module, target))
        return of > to or of == to == KERNEL
    if module.startswith("fastmnist.cli.") and target.startswith("fastmnist.cli."):
        return module == "fastmnist.cli.main" or target in PARTS_OF_COMMANDS
    return floor(module) > floor(target) or target in SIDEWAYS.get(module, ())


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_or_where_it_is_listed(module):
    ours = [
        name
        for name in imports(MODULES[module].read_text(encoding="utf-8"), everywhere=True)
        if name.split(".")[0] == "fastmnist" or name == "relative import"
    ]
    assert [target for target in ours if not is_allowed(module, target)] == []


def test_imports_go_round_in_no_circle():
    graph = {
        module: {name for name in imports(path.read_text(encoding="utf-8"), everywhere=True) if name in MODULES}
        for module, path in MODULES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("fastmnist.cli")])
def test_commands_load_nothing_but_click_before_they_run(module):
    """What `--help` loads must be quick to load."""
    loaded = imports(MODULES[module].read_text(encoding="utf-8"), everywhere=False)
    foreign = [name for name in loaded if name.split(".")[0] not in (*sys.stdlib_module_names, "click", "fastmnist")]
    ours = [name for name in loaded if name.split(".")[0] == "fastmnist" and not name.startswith("fastmnist.cli")]
    assert foreign == []
    assert set(ours) <= {"fastmnist", "fastmnist.errors"}


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("fastmnist.errors", "fastmnist.cli.main"),
        ("fastmnist.network", "fastmnist.training"),
        ("fastmnist.data.idx", "fastmnist.model_file"),
        ("fastmnist.data.idx", "fastmnist.data.sources"),
        ("fastmnist.training", "fastmnist.kernels.training_loop"),
        ("fastmnist.cli.train", "fastmnist.kernels.training_loop"),
        ("fastmnist.cli.train", "fastmnist.cli.predict"),
        ("fastmnist.kernels.jit", "fastmnist.kernels.matmul"),
        ("fastmnist.kernels.matmul", "fastmnist.network"),
        ("fastmnist.output", "fastmnist.data.idx"),
    ],
)
def test_an_arrow_up_or_sideways_would_be_found(module, target):
    assert not is_allowed(module, target)


def test_imports_are_found_wherever_they_stand():
    source = """if True:
        import fastmnist.errors
        from fastmnist.data import idx
        from fastmnist.data.idx import read_images
        if TYPE_CHECKING:
            import fastmnist.network
        def function():
            from . import errors
            import numpy as np
    """
    assert imports(source, everywhere=True) == [
        "fastmnist.data.idx",
        "fastmnist.errors",
        "fastmnist.network",
        "numpy",
        "relative import",
    ]
    assert imports(source, everywhere=False) == ["fastmnist.data.idx", "fastmnist.errors"]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_forks(module):
    """A fork after a parallel kernel ran deadlocks in the child: libgomp's threads are not there."""
    source = MODULES[module].read_text(encoding="utf-8")
    assert not {"multiprocessing", "pty"} & {name.split(".")[0] for name in imports(source, everywhere=True)}
    assert not {"os.fork", "ProcessPoolExecutor", "preexec_fn"} & {word.strip("(),:") for word in source.split()}


def test_every_listed_module_is_there():
    listed = {*FLOORS, *SIDEWAYS, *(target for targets in SIDEWAYS.values() for target in targets)}
    assert listed <= set(MODULES)
