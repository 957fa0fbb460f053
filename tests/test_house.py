"""The house: what must hold of all rooms at once."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway.app import create_app
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.longest import SHOWN
from gateway.dialogue.states import Pick, options
from gateway.words import LOCALES, SCREENS, TEMPLATES, Words, all_words
from jobs import alarm, clock, queues
from tests.web.desk import contents

ROOT = Path(__file__).parents[1]
PYTHON = sorted(file for room in ("gateway", "channels", "jobs") for file in (ROOT / room).rglob("*.py"))
one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def test_no_room_imports_one_above_it():
    done = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert f"{len(contracts)} kept, 0 broken" in done.stdout


def test_every_file_says_in_its_first_line_what_it_is_for():
    silent = {file for file in PYTHON if file.stat().st_size and not ast.get_docstring(tree(file))}
    assert silent == set()


def reads_environment(file: Path) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
               and isinstance(node.value, ast.Name) and node.value.id == "os" for node in ast.walk(tree(file)))


def test_only_the_settings_read_the_environment():
    """The embedded house hands its own on to its children, and looks whether a database was named."""
    readers = {str(file.relative_to(ROOT)) for file in PYTHON if reads_environment(file)}
    assert readers <= {"gateway/settings.py", "gateway/embedded.py"}


def settings_read() -> set[str]:
    """Every name that `Settings.from_env` asks its reader for."""
    names = {node.args[0].value for node in ast.walk(tree(ROOT / "gateway" / "settings.py"))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
             and isinstance(node.func.value, ast.Name) and node.func.value.id == "read" and node.args
             and isinstance(node.args[0], ast.Constant)}
    assert len(names) > 15
    return names


def test_every_setting_is_documented():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert sorted(name for name in settings_read() if f"`{name}`" not in page) == []


def test_every_documented_setting_is_read():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| *`([A-Z][A-Z0-9_]+)`", page, re.MULTILINE)
    assert sorted(set(rows) - settings_read()) == []


# Alarms


def test_every_alarm_rings_for_a_job_that_there_is_and_every_job_has_its_alarm():
    assert set(alarm.QUEUE_OF) == set(queues.JOBS)
    assert set(clock.RINGS) <= set(queues.JOBS)


@one_kind
def test_every_queue_that_is_rung_is_watched_by_a_worker(runtime):
    assert set(alarm.QUEUE_OF.values()) <= {queue.name for queue in queues.worker(runtime).queues}


# Doors


# What is read by anybody: it shows no person and changes nothing.
OPEN = {"/health/live", "/health/ready", "/metrics", "/voice/recordings/<slot>/<file>"}


def routes(app):
    for rule in app.url_map.iter_rules():
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            yield method, str(rule), re.sub(r"<[^>]+>", "a-guess", str(rule))


@one_kind
def test_every_route_that_takes_something_asks_for_a_token_or_a_signature(runtime):
    app = create_app(runtime)
    taking = [(method, path) for method, _, path in routes(app) if method != "GET"]
    assert {"/ussd/africastalking/a-guess", "/ussd/africastalking/a-guess/ended", "/sms/twilio",
            "/sms/africastalking/a-guess", "/sms/africastalking/a-guess/opt-out", "/receipts/twilio/a-guess",
            "/receipts/africastalking/a-guess", "/api/v1/messages"} <= {
        path for _, path in taking}
    before = contents(runtime)
    whole = {"sessionId": "x", "phoneNumber": "+212612345678", "serviceCode": "*580#", "text": "1", "status": "Success",
             "id": "x", "from": "+212612345678", "MessageSid": "x", "MessageStatus": "sent", "To": "+212612345678",
             "From": "+212612345678", "Body": "STOP", "AccountSid": runtime.settings.twilio.account_sid}
    web = app.test_client()
    for method, path in taking:
        for form in ({}, whole):
            answer = web.open(path, method=method, data=form, headers={"X-Twilio-Signature": "a guess",
                                                                       "Authorization": "Bearer a-guess"})
            assert answer.status_code == (401 if path.startswith("/api/") else 403), path
    assert contents(runtime) == before


@one_kind
def test_every_route_that_is_open_is_one_that_we_know_of(runtime):
    app = create_app(runtime)
    web = app.test_client()
    assert {rule for method, rule, path in routes(app)
            if method == "GET" and web.get(path).status_code != 401} == OPEN


# Words


@pytest.fixture(scope="module")
def words() -> Words:
    return all_words()


@pytest.mark.parametrize("locale", SCREENS)
def test_every_language_has_every_screen(words, locale):
    shown = {name: HOUSEHOLD.states[name] for name in SHOWN}
    needed = {f"{HOUSEHOLD.says(name)}.text" for name in shown} | {
        f"{HOUSEHOLD.says(name)}.options.{option.label}" for name, state in shown.items() for option in options(state)}
    needed |= {f"{HOUSEHOLD.says(name)}.item" for name, state in shown.items() if isinstance(state, Pick)}
    assert sorted(needed - words.names(locale)) == []


def test_every_language_says_what_the_others_say(words):
    names = {locale: words.names(locale) for locale in LOCALES}
    assert len({frozenset(known) for known in names.values()}) == 1, "a screen stands in one language alone"


def test_every_notice_is_written_in_every_language_for_each_of_its_media(words):
    written = {file.relative_to(TEMPLATES / "notices").as_posix() for file in (TEMPLATES / "notices").glob("*/*.j2")}
    wanted = {f"{notice}/{medium}.{locale}.j2" for notice in words.notices() for medium in words.about(notice).media
              for locale in LOCALES}
    assert wanted == written
