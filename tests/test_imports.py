"""What importing loads, and that nothing forks; import-linter (pyproject.toml) holds the arrows between modules."""

import ast
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

MODULES = sorted((ROOT / "fastmnist").rglob("*.py"))
COMMANDS = sorted((ROOT / "fastmnist" / "cli").glob("*.py"))


def imports(source, *, everywhere):
    """The modules that `source` imports: everywhere, or only when it is loaded itself."""
    pending, found = list(ast.parse(source).body), []
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif everywhere or not (isinstance(node, ast.FunctionDef) or is_type_checking(node)):
            pending += ast.iter_child_nodes(node)
    return set(found)


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_commands_load_nothing_but_click_before_they_run(path):
    """What `--help` loads must be quick to load."""
    loaded = {name.split(".")[0] for name in imports(path.read_text(encoding="utf-8"), everywhere=False)}
    assert loaded <= {*sys.stdlib_module_names, "click", "fastmnist"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_forks(path):
    source = path.read_text(encoding="utf-8")
    assert not {"multiprocessing", "pty"} & {name.split(".")[0] for name in imports(source, everywhere=True)}
    assert not {"os.fork", "ProcessPoolExecutor", "preexec_fn"} & {word.strip("(),:") for word in source.split()}


UPWARD = [
    ("errors", "fastmnist.cli.main", "The house"),
    ("inputs/idx", "fastmnist.model.model_file", "The house"),
    ("evaluation", "fastmnist.datasets.dataset", "The house"),
    ("inputs/idx", "fastmnist.inputs.stream", "Inputs"),
    ("training/loop", "fastmnist.kernels.training_loop", "Who may import kernels"),
    ("inputs/idx", "fastmnist.kernels.parse_rows", "Who may import kernels"),
    ("cli/warmup", "fastmnist.kernels.training_loop", "Commands configure kernels"),
    ("kernels/layout", "fastmnist.errors", "Kernels raise nothing"),
    ("cli/train", "fastmnist.cli.predict", "The command line"),
    ("kernels/jit", "fastmnist.kernels.matmul", "Kernels"),
    ("images/decode", "tqdm", "Only the command line knows click"),
]


@pytest.fixture(scope="module")
def copied_tree(tmp_path_factory):
    """The package and its contracts, to be spoilt."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copytree(
        ROOT / "fastmnist", tree / "fastmnist", ignore=shutil.ignore_patterns("__pycache__", "*.safetensors")
    )
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def broken_contracts(tree):
    command = [sys.executable, "-c", "import importlinter.cli; importlinter.cli.lint_imports_command()", "--no-cache"]
    run = subprocess.run(command, cwd=tree, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
    return [line.removesuffix(" BROKEN") for line in run.stdout.splitlines() if line.endswith(" BROKEN")]


@pytest.mark.parametrize(("module", "target", "contract"), UPWARD)
def test_an_arrow_that_points_up_breaks_a_contract(module, target, contract, copied_tree):
    path = copied_tree / "fastmnist" / f"{module}.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n\ndef late():\n    import {target}\n", encoding="utf-8")
    try:
        assert any(broken.startswith(contract) for broken in broken_contracts(copied_tree))
    finally:
        path.write_text(before, encoding="utf-8")


def test_a_module_without_a_floor_breaks_a_contract(copied_tree):
    (copied_tree / "fastmnist" / "new.py").touch()
    try:
        assert broken_contracts(copied_tree) == ["The house"]
    finally:
        (copied_tree / "fastmnist" / "new.py").unlink()
    assert broken_contracts(copied_tree) == []
