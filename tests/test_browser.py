"""The browser that tests use notices what a page must not do."""

import browser as browsers
import pytest


def write(folder, body):
    path = folder / "page.html"
    path.write_text(f"<!doctype html><html lang=en><title>Page</title><body>{body}", encoding="utf-8")
    return path


def test_a_page_is_opened_and_its_scripts_run(browser, tmp_path):
    path = write(tmp_path, "<p id=p></p><script>document.getElementById('p').textContent = 6 * 7</script>")
    with browsers.opened(browser, path) as page:
        assert page.inner_text("p") == "42"


@pytest.mark.parametrize(
    "fault",
    [
        "<script>console.error('no')</script>",
        "<script>nowhere()</script>",
        "<img src=missing.png alt=''>",
        "<link rel=stylesheet href=http://localhost:9/style.css>",
    ],
)
def test_a_page_that_complains_or_asks_for_more_fails(browser, tmp_path, fault):
    with pytest.raises(AssertionError), browsers.opened(browser, write(tmp_path, fault)):
        pass


def test_without_a_browser_tests_are_skipped_but_not_in_the_gate(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("FASTMNIST_TEST_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt install chromium"):
        browsers.find_browser()
    monkeypatch.setenv("FASTMNIST_TEST_BROWSER", "required")
    with pytest.raises(pytest.fail.Exception, match="apt install chromium"):
        browsers.find_browser()
