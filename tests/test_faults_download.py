"""The fault loops of test_faults.py for `download`, from a server of our own."""

import pytest
from faults import Fault, each_fault, run_in_process
from test_datasets_download import CONTENT, assert_complete, serve, server, tiny, use_sources  # noqa: F401 (fixtures)
from test_faults import faults


@pytest.mark.parametrize(("kind", "stays"), each_fault(["write", "fsync", "replace", "read"]))
def test_download(kind, stays, monkeypatch, capfd, server, tmp_path):  # noqa: F811
    use_sources(monkeypatch, serve(server))
    for fault in faults(kind, stays):
        folder = tmp_path / f"{kind}-{fault.n}"
        folder.mkdir()
        if fault.n % 2:  # a file that is there already is read and verified
            name, content = next(iter(CONTENT.items()))
            (folder / name).write_bytes(content)
        code, _, told = run_in_process(monkeypatch, capfd, "download", folder, fault=fault)
        errors = [line for line in told if line.startswith("fastmnist: error: ")]
        assert (code, len(errors)) == ((1, 1) if code else (0, 0)), told
        for path in folder.iterdir():
            assert path.read_bytes() == CONTENT[path.name]
        verified = [line for line in told if line.endswith(": verified")]
        assert len(verified) == (4 if code == 0 else 0)
        assert run_in_process(monkeypatch, capfd, "download", folder)[0] == 0
        assert_complete(folder)


def test_a_fault_that_comes_too_late_breaks_nothing(monkeypatch, capfd, server, tmp_path):  # noqa: F811
    use_sources(monkeypatch, serve(server))
    fault = Fault("write", 10_000)
    assert run_in_process(monkeypatch, capfd, "download", tmp_path, fault=fault)[0] == 0
    assert not fault.came
    assert_complete(tmp_path)
