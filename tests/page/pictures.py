"""Takes the pictures of the page that the docs show: `PYTHONPATH=src:tests python -m page.pictures`."""

import json
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from acceptance.house import ROOT, agent_yaml
from fakes import llm
from page import tabs
from page.tabs import NARROW, TOOLS, WIDE, Site, Tab

FOLDER = ROOT / "docs" / "images"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Version/26.0 Mobile/15E148 Safari/605.1"
ANDROID = "Mozilla/5.0 (Linux; Android 16; Pixel 9) Chrome/140.0.0.0 Mobile Safari/537.36"


# What the fake model does for an agent stands in its instruction, so that what people say can be what they would say.
TEAM = {
    "migrator": '[[tool shell {"cmd": "make migrate ENV=staging"}]]',
    "gardener": '[[tool shell {"cmd": "git push --force origin main"}]]',
    "tester": "[[say The test waits for the clock, not for the login.]][[hang]]",
    "writer": "[[say Nothing to report.]]",
    "translator": "[[status 401]]",
}


GREETING = "def greet(name):\n    print('hello ' + name)\n\n\ngreet('world')\n"
EDIT = {
    "oldText": "    print('hello ' + name)",
    "newText": "    if not name:\n        raise ValueError('who?')\n    print(f'hello, {name}!')",
}
FORM = {
    "type": "object",
    "required": ["target", "email", "replicas"],
    "properties": {
        "target": {
            "type": "string",
            "title": "Target",
            "enum": ["staging", "production"],
            "enumNames": ["Staging", "Production"],
        },
        "email": {"type": "string", "format": "email", "title": "Tell this address"},
        "replicas": {"type": "integer", "title": "Replicas", "minimum": 1, "maximum": 9, "default": 2},
        "dry": {"type": "boolean", "title": "Only pretend", "default": True},
    },
}
ASKED = {"title": "Deployment", "message": "Where should this go, and who is told?", "schema": FORM}
TASK = {
    "agent": "reader",
    "task": "Find out how many modules there are, and what each of them is for",
    "expected_output": "A list",
}
SCENES = {
    "editor": [
        ("write_file", {"path": "greet.py", "content": GREETING}),
        ("edit_file", {"path": "greet.py", "edits": [EDIT]}),
        ("shell", {"cmd": "python3 greet.py"}),
    ],
    "cleaner": [("shell", {"cmd": "rm -rf build/ && git clean -fdx"})],
    "deployer": [("user_prompt", ASKED)],
    "lead": [("transfer_task", TASK)],
}
KIT = "    toolsets: [{type: shell}, {type: filesystem}, {type: user_prompt}]\n"
CREW = f"""\
    sub_agents: [reader]
  reader:
    model: fast
    description: Reads
    instruction: '[[tool list_directory {{"path": "."}}]][[say There are **three** modules; `core` holds the words.]]'
{KIT}"""


def scenes(site: Site) -> dict[str, str]:
    """A session for each picture of one."""
    said = {"editor": "Done: `greet` refuses an **empty name** now.", "lead": "There are three modules."}
    folder = site.yard.folder / "work"
    folder.mkdir()
    made = {}
    for name, calls in SCENES.items():
        script = "".join(f"[[tool {tool} {json.dumps(arguments)}]]" for tool, arguments in calls)
        text = (
            agent_yaml(site.model.url, CREW if name == "lead" else KIT)
            .replace("fake-model", "large")
            .replace("fake", "acme")
        )
        text = text.replace("Help.", json.dumps(f"{script}[[say {said.get(name, 'Done.')}]]"), 1)
        (site.yard.folder / "agents" / f"{name}.yaml").write_text(text)
    site.again()
    prompts = {
        "editor": "Let greet() refuse an empty name, and greet more politely.",
        "cleaner": "Clean up what the build has left.",
        "deployer": "Deploy it.",
        "lead": "How is this project laid out?",
    }
    for name, prompt in prompts.items():
        safety = "strict" if name == "cleaner" else "autonomous"
        made[name] = site.client.create(title=prompt.rstrip("."), working_dir=str(folder), safety_policy=safety)
        site.client.start(made[name], prompt, name, detach=True).close()
        if name in ("cleaner", "deployer"):
            site.wait_of(made[name])
        else:
            site.client.until_idle(made[name])
    return made


def furnish(site: Site) -> str:
    """Sessions as they would be on a working day; returns the one to look at."""
    for name, script in TEAM.items():
        text = agent_yaml(site.model.url, TOOLS).replace("Help.", f"'{script}'").replace("fake-model", "large")
        (site.yard.folder / "agents" / f"{name}.yaml").write_text(text.replace("fake", "acme"))
    site.again()
    starred = site.client.create(title="Dependencies, every Monday")
    site.client.patch(f"/api/sessions/{starred}/starred", {"starred": True})
    begin(site, "writer", "Notes on the last release", "What is new since the last release?")
    begin(site, "translator", "Translate the handbook", "Translate the handbook into French.")
    begin(site, "tester", "Why is the login test flaky?", "Find out why the login test fails once a day.")
    site.wait_of(begin(site, "gardener", "Tidy the history", "Squash the fixups of last week."))
    session = begin(site, "migrator", "Move invoices to the new schema", "Move the invoices to the new schema.")
    site.wait_of(session)
    return session


def begin(site: Site, agent: str, title: str, prompt: str) -> str:
    """A session of an agent of the team."""
    session = site.client.create(title=title)
    site.client.start(session, prompt, agent, detach=True).close()
    return session


def main() -> None:
    """All of them."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        llm.serve() as model,
        tabs.opened(Path(folder), model, "--public-url", "https://roost.example") as site,
    ):
        session = furnish(site)
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=tabs.CHROMIUM, args=["--no-sandbox"])
            with tabs.tabs(tabs.Guests(browser)) as tab:
                take(tab(site, WIDE, theme="dark"), f"#/s/{session}", "page-session", ".stage .ask")
                phone = tab(site, NARROW, theme="dark", device_scale_factor=2, user_agent=IPHONE)
                take(phone, "#/", "page-list", ".pill.amber")
                take(phone, "#/inbox", "page-inbox", ".asked")
                take(phone, "#/new", "page-new", "form")
                made = scenes(site)
                take(tab(site, (1280, 900)), f"#/s/{made['editor']}", "page-view", ".k-answer.final")
                take(phone, f"#/s/{made['cleaner']}", "page-ask", ".stage .ask")
                take(phone, f"#/s/{made['deployer']}", "page-form", ".stage .ask")
                light = tab(site, NARROW, device_scale_factor=2, user_agent=ANDROID)
                take(light, f"#/s/{made['lead']}", "page-tree", ".k-answer.final", press=".k-sub .head")
                take(
                    light,
                    "#/settings",
                    "page-pair",
                    ".device",
                    press="text=Pair another device",
                    then="text=Copy the link",
                )
            browser.close()


def take(shown: Tab, where: str, name: str, seen: str, *, press: str = "", then: str = "") -> None:
    """One picture, once that is on it which it is about."""
    shown.go(where)
    expect(shown.page.locator(seen).first).to_be_visible()
    if press:
        shown.page.locator(press).click()
    if then:
        shown.page.locator(then).scroll_into_view_if_needed()
    shown.page.wait_for_load_state("networkidle")
    shown.page.evaluate("document.activeElement.blur()")
    shown.page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main()
