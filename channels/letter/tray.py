"""Tray: where a run of letters waits for the post, as sheets to print and a manifest of what they are.

The sheets lie in the order in which they are given, in one file, or in several that have a cover each (`bundle`).

The sheets are the only place where a PIN stands in clear: the tray is for the service's user alone, and the
sheets go once all letters of the run are posted, and a letter's address goes from the manifest with it. The
manifest never held a PIN.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Literal

from channels.letter.bundle import Bundle, Cover, cut, postal_code
from channels.letter.page import Letter, address_of, both_sides, print_letters

SHEETS = "letters.pdf"
SHEETS_OF_A_BUNDLE = "letters-{:03d}.pdf"
ALL_SHEETS = "letters*.pdf"
MANIFEST = "manifest.json"
MANIFEST_FOR_PEOPLE = "manifest.csv"
PART = ".part"
RUN_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# A spreadsheet takes a cell that begins like this for a formula (OWASP, CSV Injection).
FORMULA = re.compile(r"[=+\-@\t\r]")

# spoilt: the print house has ruined the sheet; the letter is printed again in another run.
State = Literal["printed", "posted", "spoilt"]


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
    bundles: tuple[Bundle, ...] = ()

    @property
    def pages(self) -> int:
        return sum(entry.pages for entry in self.letters)

    @property
    def state(self) -> State:
        """Posted once every letter is that was not spoilt."""
        states = {entry.state for entry in self.letters}
        return "printed" if "printed" in states else "posted" if "posted" in states else "spoilt"

    def page_of(self, number: str) -> tuple[Path, int]:
        """The file that holds this letter, and the page on which it begins there, from 0. Raises `NoSuchLetter`."""
        entries = iter(self.letters)
        for bundle in self.bundles:
            of_bundle = list(islice(entries, bundle.letters))
            page = bundle.pages - sum(entry.pages for entry in of_bundle)  # those before it: the cover
            for entry in of_bundle:
                if entry.number == number:
                    return self.path / bundle.file, page
                page += entry.pages
        raise NoSuchLetter(number)


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
            laid = _print(Run(run, printed_on, (), part), letters)
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
        found = self._found(run)
        chosen = {entry.number for entry in found.letters} if numbers is None else set(numbers)
        return _settle(found, chosen, "posted", posted_on)

    def spoil(self, run: str, number: str) -> Run:
        """Record that this sheet was ruined and is not to be posted. A letter that was posted stays so.

        Raises `NoSuchRun`, `NoSuchLetter`.
        """
        return _settle(self._found(run), {number}, "spoilt")

    def _found(self, run: str) -> Run:
        directory = self._kept(run)
        if not (directory / MANIFEST).exists():
            raise NoSuchRun(run)
        return _read(directory)

    def _kept(self, run: str) -> Path:
        if not RUN_NAME.fullmatch(run):
            raise ValueError("a run's name is letters, digits, - and _")
        return self.root / run

    def _part(self, run: str) -> Path:
        return self._kept(run).with_name(run + PART)


def _print(run: Run, letters: Sequence[Letter]) -> Run:
    """Bundle by bundle. A letter takes one sheet, until it is seen to take more: then they are cut anew.

    All of a run have backs, or none: what a letter takes must not depend on what lies beside it.
    """
    backs = both_sides(letters)
    codes, pages = [postal_code(letter.address) for letter in letters], [1 + backs] * len(letters)
    while True:
        cuts = cut(codes, pages)
        printed = [_bundle(run, letters[one], codes[one], place, len(cuts), backs)
                   for place, one in enumerate(cuts, 1)]
        pages = [count for _, of_letters in printed for count in of_letters]
        if cut(codes, pages) == cuts:
            return replace(run, letters=tuple(map(_entry, letters, pages)),
                           bundles=tuple(bundle for bundle, _ in printed))
        _remove_sheets(run.path)


def _bundle(run: Run, letters: Sequence[Letter], codes: Sequence[str], place: int, bundles: int,
            backs: bool) -> tuple[Bundle, list[int]]:
    """One file, and how many pages each letter took. What lies in no other needs no cover to be told from it."""
    cover = Cover(run.name, place, bundles, len(letters), codes[0], codes[-1]) if bundles > 1 else None
    path = run.path / (SHEETS_OF_A_BUNDLE.format(place) if cover else SHEETS)
    pages = print_letters(letters, path, run.printed_on, cover, backs=backs)
    before = 1 + backs if cover else 0
    _sync(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Bundle(path.name, len(letters), before + sum(pages), codes[0], codes[-1], digest), pages


def _entry(letter: Letter, pages: int) -> Entry:
    return Entry(letter.number, letter.token, pages, ", ".join(address_of(letter)))


def _settle(run: Run, numbers: set[str], state: State, posted_on: date | None = None) -> Run:
    """These letters have come to that state, if they were but printed. Raises `NoSuchLetter`."""
    unknown = numbers - {entry.number for entry in run.letters}
    if unknown:
        raise NoSuchLetter(", ".join(sorted(unknown)))
    settled = replace(run, letters=tuple(
        replace(entry, state=state, posted_on=posted_on, address="")
        if entry.number in numbers and entry.state == "printed" else entry for entry in run.letters))
    _write(settled)
    if settled.state != "printed":
        _remove_sheets(run.path)
    return settled


def _remove_sheets(directory: Path) -> None:
    for sheets in directory.glob(ALL_SHEETS):
        sheets.unlink(missing_ok=True)
    _sync(directory)


def _read(directory: Path) -> Run:
    manifest = json.loads((directory / MANIFEST).read_bytes())
    entries = tuple(
        Entry(**{**entry, "posted_on": entry["posted_on"] and date.fromisoformat(entry["posted_on"])})
        for entry in manifest["letters"]
    )
    bundles = tuple(Bundle(**bundle) for bundle in manifest.get("bundles", []))
    return Run(manifest["run"], date.fromisoformat(manifest["printed_on"]), entries, directory, bundles)


def _write(run: Run) -> None:
    """The JSON first: it is the record, and the CSV is made from it."""
    rows = [asdict(entry) for entry in run.letters]
    manifest = {"run": run.name, "printed_on": run.printed_on.isoformat(),
                "bundles": [asdict(bundle) for bundle in run.bundles], "letters": rows}
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
