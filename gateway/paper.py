"""Paper: letters that are due are printed into the tray, and posted; the post's record is the proof.

A run takes the most urgent first, and lies in the order of the post's tariff. A PIN exists in clear on its sheet alone:
it is made while the sheet is printed, and the sheet is removed once the post has taken it.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from channels.letter.bundle import by_tariff
from channels.letter.layout import PIN_LINE
from channels.letter.page import Letter, Unprintable, check
from channels.letter.tray import NoSuchLetter, NoSuchRun
from gateway import outbox
from gateway.dialogue.access import IssuedPin, keep_pins, with_pin, withdraw_pin
from gateway.outbox import CannotBe, Message, Paper, Tracked
from gateway.registry import audit
from gateway.registry.clock import CASABLANCA, day_of
from gateway.registry.review import last_day
from gateway.registry.steps import NotAllowed
from gateway.runtime import Runtime
from gateway.vault import Vault
from gateway.words import LOCALES, Words

log = logging.getLogger(__name__)

# Why a run cannot have been posted on a day.
WHY_NOT = {
    "too_early": "it takes nothing before it is printed, nor after its cut-off hour (POST_CUT_OFF) that day",
    "not_a_working_day": "it does not work on that day",
}
# Why a letter cannot be printed again.
NO_REPRINT = {
    "unknown_letter": "no letter bears this code in such a run; read the letter again",
    "several_letters": "several letters bear this code: add --of and its run, one of {runs}",
    "not_printed": "this letter has not been printed; it will be when it is due",
    "is_posted": "the post has taken this letter: if it brings it back, the household is given it at its centre",
}
# The more letters a run sorts by postal code, the cheaper the post. They are set in bundles, a hundred pages at a time
# in memory, and even on a busy machine long before the lease of a run or the time of a job (300 s) is over.
A_RUN = 400
# So many leases: what others claim takes seconds, a run minutes.
LEASES = 5
# Threads that hash PINs: a hash costs nine milliseconds of a processor on purpose, and leaves the others to who wants
# them.
HASHERS = 4


def print_due(runtime: Runtime, only: Collection[UUID] = ()) -> int:
    """Print one run of the letters that are due, or `only` these of them. Returns how many were taken.

    The new PINs are committed with the letters' state; the run's folder takes its final name after that, so
    that a sheet whose PIN does not work is never posted. `recover` ends what a crash left between the two.
    """
    now = runtime.clock()
    run = f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}"
    with runtime.database.write() as session:
        lease = timedelta(seconds=LEASES * runtime.settings.lease_s)
        papers = outbox.claim_letters(session, runtime.vault, run, now, lease, A_RUN, only)
    if not papers:
        return 0
    pins = _pins(runtime, papers)
    letters = {paper.id: _letter(runtime, paper, pins.get(paper.household_id), day_of(now))
               for paper in sorted(papers, key=_by_tariff)}
    refused = _lay(runtime, run, letters, day_of(now))
    printed = {paper.household_id for paper in papers if paper.id not in refused}
    with runtime.database.write() as session:
        ours = outbox.printed(session, run, now, refused)
        if ours:
            runtime.teller.call_in(session, {paper.id: paper.household_id for paper in papers if paper.id in refused},
                                   "unprintable", now)
            keep_pins(session, runtime.vault, [pin for one, pin in pins.items() if one in printed], now)
    if not ours:
        log.error("a run took longer than its lease and was printed again by another worker: it is thrown away")
        runtime.tray.discard(run)
        return 0
    if len(refused) < len(letters):
        runtime.tray.keep(run)
    return len(papers)


def print_all(runtime: Runtime, progress: Callable[[int], None] = lambda _: None) -> int:
    """Print all that is due, a run at a time. Returns how many letters were taken; `progress` hears it of each run."""
    printed = 0
    while run := print_due(runtime):
        printed += run
        progress(run)
    return printed


def reprint(runtime: Runtime, reference: str, *, by: str, why: str, of_run: str | None = None) -> list[str]:
    """Print a letter again whose sheet the print house has spoilt. Returns the codes of the sheets to be destroyed.

    It is due again, and printed at once: what breaks off in between, the hour of printing ends. A PIN on the sheet
    opens no more from this moment, and another letter of that run that bears it is printed again as well. Raises
    `NotAllowed` for one that is not printed or was posted, and where `by` or `why` hold a number of somebody's.
    """
    now = runtime.clock()
    with runtime.database.write() as session:
        try:
            spoilt = _spoilt(session, runtime.vault, outbox.one_of(outbox.track(session, [reference]), of_run), now)
        except CannotBe as error:
            raise NotAllowed(NO_REPRINT[error.code].format(**error.facts)) from None
        for message, _ in spoilt:
            audit.record(session, runtime.vault, "letter.reprinted", by=by, now=now, why=why,
                         household_id=message.household_id, subject=message.id, notice=message.notice)
        sheets = [(message.id, message.reference, run) for message, run in spoilt]
    for _, code, run in sheets:
        with suppress(NoSuchRun, NoSuchLetter):  # it lies in the tray of another machine
            runtime.tray.spoil(run, code)
    print_due(runtime, [message_id for message_id, _, _ in sheets])
    return [code for _, code, _ in sheets]


def take_up(runtime: Runtime) -> None:
    """What a killed press had in hand is due again, if its lease is over: for who prints where no worker runs."""
    stranded = True
    while stranded:
        with runtime.database.write() as session:
            stranded = bool(outbox.expire(session, runtime.clock()))
    recover(runtime)


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

    `day` is that of the post's record, today if not given. Raises `NoSuchRun`, and `ValueError` for a day on
    which these sheets cannot have been posted: a household's sixty days are counted from it.
    """
    now = runtime.clock()
    posted_on = day or day_of(now)
    laid = next((laid for laid in runtime.tray.runs() if laid.name == run), None)
    if laid is None:
        raise NoSuchRun(run)
    if posted_on > day_of(now):
        raise ValueError(f"the post cannot have taken it on {posted_on}: that day has not come yet")
    try:
        with runtime.database.write() as session:
            settlements = outbox.posted(session, run, datetime.combine(posted_on, time(12), CASABLANCA), runtime.post)
            runtime.teller.heard_all(session, settlements, now)
    except CannotBe as error:
        raise ValueError(f"the post cannot have taken it on {posted_on}: {WHY_NOT[error.code]}, "
                         f"and it was printed on {laid.printed_on}") from None
    runtime.tray.post(run, posted_on)
    return len(settlements)


def _spoilt(session: Session, vault: Vault, letter: Tracked, now: datetime) -> list[tuple[Message, str]]:
    """The letter, and those that bear the same PIN, each with the run of its spoilt sheet. Raises `CannotBe`."""
    run, home, letters = letter.message.run or "", letter.message.household_id, [letter]
    outbox.spoil(letter, now)
    text = vault.open(letter.message.body_sealed, "message.body", letter.message.id)
    if home and PIN_LINE in text and withdraw_pin(session, home, letter.printing.started_at):
        for other in outbox.track(session, run=run):
            if other.message.household_id == home and other.message.state in outbox.ACTS["posted"][1]:
                outbox.spoil(other, now)
                letters.append(other)
    return [(one.message, run) for one in letters]


def _by_tariff(paper: Paper) -> tuple[tuple[str, ...], str]:
    return by_tariff(json.loads(paper.lines), paper.commune), paper.reference


def _lay(runtime: Runtime, run: str, letters: Mapping[UUID, Letter], today: date) -> set[UUID]:
    """Lay them in the tray. One that cannot be printed has failed and is listed; the run goes on without it."""
    try:
        runtime.tray.lay(run, list(letters.values()), today)
    except Unprintable:
        refused = {one for one, letter in letters.items() if not _printable(letter)}
        if len(refused) < len(letters):
            runtime.tray.lay(run, [letter for one, letter in letters.items() if one not in refused], today)
        return refused
    return set()


def _printable(letter: Letter) -> bool:
    try:
        check(letter)
    except Unprintable as error:
        log.error("a letter cannot be printed and must be handed over at its centre: %s", error.reason)
        return False
    return True


def _pins(runtime: Runtime, papers: Sequence[Paper]) -> dict[UUID, IssuedPin]:
    """A PIN for who asked for one, and for who has none yet. Two letters to one household carry the same."""
    with runtime.database.read() as session:
        have = with_pin(session, [paper.household_id for paper in papers])
    need = {paper.household_id for paper in papers
            if PIN_LINE in paper.body and (paper.notice == "pin" or paper.household_id not in have)}
    with ThreadPoolExecutor(HASHERS) as pool:
        return dict(zip(need, pool.map(partial(IssuedPin.new, runtime.vault), need), strict=True))


def _letter(runtime: Runtime, paper: Paper, issued: IssuedPin | None, today: date) -> Letter:
    """The days are those of printing, the earliest that the sixty days can begin. The manifest names the message."""
    documents = {locale: dated(runtime.words, locale, text, today) for locale, text in json.loads(paper.body).items()}
    order = (paper.locale, *(locale for locale in LOCALES if locale != paper.locale))
    return Letter(number=paper.reference, token=paper.token, address=tuple(json.loads(paper.lines)), order=order,
                  documents=documents, service_code=runtime.settings.service_code,
                  pin=issued.pin if issued else None)


def dated(words: Words, locale: str, text: str, today: date) -> str:
    """A text with its days filled in; the last one also written out, for who does not count months."""
    last = last_day(today)
    days = {"{today}": f"{today:%d/%m/%Y}", "{review_until}": f"{last:%d/%m/%Y}",
            "{review_until_in_words}": words.written(locale, last)}
    for placeholder, day in days.items():
        text = text.replace(placeholder, day)
    return text
