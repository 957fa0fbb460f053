"""Paper: letters that are due are printed into the tray, and posted; the post's record is the proof.

A PIN exists in clear on its sheet alone: it is made while the sheet is printed, and the sheet is removed once
the post has taken it.
"""

from __future__ import annotations

import json
import logging
import secrets
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from channels.letter.page import Letter, Unprintable, check
from channels.letter.tray import NoSuchRun
from gateway import outbox
from gateway.dialogue.access import IssuedPin, keep_pins
from gateway.outbox import Paper
from gateway.runtime import Runtime
from gateway.words import LOCALES

log = logging.getLogger(__name__)

# A PDF of a hundred sheets takes some 230 MB to make, one of five hundred 800.
A_RUN = 100
CASABLANCA = ZoneInfo("Africa/Casablanca")


def print_due(runtime: Runtime) -> int:
    """Print one run of the letters that are due. Returns how many were taken.

    The new PINs are committed with the letters' state; the run's folder takes its final name after that, so
    that a sheet whose PIN does not work is never posted. `recover` ends what a crash left between the two.
    """
    now = runtime.clock()
    run = f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}"
    with runtime.database.write() as session:
        lease = timedelta(seconds=5 * runtime.settings.lease_s)
        papers = outbox.claim_letters(session, runtime.vault, run, now, lease, A_RUN)
    if not papers:
        return 0
    # Two letters to one household carry the same PIN; one that is not printed leaves the PIN as it was.
    pins = {household: IssuedPin.new(runtime.vault, household) for household in {one.household_id for one in papers}}
    letters = {paper.id: _letter(runtime, paper, pins[paper.household_id].pin) for paper in papers}
    refused = {message_id for message_id, letter in letters.items() if not _printable(letter)}
    sheets = [letter for message_id, letter in letters.items() if message_id not in refused]
    issued = {paper.household_id: pins[paper.household_id] for paper in papers if paper.id not in refused}
    if sheets:
        runtime.tray.lay(run, sheets, now.astimezone(CASABLANCA).date())
    with runtime.database.write() as session:
        ours = outbox.printed(session, run, now, refused)
        if ours:
            keep_pins(session, runtime.vault, issued.values(), now)
    if not ours:
        log.error("a run took longer than its lease and was printed again by another worker: it is thrown away")
        runtime.tray.discard(run)
        return 0
    if sheets:
        runtime.tray.keep(run)
    return len(papers)


def recover(runtime: Runtime) -> None:
    """End the runs that a crash left in the tray: keep what was written down, throw away what is due again."""
    for run in runtime.tray.unfinished():
        with runtime.database.read() as session:
            state = outbox.run_state(session, run)
        if state == "printed":
            runtime.tray.keep(run)
        elif state == "lost":
            runtime.tray.discard(run)


def post(runtime: Runtime, run: str, day: date | None = None) -> int:
    """Record that the post has taken a run, and remove its sheets. Returns how many households were notified.

    `day` is that of the post's record, today if not given. Raises `NoSuchRun`.
    """
    now = runtime.clock()
    posted_on = day or now.astimezone(CASABLANCA).date()
    if run not in {laid.name for laid in runtime.tray.runs()}:
        raise NoSuchRun(run)
    at = datetime.combine(posted_on, time(12), CASABLANCA)
    with runtime.database.write() as session:
        settlements = outbox.posted(session, run, at)
        for settlement in settlements:
            runtime.teller.heard(session, settlement, now)
    runtime.tray.post(run, posted_on)
    return len(settlements)


def _printable(letter: Letter) -> bool:
    """A letter that cannot be printed has failed and is listed; the run goes on without it."""
    try:
        check(letter)
    except Unprintable as error:
        log.error("a letter cannot be printed and must be handed over at its centre: %s", error.reason)
        return False
    return True


def _letter(runtime: Runtime, paper: Paper, pin: str) -> Letter:
    """The household's name in the manifest is that of its row: it says nothing to anybody outside."""
    order = (paper.locale, *(locale for locale in LOCALES if locale != paper.locale))
    return Letter(number=paper.reference, token=str(paper.household_id), address=tuple(json.loads(paper.lines)),
                  order=order, documents=json.loads(paper.body), service_code=runtime.settings.service_code, pin=pin)
