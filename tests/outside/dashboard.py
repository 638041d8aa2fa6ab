"""The dashboard in a real browser: every page with a realistic ledger, hostile names, other origins, and axe-core."""

import functools
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from support.chromium import Chromium
from support.common import KEY, OTHER_KEY, command, home, nowhere, type_on_page
from support.ledger import CONFIG, Filled

SCREENS = pathlib.Path("target/screens")
AXE = pathlib.Path(os.environ.get("OUTSIDE_NODE", "target/outside-node"), "node_modules/axe-core/axe.min.js")
PAGES = ["", "usage", "sessions", "models", "keys", "routing", "gateway", "logs", "audit", "doctor"]
MAX_PAGE, MAX_SCRIPT = 60_000, 10_000


class Dashboard:
    """One that runs, without a browser of its own."""

    def __init__(self, binary, environment):
        self.process = subprocess.Popen(
            [binary, "dashboard", "--no-open", "--json"], env=environment, stdout=subprocess.PIPE, text=True
        )
        text = ""
        while "}" not in text:
            line = self.process.stdout.readline()
            assert line, "it ended"
            text += line
        self.link = json.loads(text)["link"]
        self.base, self.ticket = self.link.split("/#")

    def fetch(self, path, token=None, data=None, **headers):
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.base + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read()

    def session(self, ticket):
        status, body = self.fetch("/ui/v1/session", data=json.dumps({"ticket": ticket}).encode())
        return json.loads(body)["token"] if status == 200 else None

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=30) == 0


def arrived(browser, what="!document.querySelector('main').hasAttribute('aria-busy') && document.querySelector('main .head')"):
    deadline = time.monotonic() + 30
    while not browser.js(f"Boolean({what})"):
        assert time.monotonic() < deadline, browser.text()
        time.sleep(0.05)


def audit(browser, where):
    """What axe-core finds wrong on the page."""
    browser.js("delete window.axe")
    # As the protocol's own script it is not bound by the page's policy.
    browser.do("Runtime.evaluate", expression=AXE.read_text())
    found = browser.do(
        "Runtime.evaluate", expression="axe.run(document, {resultTypes: ['violations']}).then(it => JSON.stringify(it.violations))",
        awaitPromise=True, returnByValue=True,
    )
    violations = json.loads(found["result"]["value"])
    told = [(it["id"], [node["target"] for node in it["nodes"]][:3], it["nodes"][0].get("failureSummary")) for it in violations]
    assert not told, (where, json.dumps(told, indent=1))


def every_page(browser, dashboard):
    browser.look("light", 1280, 900)
    browser.open(dashboard.link)
    arrived(browser)
    assert browser.js("location.hash") == "", "the ticket leaves the address"
    token = browser.js("sessionStorage.getItem('token')")
    assert token and token not in browser.js("document.documentElement.outerHTML")
    has_axe = AXE.exists()
    for page in PAGES:
        query = "?days=90&by=project" if page in ("usage",) else ""
        status, body = dashboard.fetch(f"/ui/v1/page/{page or 'overview'}{query}", token)
        assert status == 200, (page, body)
        assert len(body) <= MAX_PAGE, (page, len(body))
        assert KEY.encode() not in body and OTHER_KEY.encode() not in body
        for width, height in ((1280, 900), (390, 844)):
            for scheme in ("light", "dark"):
                browser.look(scheme, width, height)
                browser.open(f"{dashboard.base}/{page}{query}")
                arrived(browser)
                browser.do("Runtime.evaluate", expression="new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))", awaitPromise=True)
                browser.screenshot(SCREENS / f"dashboard-{page or 'overview'}-{width}-{scheme}.png")
                wide = browser.js("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, (page, width, wide)
                assert not browser.js("Boolean(window.broken)"), f"a name ran as a script on {page}"
                if has_axe:
                    audit(browser, (page, width, scheme))
    assert not browser.broken_rules(), browser.broken_rules()
    if not has_axe and os.environ.get("CI"):
        raise AssertionError("axe-core is not installed: see tests/outside/node-packages.txt")
    return token


def by_hand(browser, dashboard):
    """Keyboard, filter, links, the pointer on a chart, and a chart zoomed by dragging."""
    def key(text):
        for kind in ("keyDown", "keyUp"):
            browser.do("Input.dispatchKeyEvent", type=kind, key=text, text=text if kind == "keyDown" else "")

    browser.look("light", 1280, 900)
    browser.open(f"{dashboard.base}/")
    arrived(browser)
    key("g"), key("u")
    arrived(browser, "location.pathname === '/usage' && document.querySelector('h1').textContent === 'Usage'")
    key("/")
    assert browser.js("document.activeElement.id") == "filter"
    browser.type("anthropic")
    shown = browser.js("[...document.querySelectorAll('table[data-filter] tbody tr')].filter(it => !it.hidden).length")
    assert shown == 1, shown
    x, y, width = browser.js(
        "(() => { const b = document.querySelector('.plot svg').getBoundingClientRect(); return [b.x, b.y + 50, b.width]; })()"
    )
    browser.do("Input.dispatchMouseEvent", type="mouseMoved", x=x + width * 0.9, y=y)
    assert "$" in browser.js("document.querySelector('#hover').innerText"), "the pointer shows values"
    browser.screenshot(SCREENS / "dashboard-hover.png")
    for kind, at in (("mousePressed", 0.5), ("mouseMoved", 0.7), ("mouseReleased", 0.7)):
        browser.do("Input.dispatchMouseEvent", type=kind, x=x + width * at, y=y, button="left", buttons=1, clickCount=1)
    arrived(browser, "location.search.includes('from=')")
    assert "days" not in browser.js("location.search")
    browser.js("history.back()")
    arrived(browser, "location.pathname === '/usage' && !location.search")
    browser.js("document.activeElement.blur()")
    key("?")
    assert browser.js("document.querySelector('#help').open")
    browser.screenshot(SCREENS / "dashboard-help.png")
    assert not browser.broken_rules(), browser.broken_rules()


def live(browser, dashboard, binary, environment):
    """What is recorded elsewhere is on the page by itself."""
    browser.open(f"{dashboard.base}/gateway")
    arrived(browser)
    command(binary, environment, "track", "openai", "gpt-5-live", "1000", "10")
    arrived(browser, "document.querySelector('main').innerText.includes('gpt-5-live')")


def elsewhere(browser, dashboard, token):
    """A page of another server of this machine reads nothing, with the token or without."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SCREENS)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (SCREENS / "other.html").write_text("<!doctype html><title>other</title>")
    browser.open(f"http://127.0.0.1:{server.server_port}/other.html")
    for path, more in (
        ("/ui/v1/snapshot", {"headers": {"Authorization": f"Bearer {token}"}}),
        ("/ui/v1/page/usage", {"headers": {"Authorization": f"Bearer {token}"}}),
        ("/ui/v1/page/usage", {}),
        ("/", {}),
        ("/ui/v1/session", {"method": "POST", "body": "{}"}),
    ):
        read = browser.do(
            "Runtime.evaluate", returnByValue=True, awaitPromise=True,
            expression=f"fetch({json.dumps(dashboard.base + path)}, {json.dumps(more)}).then(it => it.text(), it => 'refused')",
        )["result"]["value"]
        assert read == "refused", (path, read)
    framed = f"const f = document.createElement('iframe'); f.src = {json.dumps(dashboard.base)}; document.body.append(f); new Promise(done => f.onload = () => done(true))"
    browser.do("Runtime.evaluate", expression=framed, awaitPromise=True)
    assert browser.js("(() => { try { return document.querySelector('iframe').contentDocument?.title ?? 'refused' } catch { return 'refused' } })()") == "refused"
    server.shutdown()
    browser.events.clear()


def key_page(browser, dashboard, binary, environment, path, token):
    """A key is replaced on the one-time page, never on the dashboard."""
    wanted = {"action": "rotate", "provider": "stand-in", "label": "work"}
    status, body = dashboard.fetch("/ui/v1/key-page", token, json.dumps(wanted).encode())
    assert status == 200, body
    status, page = type_on_page(json.loads(body)["address"], OTHER_KEY)
    assert status == 200 and "replaced" in page.lower(), page
    listed = json.loads(command(binary, environment, "list", "--json"))["keys"]
    assert any(it["rotation_count"] == 1 for it in listed), listed
    assert "dashboard" in command(binary, environment, "audit"), "the trail says where it was done"
    nowhere(OTHER_KEY, path)


def opener(binary, environment, browser):
    """The page that leads there: private, with a ticket that works once."""
    tools = pathlib.Path(environment["HOME"], "bin")
    tools.mkdir()
    (tools / "xdg-open").write_text('#!/bin/sh\necho "$1" > "$HOME/opened"\n')
    (tools / "xdg-open").chmod(0o755)
    process = subprocess.Popen(
        [binary, "dashboard"], env={**environment, "PATH": f"{tools}:{environment['PATH']}"}, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    opened = pathlib.Path(environment["HOME"], "opened")
    while not opened.exists() or not opened.read_text().strip():
        time.sleep(0.05)
    page = pathlib.Path(opened.read_text().strip())
    assert page.stat().st_mode & 0o777 == 0o600, oct(page.stat().st_mode)
    browser.open(page.as_uri())
    arrived(browser)
    assert browser.js("document.querySelector('h1').textContent") == "Overview"
    ticket = page.read_text().split("#")[1].split('"')[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert not page.exists(), "it goes with the dashboard"
    return ticket


def report(binary, environment, browser, path):
    file = path / "report.html"
    command(binary, environment, "dashboard", "--html", str(file), "--days", "90")
    text = file.read_text()
    assert KEY not in text and "<script" not in text and "href=" not in text, "no secret, script or link"
    for scheme, width in (("light", 1280), ("dark", 390)):
        browser.look(scheme, width, 900)
        browser.open(file.as_uri())
        browser.screenshot(SCREENS / f"report-{width}-{scheme}.png")
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
        if AXE.exists():
            audit(browser, ("report", scheme))
    return len(text)


def main(binary):
    SCREENS.mkdir(parents=True, exist_ok=True)
    browser = Chromium()
    try:
        with home(CONFIG) as (path, environment):
            command(binary, environment, "add", "stand-in:work", "--stdin", "--expiration-date", "2027-01-01", stdin=KEY + "\n")
            command(binary, environment, "client", "add", "editor", "--daily-limit", "5")
            Filled(binary, environment).fill()
            dashboard = Dashboard(binary, environment)
            try:
                token = every_page(browser, dashboard)
                assert dashboard.session(dashboard.ticket) is None, "a ticket works once"
                by_hand(browser, dashboard)
                live(browser, dashboard, binary, environment)
                elsewhere(browser, dashboard, token)
                key_page(browser, dashboard, binary, environment, path, token)
                script = browser_script(dashboard)
                assert script <= MAX_SCRIPT, script
                snapshot = json.loads(dashboard.fetch("/ui/v1/snapshot", token)[1])
                assert snapshot["version"] == 1 and snapshot["usage"]["totals"]["requests"] > 500, snapshot["usage"]["totals"]
                status, rows = dashboard.fetch("/ui/v1/export?days=7&format=csv", token)
                assert status == 200 and rows.startswith(b"id,at,provider"), rows[:80]
            finally:
                dashboard.stop()
            opener(binary, environment, browser)
            size = report(binary, environment, browser, path)
            nowhere(KEY, path)
        print(f"dashboard: {len(PAGES)} pages are good, script {script} bytes, report {size // 1000} kB, see {SCREENS}")
    finally:
        browser.close()


def browser_script(dashboard):
    shell = dashboard.fetch("/")[1].decode()
    address = shell.split('src="')[1].split('"')[0]
    return len(dashboard.fetch(address)[1])


if __name__ == "__main__":
    main(sys.argv[1])
