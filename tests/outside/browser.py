"""A person types a key on the page in a real browser, and the key is in the vault."""

import pathlib
import sys

import anyio
import mcp_types as types
from support.chromium import Chromium
from support.common import KEY, OTHER_KEY, command, home, nowhere
from mcp import Client, StdioServerParameters

SCREENS = pathlib.Path("target/screens")
PASSPHRASE = "correct horse battery staple"


def add(browser, url, code):
    """Types nonsense, reads what is wrong with it, and types the key."""
    browser.open(url)
    text = browser.text()
    assert "Add an API key" in text and "stand-in" in text and "work" in text and code in text, text
    assert browser.js("document.activeElement.id") == "secret", "the field has the focus"
    assert browser.js("document.activeElement.type") == "password"
    assert browser.js("document.scripts.length") == 0
    for scheme in ("light", "dark"):
        browser.look(scheme)
        browser.screenshot(SCREENS / f"add-{scheme}.png")
    browser.type("sk-...")
    browser.press("button")
    assert "placeholder" in browser.text(), browser.text()
    assert browser.js("document.activeElement.getAttribute('aria-invalid')") == "true"
    for scheme in ("light", "dark"):
        browser.look(scheme)
        browser.screenshot(SCREENS / f"error-{scheme}.png")
    browser.look("light", width=360, height=780)
    browser.screenshot(SCREENS / "error-narrow.png")
    assert browser.js("document.documentElement.scrollWidth <= innerWidth"), "it fits a telephone"
    browser.look()
    browser.type(KEY)
    browser.press("button")
    assert "The key is stored" in browser.text(), browser.text()
    for scheme in ("light", "dark"):
        browser.look(scheme)
        browser.screenshot(SCREENS / f"done-{scheme}.png")
    assert KEY not in browser.js("document.documentElement.outerHTML")
    assert not browser.broken_rules(), browser.broken_rules()


def rotate(browser, url, code):
    browser.open(url)
    assert "Replace an API key" in browser.text() and code in browser.text()
    browser.look("dark")
    browser.screenshot(SCREENS / "rotate-dark.png")
    browser.type("sk-stand-in-unknown-0123456789")
    browser.press("button")
    assert "Something went wrong" in browser.text(), browser.text()
    for scheme in ("light", "dark"):
        browser.look(scheme)
        browser.screenshot(SCREENS / f"failed-{scheme}.png")


def unlock(browser, url, code):
    browser.open(url)
    assert "Unlock the vault" in browser.text() and code in browser.text()
    browser.screenshot(SCREENS / "unlock-dark.png")
    browser.type(PASSPHRASE)
    browser.press("button")
    assert "The vault is unlocked" in browser.text(), browser.text()


async def with_person(binary, environment, mode, browser, at_page, tool, arguments):
    """Calls a tool while a person answers at the page."""
    asked = []

    async def person(_context, params):
        asked.append(params)
        return types.ElicitResult(action="accept")

    async def sit_down():
        while not asked:
            await anyio.sleep(0.01)
        code = asked[0].message.split("Code ")[1].split(".")[0]
        await anyio.to_thread.run_sync(at_page, browser, asked[0].url, code)

    server = StdioServerParameters(command=binary, args=["serve"], env=environment)
    async with Client(server, mode=mode, elicitation_callback=person) as client:
        with anyio.fail_after(90):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sit_down)
                return await client.call_tool(tool, arguments)


async def main(binary):
    SCREENS.mkdir(parents=True, exist_ok=True)
    browser = Chromium()
    try:
        for mode in ("legacy", "2026-07-28"):
            with home() as (path, environment):
                arguments = {"provider": "stand-in", "label": "work"}
                result = await with_person(binary, environment, mode, browser, add, "add_api_key", arguments)
                assert not result.is_error, result
                shown = command(
                    binary, environment, "run", "--provider", "stand-in:work", "--",
                    sys.executable, "-c", "import os; print(os.environ['STAND_IN_API_KEY'])",
                )
                assert shown.strip() == KEY, "the key in the vault is the one that was typed"
                refused = await with_person(binary, environment, mode, browser, rotate, "rotate_key", arguments)
                assert refused.structured_content["error"]["code"] == "key_rejected", refused
                nowhere(KEY, path)
            with home() as (path, environment):
                with_passphrase = {**environment, "API_KEYS_PASSPHRASE": PASSPHRASE}
                command(binary, with_passphrase, "vault", "init", "--master-key", "passphrase")
                command(binary, with_passphrase, "add", "stand-in", "--stdin", stdin=OTHER_KEY + "\n")
                result = await with_person(
                    binary, environment, mode, browser, unlock, "validate_key", {"provider": "stand-in"}
                )
                assert result.structured_content["status"] == "valid", result
                nowhere(PASSPHRASE, path)
            print(f"browser: {mode} is good, see {SCREENS}")
    finally:
        browser.close()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
