"""Tray: where a run of letters waits for the post, as sheets to print and a manifest of what they are.

The sheets are the only place where a PIN stands in clear: the tray is for the service's user alone, and the
sheets go once all letters of the run are posted, and a letter's address goes from the manifest with it. The
manifest never held a PIN.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Literal

from channels.letter.page import Letter, address_of, print_letters

SHEETS = "letters.pdf"
MANIFEST = "manifest.json"
MANIFEST_FOR_PEOPLE = "manifest.csv"
PART = ".part"
RUN_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# A spreadsheet takes a cell that begins like this for a formula (OWASP, CSV Injection).
FORMULA = re.compile(r"[=+\-@\t\r]")

State = Literal["printed", "posted"]


@dataclass(frozen=True)
class Entry:
    """One letter in a manifest. `token` is the message's opaque name, `address` its lines joined."""

    number: str
    token: str
    pages: int
    address: str = field(repr=False)
    state: State = "printed"
    posted_on: date | None = None


@dataclass(frozen=True)
class Run:
    """One batch of letters, in the order of its sheets. `path` is the directory of sheets and manifest."""

    name: str
    printed_on: date
    letters: tuple[Entry, ...]
    path: Path

    @property
    def pages(self) -> int:
        return sum(entry.pages for entry in self.letters)

    @property
    def state(self) -> State:
        """Posted once every letter is."""
        return "posted" if all(entry.state == "posted" for entry in self.letters) else "printed"


class NoSuchRun(LookupError):
    """The tray holds no run of this name, or it was never kept."""


class NoSuchLetter(LookupError):
    """The run holds no letter of this number."""


class AlreadyKept(Exception):
    """A run of this name is in the tray: its letters may be on their way, so it is not printed over."""


class Tray:
    """A directory of runs: laid, kept once the database agrees, and posted. Each step may come twice.

    A run that was laid and not kept (`unfinished`) was left by a crash: keep it if the database knows it,
    discard it otherwise.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)

    def lay(self, run: str, letters: Sequence[Letter], printed_on: date) -> Run:
        """Print the letters and write the manifest, safe on disk but not yet kept.

        Raises `AlreadyKept`, `ValueError` for a number that stands twice, and what `print_letters` raises;
        then nothing is left behind.
        """
        part, kept = self._part(run), self._kept(run)
        if kept.exists():
            raise AlreadyKept(run)
        if len({letter.number for letter in letters}) < len(letters):
            raise ValueError(f"run {run}: two letters have the same number")
        self.discard(run)
        part.mkdir(mode=0o700)
        try:
            pages = print_letters(letters, part / SHEETS, printed_on)
            entries = tuple(map(_entry, letters, pages))
            _sync(part / SHEETS)
            laid = Run(run, printed_on, entries, part)
            _write(laid)
        except BaseException:
            self.discard(run)
            raise
        _sync(self.root)
        return laid

    def keep(self, run: str) -> None:
        """To be called after the database's commit. Raises `NoSuchRun` if it was never laid."""
        part, kept = self._part(run), self._kept(run)
        if not kept.exists():
            if not part.exists():
                raise NoSuchRun(run)
            with suppress(FileNotFoundError):  # another process has just done so
                part.rename(kept)
        _sync(self.root)

    def discard(self, run: str) -> None:
        """Remove what was laid and not kept. A run that was kept stays."""
        part = self._part(run)
        if part.exists():
            shutil.rmtree(part)
            _sync(self.root)

    def unfinished(self) -> list[str]:
        """Names of the runs that were laid and not kept."""
        return sorted(path.name.removesuffix(PART) for path in self.root.glob(f"*{PART}"))

    def runs(self) -> list[Run]:
        """The runs that were kept, by name."""
        kept = sorted(path.parent for path in self.root.glob(f"*/{MANIFEST}"))
        return [_read(directory) for directory in kept if directory.suffix != PART]

    def post(self, run: str, posted_on: date, numbers: Iterable[str] | None = None) -> Run:
        """Record that these letters (by default all) went to the post; the first day told stays.

        The sheets are removed once all are posted. Raises `NoSuchRun`, or `NoSuchLetter` and records nothing.
        """
        directory = self._kept(run)
        if not (directory / MANIFEST).exists():
            raise NoSuchRun(run)
        found = _read(directory)
        known = {entry.number for entry in found.letters}
        chosen = known if numbers is None else set(numbers)
        if chosen - known:
            raise NoSuchLetter(", ".join(sorted(chosen - known)))
        posted = replace(found, letters=tuple(_posted(entry, chosen, posted_on) for entry in found.letters))
        _write(posted)
        if posted.state == "posted":
            (directory / SHEETS).unlink(missing_ok=True)
            _sync(directory)
        return posted

    def _kept(self, run: str) -> Path:
        if not RUN_NAME.fullmatch(run):
            raise ValueError("a run's name is letters, digits, - and _")
        return self.root / run

    def _part(self, run: str) -> Path:
        return self._kept(run).with_name(run + PART)


def _entry(letter: Letter, pages: int) -> Entry:
    return Entry(letter.number, letter.token, pages, ", ".join(address_of(letter)))


def _posted(entry: Entry, chosen: set[str], posted_on: date) -> Entry:
    if entry.number not in chosen or entry.state == "posted":
        return entry
    return replace(entry, state="posted", posted_on=posted_on, address="")


def _read(directory: Path) -> Run:
    manifest = json.loads((directory / MANIFEST).read_bytes())
    entries = tuple(
        Entry(**{**entry, "posted_on": entry["posted_on"] and date.fromisoformat(entry["posted_on"])})
        for entry in manifest["letters"]
    )
    return Run(manifest["run"], date.fromisoformat(manifest["printed_on"]), entries, directory)


def _write(run: Run) -> None:
    """The JSON first: it is the record, and the CSV is made from it."""
    rows = [asdict(entry) for entry in run.letters]
    manifest = {"run": run.name, "printed_on": run.printed_on.isoformat(), "letters": rows}
    text = json.dumps(manifest, ensure_ascii=False, indent=1, default=date.isoformat)
    _replace(run.path / MANIFEST, text)
    table = io.StringIO(newline="")
    writer = csv.writer(table)  # its lines end with CR LF and quotes are doubled, as RFC 4180 has it
    writer.writerow(rows[0])
    writer.writerows([_harmless(value) for value in row.values()] for row in rows)
    _replace(run.path / MANIFEST_FOR_PEOPLE, table.getvalue())


def _harmless(value: object) -> str:
    cell = "" if value is None else str(value)
    return f"'{cell}" if FORMULA.match(cell) else cell


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, whenever the machine stops."""
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
