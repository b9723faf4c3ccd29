"""A real browser for the HTML files that fastmnist writes: Debian's chromium, driven by Playwright.

Where there is none its tests are skipped, unless FASTMNIST_TEST_BROWSER is `required`, as it is in `.ci/run`.
"""

import contextlib
import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE, DESKTOP = (390, 844), (1280, 800)


def find_browser():
    """Return the path of the system's browser; skip the test, or fail it where browsers are required."""
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    reason = "no chromium on the PATH (Debian: apt install chromium)"
    if os.environ.get("FASTMNIST_TEST_BROWSER") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def started_browser():
    """A running browser, closed at the end."""
    path = find_browser()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, path, *, size=DESKTOP, dark=False, touch=False, scripts=True):
    """The HTML file `path` as a tab shows it, opened from the disk with the network off.

    At the end nothing was written on its console, no error was left over, and nothing but the file was asked for.
    """
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        has_touch=touch,
        is_mobile=touch,
        java_script_enabled=scripts,
        offline=True,
        accept_downloads=True,
    )
    page = context.new_page()
    address = path.absolute().as_uri()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        page.goto(address)
        yield page
        asked_for = {url.partition("#")[0] for url in requests if not url.startswith(("data:", "blob:"))}
        assert asked_for == {address}
        assert complaints == []
    finally:
        context.close()
