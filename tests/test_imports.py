"""What importing loads, and that nothing forks; import-linter (pyproject.toml) holds the arrows between modules."""

import ast
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
