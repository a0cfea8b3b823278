"""A real browser for tests: Chromium by WebDriver, with what its developer tools know.

Selenium, because it speaks a W3C standard to the driver that Debian ships with its Chromium, downloads nothing, and has
no event loop of its own, beside which tests of coroutines could not run. (Playwright is made for the builds of browsers
that it downloads.)
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.remote_connection import ChromeRemoteConnection
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",  # so that it ends with its driver, whatever happens to the test
)
WAIT_SECONDS = 30
"""Far above what anything takes: a busy machine is not a failure."""


class Browser:
    """One window; everything that it logs and asks for is kept.

    Attributes:
        driver: Selenium's.
        requests: The URLs that it asked for, as far as `collect` has them.
        complaints: What its console has, errors and refusals of the Content-Security-Policy among it.
        expected: Statuses of answers that are no complaint.
        downloads: The folder of what it saved.
    """

    def __init__(self, driver: webdriver.Remote, downloads: Path) -> None:
        self.driver = driver
        self.downloads = downloads
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.expected: set[int] = set()

    def reset(self) -> None:
        """Forget what was seen and kept, as far as `about:blank` and the tab's storage go."""
        self.driver.get("about:blank")
        self.collect()
        self.requests.clear()
        self.complaints.clear()
        self.expected.clear()
        self.cdp("Emulation.setEmulatedMedia", features=[])
        self.resize(1280)

    def forget(self) -> None:
        """Forget what the page has kept in the storage of its tab, also when its test has failed."""
        if self.driver.current_url.startswith("http"):
            self.driver.execute_script("sessionStorage.clear()")

    def is_expected(self, complaint: str) -> bool:
        return any(f"responded with a status of {status} " in complaint for status in self.expected)

    def open(self, url: str) -> None:
        """Load a page, even if only what follows the `#` is another than now."""
        self.driver.get("about:blank")
        self.driver.get(url)

    def cdp(self, command: str, **parameters: Any) -> Any:
        """Run a command of the DevTools protocol."""
        return self.driver.execute("executeCdpCommand", {"cmd": command, "params": parameters})["value"]

    def collect(self) -> None:
        """Fetch the logs that were written since the last time."""
        for line in self.driver.execute("getLog", {"type": "performance"})["value"]:
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        entries = self.driver.execute("getLog", {"type": "browser"})["value"]
        self.complaints += [f"{entry['level']}: {entry['message']}" for entry in entries]

    def resize(self, width: int, height: int = 900) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, **features: str) -> None:
        """Set what the user prefers, such as `color_scheme="dark"`."""
        wanted = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.cdp("Emulation.setEmulatedMedia", features=wanted)

    def find(self, selector: str) -> WebElement:
        """The first visible element of a CSS selector; waits for it."""
        return self.wait(lambda: next((one for one in self.all(selector) if one.is_displayed()), None), selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def enter_key(self, key: str, *, keep: bool = False) -> None:
        """Give the console an API key to send."""
        self.named("button", "Credentials").click()
        self.named("input", "An API key").click()
        self.type("#secret", key)
        if keep:
            self.named("input", "Keep it").click()
        self.named("button", "Use it").click()
        self.named("button", "API key in use")

    def named(self, selector: str, name: str) -> WebElement:
        """The visible element of a selector whose accessible name, as the browser computes it, begins so."""

        def search() -> WebElement | None:
            shown = (one for one in self.all(selector) if one.is_displayed())
            return next((one for one in shown if one.accessible_name.startswith(name)), None)

        return self.wait(search, f"{selector} named {name!r}")

    def wait(self, condition: Any, what: str) -> Any:
        """Wait until something is true of a page that changes meanwhile; return it."""
        waiting = WebDriverWait(self.driver, WAIT_SECONDS, 0.05, [StaleElementReferenceException])
        return waiting.until(lambda _driver: condition(), f"waited for {what}; the page says:\n{self.text()[:2000]}")

    def text(self) -> str:
        return self.driver.find_element("css selector", "body").text

    def wait_for_text(self, text: str) -> None:
        self.wait(lambda: text in self.text(), repr(text))

    def wait_for_links(self, selector: str, texts: list[str]) -> None:
        script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)"
        self.wait(lambda: self.driver.execute_script(script, selector) == texts, f"{texts[:1]} and so on")

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an asynchronous function in the page; return what it returns."""
        wrapped = f"const done = arguments[arguments.length - 1]; (async (...given) => {{ {script} }})(...arguments)"
        outcome = self.driver.execute_async_script(f"{wrapped}.then(done, (error) => done(String(error)))", *arguments)
        return outcome

    def type(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        shot = self.cdp("Page.captureScreenshot", format=path.suffix[1:], captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browsing(driver_url: str, binary: str, downloads: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own; it saves downloads in a folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Remote(ChromeRemoteConnection(driver_url), options=options)
    try:
        browser = Browser(driver, downloads)
        browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        yield browser
    finally:
        driver.quit()
