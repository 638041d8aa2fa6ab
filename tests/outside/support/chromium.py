"""A headless Chromium, driven over its DevTools protocol."""

import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request

import websocket

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --remote-debugging-port=0 --remote-allow-origins=*""".split()


class Chromium:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        self.process = subprocess.Popen(
            ["chromium", *FLAGS, f"--user-data-dir={self.profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.events, self.last_id = [], 0
        self.socket = websocket.create_connection(self._address(), timeout=60)
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.do(f"{domain}.enable")
        self.do("Emulation.setFocusEmulationEnabled", enabled=True)

    def _address(self):
        file = pathlib.Path(self.profile, "DevToolsActivePort")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                port = file.read_text().split()[0]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
                    pages = [tab for tab in json.load(answer) if tab["type"] == "page"]
                return pages[0]["webSocketDebuggerUrl"]
            except (OSError, IndexError):
                time.sleep(0.05)
        raise AssertionError("chromium does not start")

    def do(self, method, **params):
        self.last_id += 1
        self.socket.send(json.dumps({"id": self.last_id, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.last_id:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def _wait(self, method):
        while True:
            for at, event in enumerate(self.events):
                if event["method"] == method:
                    return self.events.pop(at)
            message = json.loads(self.socket.recv())
            if "method" in message:
                self.events.append(message)

    def _forget_loads(self):
        self.events = [event for event in self.events if event["method"] != "Page.loadEventFired"]

    def _arrive(self):
        """Waits for the page that follows, until it is drawn: only then a browser sets the focus and takes clicks."""
        self._wait("Page.loadEventFired")
        drawn = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        self.do("Runtime.evaluate", expression=drawn, awaitPromise=True)

    def open(self, url):
        self._forget_loads()
        self.do("Page.navigate", url=url)
        self._arrive()

    def js(self, expression):
        return self.do("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def text(self):
        return self.js("document.body.innerText")

    def type(self, text):
        self.do("Input.insertText", text=text)

    def press(self, selector):
        """Clicks in the middle of an element, and waits for the page that follows."""
        self._forget_loads()
        x, y = self.js(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self._arrive()

    def look(self, scheme="light", width=900, height=900):
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def screenshot(self, path):
        data = self.do("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def broken_rules(self):
        """What the page's own policy stopped."""
        entries = [event["params"]["entry"] for event in self.events if event["method"] == "Log.entryAdded"]
        return [entry["text"] for entry in entries if "Content Security Policy" in entry["text"]]

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=30)
        shutil.rmtree(self.profile, ignore_errors=True)
