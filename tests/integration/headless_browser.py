"""A browser without a window and without a network, that keeps account of what pages do."""

import http.server
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

_SECONDS = 60
_OPTIONS = (
    "--headless=new",
    "--window-size=1280,1400",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--metrics-recording-only",
    # The network is off: no name has an address.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@dataclass
class Account:
    """What a page asked for, and what went wrong.

    Attributes:
        requests: addresses.
        failed: address and reason of each that was not answered with what it asked for.
        errors: of the console.
    """

    requests: list[str]
    failed: list[tuple[str, str]]
    errors: list[str]


class Browser:
    """Chromium, driven from here."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def open(self, url: str, ready: str) -> Account:
        """Open a page, wait until a script's expression is true, and tell what happened."""
        self.close_page()  # so that an address with another fragment is loaded anew
        self._log("performance"), self._log("browser")
        self._driver.get(url)
        self.wait(ready)
        time.sleep(0.3)  # what scripts ask for after that
        return self._account(url)

    def page(self) -> str:
        """The address that is open, without a fragment."""
        return str(self._driver.current_url).partition("#")[0]

    def close_page(self) -> None:
        """Leave the page."""
        self._driver.get("about:blank")

    def wait(self, ready: str) -> None:
        """Until an expression is true."""
        end = time.monotonic() + _SECONDS
        while not self.run(f"return Boolean({ready})"):
            assert time.monotonic() < end, f"never true: {ready}\n{self._log('browser')}"
            time.sleep(0.05)

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns; its arguments are called `arguments`."""
        return self._driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """What a reader sees of an element."""
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def emulate(self, name: str, value: str) -> None:
        """A feature of media, such as the colours that a reader prefers."""
        self._driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": name, "value": value}]}
        )

    def _log(self, kind: str) -> list[dict[str, Any]]:
        return self._driver.get_log(kind)

    def _account(self, url: str) -> Account:
        account = Account([], [], [])
        page = url.partition("#")[0]
        asked: dict[str, str] = {}
        for entry in self._log("performance"):
            message = json.loads(entry["message"])["message"]
            method, told = message["method"], message["params"]
            name = told.get("requestId", "")
            # The browser may be busy with other things than the page.
            if method == "Network.requestWillBeSent" and told["documentURL"].startswith(page):
                asked[name] = told["request"]["url"]
                account.requests.append(asked[name])
            elif name not in asked:
                continue
            elif method == "Network.loadingFailed":
                account.failed.append((asked[name], told["errorText"]))
            elif method == "Network.responseReceived" and told["response"]["status"] >= 400:
                account.failed.append((asked[name], str(told["response"]["status"])))
        account.errors = [e["message"] for e in self._log("browser") if e["level"] == "SEVERE"]
        return account


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser with nothing in its memory; skips the test if there is none here."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    server = shutil.which("chromedriver")
    if program is None or server is None:
        pytest.skip("there is no Chromium with its chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for option in (*_OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium has none for root
        service = webdriver.ChromeService(executable_path=server)
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.set_page_load_timeout(_SECONDS)
            yield Browser(driver)
        finally:
            driver.quit()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A web server of this machine only; its address, with a slash at the end."""
    handler = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
