"""A real browser without a window, and the accessibility checker axe-core that runs in it."""

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
AXE = "axe-core@4.14.1"
CACHE = Path(__file__).parents[3] / "build" / "npm"
DEADLINE = 30.0


class Browser:
    """
    Chromium, driven by Selenium. `driver` is Selenium's.

    It counts with CSS pixels, and can be made to look like a telephone, or in dark mode.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str, width: int = 1200, dark: bool = False) -> None:
        """Show a page, and forget what earlier ones requested and logged."""
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")
        self.requests()
        self.problems()
        self.driver.get(url)

    def find(self, selector: str) -> Any:
        """Return the first element."""
        return self.driver.find_element("css selector", selector)

    def find_all(self, selector: str) -> list[Any]:
        """Return all elements."""
        return list(self.driver.find_elements("css selector", selector))

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what JavaScript returns."""
        return self.driver.execute_script(script, *arguments)

    def wait_for(self, script: str) -> Any:
        """Wait until a JavaScript expression is true, and return its value."""
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, DEADLINE, 0.02).until(lambda driver: self.run(f"return {script}"), script)

    def text(self, selector: str) -> str:
        """Return the text of an element, as it is shown."""
        return str(self.find(selector).text)

    def fill(self, selector: str, text: str) -> None:
        """Type a text into an empty field."""
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def requests(self) -> list[str]:
        """Return the addresses that were requested since the last call."""
        entries = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [one["params"]["request"]["url"] for one in entries if one["method"] == "Network.requestWillBeSent"]

    def problems(self) -> list[str]:
        """Return what the browser logged since the last call: errors, and violations of the page's policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def check_accessibility(self, axe: str) -> list[str]:
        """Return the serious findings of axe-core, each with the first element that it concerns."""
        self.run(axe)
        found = self.driver.execute_async_script("axe.run(document).then(arguments[0])")
        return [
            f"{one['id']}: {one['nodes'][0]['html']}: {one['nodes'][0]['failureSummary']}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@contextmanager
def start(folder: Path) -> Iterator[Browser]:
    """Start a browser with an empty profile in `folder`. Skips the test where there is none."""
    if CHROMIUM is None or CHROMEDRIVER is None:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    selenium = pytest.importorskip("selenium.webdriver")
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, f"--user-data-dir={folder}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(CHROMEDRIVER))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def read_axe() -> str:
    """Return axe-core's script, from npm the first time. Skips the test where npm or its registry cannot be reached."""
    archive = CACHE / f"{AXE.replace('@', '-')}.tgz"
    if not archive.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip(f"{AXE} needs npm")
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", AXE, "--pack-destination", str(CACHE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            pytest.skip(f"npm cannot get {AXE}: {done.stderr[-200:]}")
    with tarfile.open(archive) as files:
        member = files.extractfile("package/axe.min.js")
        assert isinstance(member, io.BufferedReader)
        return member.read().decode()
