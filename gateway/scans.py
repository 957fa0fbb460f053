"""Scans: what the print house and the post report of letters, a line each, recorded or refused with its reason.

A file is JSON Lines, or CSV with a line of names first (`,` or `;` between its columns): `letter` (the code on the
letter), `act` (accepted, posted, returned), `day` (2026-11-24), `reason` of a return (a code of `outbox.RETURNED_FOR`
or its words in any language), and `run` where two letters bear the same code. Whatever the order of the lines, and
however often a file is read, a letter only goes on: accepted, posted, returned. No reason of a refusal holds a value.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from channels.letter.tray import NoSuchLetter, NoSuchRun
from gateway import outbox
from gateway.outbox import ACTS, RETURNED_FOR, CannotBe, Tracked
from gateway.registry import audit, extract
from gateway.registry.extract import Problem, Refusal, Repeated, Unreadable, write_report
from gateway.registry.numbers import read_number
from gateway.registry.steps import NotAllowed
from gateway.runtime import Runtime
from gateway.words import LOCALES, Words

BATCH = 500
LONGEST_LINE = 1_024
COLUMNS = ("letter", "act", "day", "reason", "run")

REFUSALS = {
    "line_too_long": "The line is longer than 1 KiB and was not read; one line holds one letter.",
    "not_utf8": "The line is not UTF-8 text; write it again as UTF-8.",
    "not_json": "The line is not whole, valid JSON{where}; it may be cut off.",
    "too_large": "The line holds far more than one letter; one line holds one letter.",
    "repeated_key": "A field is written twice; keep one of them.",
    "unexpected": "There is a field here that a scan does not have; the fields are letter, act, day, reason and run.",
    "no_letter": "There is no code of a letter of ours here: nine digits that fit each other. Read the letter again.",
    "no_act": "Write one of these acts: accepted, posted, returned.",
    "no_day": "Write a day that exists, as year-month-day: 2026-01-31.",
    "no_reason": "A letter that came back has one of these reasons: {reasons}.",
    "unexpected_reason": "Only a letter that came back has a reason; remove it.",
    "unknown_letter": "No letter bears this code; read the letter again.",
    "several_letters": "Several letters bear this code; add the run in which this one was printed: {runs}.",
    "not_printed": "This letter has not been printed, or was taken back; look for another one of this code.",
    "not_posted": "Nobody recorded that the post has this letter; record its posting first.",
    "in_future": "That day has not come yet; correct it.",
    "too_early": "The letter cannot have been there on that day: it was printed later, or after the post's cut-off "
                 "hour (POST_CUT_OFF), or is recorded on its way with a later day.",
    "not_a_working_day": "The post does not work on that day; write the day on which it took the letter.",
}
# The field that is to be corrected.
FIELDS = {"no_letter": "/letter", "no_act": "/act", "no_day": "/day", "no_reason": "/reason",
          "unexpected_reason": "/reason", "unknown_letter": "/letter", "several_letters": "/run", "in_future": "/day",
          "too_early": "/day", "not_a_working_day": "/day"}


@dataclass(frozen=True)
class Scan:
    """What somebody saw of one letter. `line` counts from 1; 0 is one that was typed."""

    line: int
    reference: str
    act: str
    day: date
    reason: str | None = None
    run: str | None = None

    def report(self) -> Iterator[dict[str, Any]]:
        """Nothing: there is nothing to be said of it."""
        yield from ()


@dataclass
class Recorded:
    """What became of the lines of a file: recorded, known before, or refused."""

    accepted: int = 0
    posted: int = 0
    returned: int = 0
    known: int = 0
    refused: int = 0


def take_scans(runtime: Runtime, stream: BinaryIO, report: Path, progress: Callable[[int], None], *,
               by: str = "system") -> Recorded:
    """Record what can be recorded and report the rest. A crash in the middle loses nothing: read the file again.

    `by` is whom the audit names for it. Raises `NotAllowed` where that is no name.
    """
    done = Recorded()

    def outcomes() -> Iterator[Scan | Refusal]:
        lines = read(stream, runtime.words)
        while batch := list(islice(lines, BATCH)):
            refused = _record(runtime, [one for one in batch if isinstance(one, Scan)], done, by)
            outcome = [refused.get(one.line, one) for one in batch]
            done.refused += sum(isinstance(one, Refusal) for one in outcome)
            progress(stream.tell())
            yield from outcome

    write_report(report, outcomes())
    return done


def take_one(runtime: Runtime, scan: Scan, *, by: str) -> bool:
    """Record one that was typed. False when it is known already. Raises `NotAllowed` with the reason."""
    done = Recorded()
    for refusal in _record(runtime, [scan], done, by).values():
        raise NotAllowed(refusal.problems[0].reason)
    return not done.known


def read(stream: BinaryIO, words: Words) -> Iterator[Scan | Refusal]:
    """Every line that is not blank, in order: a `Scan`, or the `Refusal` of it. No content of a line raises."""
    lines = extract.lines(stream, LONGEST_LINE)
    first = next(lines, None)
    if first is None:
        return
    reasons = _reasons(words)
    row: Callable[[bytes | None], object] = extract.parsed
    if first[1] and not first[1].lstrip().startswith(b"{"):
        header = first[1].decode(errors="replace").strip()
        between = ";" if ";" in header else ","
        row = partial(_columns, names=[name.strip().lower() for name in _cells(header, between)], between=between)
    else:
        lines = chain([first], lines)
    for number, line in lines:
        try:
            yield _checked(number, row(line), reasons)
        except Unreadable as unreadable:
            yield _refusal(number, unreadable.code, where=unreadable.where)


def _record(runtime: Runtime, scans: Sequence[Scan], done: Recorded, by: str) -> dict[int, Refusal]:
    """One transaction. The sheets of what was posted go after it, or when the same file is read again."""
    now = runtime.clock()
    refused: dict[int, Refusal] = {}
    taken: list[tuple[Scan, Tracked, bool]] = []
    with runtime.database.write() as session:
        letters = _letters(session, scans)
        for scan in scans:
            try:
                letter = outbox.one_of(letters[scan.reference], scan.run)
                news = outbox.report(letter, scan.act, scan.day, runtime.post, now, scan.reason)
            except CannotBe as error:
                refused[scan.line] = _refusal(scan.line, error.code, **error.facts)
            else:
                taken.append((scan, letter, news))
        session.flush()
        counted: dict[str, Any] = Counter(scan.act if news else "known" for scan, _, news in taken)
        if counted:
            audit.record(session, runtime.vault, "letters.scanned", by=by, now=now, **counted)
        _tell(runtime, session, [(scan, letter) for scan, letter, news in taken if news], by)
    _clear(runtime, [(scan, letter) for scan, letter, _ in taken if scan.act == "posted"])
    for name, number in counted.items():
        setattr(done, name, getattr(done, name) + number)
    return refused


def _letters(session: Session, scans: Sequence[Scan]) -> Mapping[str, list[Tracked]]:
    """By their codes."""
    found: dict[str, list[Tracked]] = defaultdict(list)
    for letter in outbox.track(session, {scan.reference for scan in scans}):
        found[letter.message.reference].append(letter)
    return found


def _tell(runtime: Runtime, session: Session, news: Sequence[tuple[Scan, Tracked]], by: str) -> None:
    """A posting is proved. What came back in the same file as it was posted has told nobody at any time."""
    now = runtime.clock()
    for scan, letter in news:
        if scan.act == "returned":
            runtime.teller.came_back(session, letter.message, scan.reason or "other", by=by, now=now)
        elif scan.act == "posted" and letter.message.state == "delivered":
            runtime.teller.heard(session, outbox.settlement_of(letter), now)


def _clear(runtime: Runtime, posted: Sequence[tuple[Scan, Tracked]]) -> None:
    """The sheets go once all of their run are posted. A run that this tray does not hold lies on another machine."""
    numbers: dict[tuple[str, date], list[str]] = defaultdict(list)
    for scan, letter in posted:
        if letter.message.run:
            numbers[letter.message.run, scan.day].append(scan.reference)
    for (run, day), of_run in numbers.items():
        with suppress(NoSuchRun, NoSuchLetter):
            runtime.tray.post(run, day, of_run)


def _checked(line: int, document: object, reasons: Mapping[str, str]) -> Scan | Refusal:
    if isinstance(document, Repeated):
        return _refusal(line, "repeated_key")
    if not isinstance(document, dict) or document.keys() - set(COLUMNS):
        return _refusal(line, "unexpected")
    said = {name: str(value).strip() for name, value in document.items() if value not in (None, "")}
    reference, day = read_number(said.get("letter", "")), _day(said.get("day", ""))
    act, reason = said.get("act", ""), reasons.get(said.get("reason", "").casefold())
    wrong = {"no_letter": reference is None, "no_act": act not in ACTS, "no_day": day is None,
             "no_reason": act == "returned" and reason is None,
             "unexpected_reason": act != "returned" and "reason" in said}
    if reference is None or day is None or any(wrong.values()):
        return Refusal(line, tuple(_problem(code) for code, is_wrong in wrong.items() if is_wrong))
    return Scan(line, reference, act, day, reason, said.get("run"))


def _columns(line: bytes | None, names: Sequence[str], between: str) -> object:
    """One line of CSV as an object. Raises `Unreadable`."""
    if line is None:
        raise Unreadable("line_too_long")
    try:
        cells = _cells(line.decode(), between)
    except UnicodeError:
        raise Unreadable("not_utf8") from None
    return dict(zip(names, cells, strict=False))


def _cells(line: str, between: str) -> list[str]:
    """None where the line is no row of a table: it then lacks every field."""
    try:
        return next(csv.reader([line], delimiter=between), [])
    except csv.Error:
        return []


def _day(text: str) -> date | None:
    """A day as `docs/deploy.md` has it written, and in no other of the forms that a library would take."""
    try:
        return date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None
    except ValueError:
        return None


def _reasons(words: Words) -> Mapping[str, str]:
    """The code for each way in which a reason may be written."""
    said = {words.say(locale, f"returned_for.{code}").casefold(): code for locale in LOCALES for code in RETURNED_FOR}
    return said | {code: code for code in RETURNED_FOR}


def _refusal(line: int, code: str, **facts: str) -> Refusal:
    return Refusal(line, (_problem(code, **facts),))


def _problem(code: str, **facts: str) -> Problem:
    return Problem(FIELDS.get(code, ""), code, REFUSALS[code].format(reasons=", ".join(RETURNED_FOR), **facts))
