"""USSD: whole conversations through the web server, with the PIN, its lock and the registry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa

from gateway.dialogue.access import IssuedPin, keep_pins
from gateway.registry.household import Contact
from gateway.runtime import Runtime
from tests.bench.figure import Figure, scaled
from tests.bench.sends import free_port, until_listening

PEOPLE = scaled(200, 1_000)
AT_ONCE = 16
SECONDS = scaled(6, 30)
# As in the Procfile.
WORKERS, THREADS = 2, 4


def turns(runtime: Runtime, environment: Mapping[str, str]) -> list[Figure]:
    """Turns a second of `AT_ONCE` callers, and what 99 turns of 100 stay within; beside a route that does nothing."""
    token = runtime.settings.callback_tokens[0]
    people = _people(runtime)
    with _served("--factory", "gateway.app:serve", environment=environment) as url:
        # Everybody chooses a language on the first call; the server warms up meanwhile.
        _call(f"{url}/ussd/africastalking/{token}", 0, [(msisdn, ["1"]) for msisdn, _ in people])
        ours = _call(f"{url}/ussd/africastalking/{token}", SECONDS, people)
    with _served("tests.bench.bare:app", environment={}) as url:
        _call(f"{url}/ussd/africastalking/{token}", 0, people)
        bare = _call(f"{url}/ussd/africastalking/{token}", SECONDS, people)
    return [
        Figure("ussd_turns_per_s", ours["turns"] / ours["seconds"], "turns/s", bare["turns"] / bare["seconds"],
               "ratio >= 0.6"),
        Figure("ussd_p99_ms", ours["p99_ms"], "ms", bare["p99_ms"], "<= 3000"),
    ]


def _people(runtime: Runtime) -> list[tuple[str, list[str]]]:
    """Telephones that one household has, and what each types: my index, the PIN, and on through its pages."""
    lonely = sa.select(Contact.msisdn_blind).group_by(Contact.msisdn_blind).having(sa.func.count() == 1)
    with runtime.database.write() as session:
        contacts = session.scalars(sa.select(Contact).where(
            Contact.kind == "mobile", Contact.position == 1, Contact.msisdn_blind.in_(lonely))
            .order_by(Contact.id).limit(PEOPLE)).all()
        issued = [IssuedPin.new(runtime.vault, contact.household_id) for contact in contacts]
        keep_pins(session, runtime.vault, issued, runtime.clock())
    return [(runtime.vault.open(contact.msisdn_sealed, "contact.msisdn", contact.id), ["1", one.pin, "98", "98"])
            for contact, one in zip(contacts, issued, strict=True)]


def _call(url: str, seconds: int, people: list[tuple[str, list[str]]]) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.callers", url, str(AT_ONCE), str(seconds)]
    answered = subprocess.run(command, input=json.dumps(people).encode(), stdout=subprocess.PIPE, check=True)
    measured = dict(json.loads(answered.stdout))
    if measured["wrong"]:
        raise RuntimeError(f"{measured['wrong']} of {measured['turns']} turns were answered wrongly")
    return measured


@contextmanager
def _served(*what: str, environment: Mapping[str, str]) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
               "--workers", str(WORKERS), "--blocking-threads", str(THREADS), "--log-level", "error", *what]
    server = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        until_listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
