"""Audit: who saw or changed what, and why. Append-only; each entry is chained to the one before by a keyed hash.

A key outside the database (settings, SECRET_KEYS) makes the chain: whoever can write to the tables still cannot
make an entry that fits. A household stands here as a blind index only, so that erasing it breaks nothing.

There are some strands, so that transactions do not wait for each other; one takes a strand that is free, and holds
it until its commit: a strand has no gap and no fork.

What no chain can show by itself: its last entries taken away together with the word of where it ended. So the
ends (`heads`) are kept elsewhere now and then, on paper or at another office, and `verify` is told them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import rfc8785
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import JSON, Base, Database, UtcDateTime, insert_new, new_id
from gateway.registry.steps import NotAllowed
from gateway.vault import Vault

STRANDS = 16
# Nine digits in a row, however they are spaced, are a telephone, an identifier or a household's number; one or two
# letters and five or six digits are an identity card.
PERSONAL = re.compile(r"\d(?:[\s./()\-]{0,3}\d){8}|\b[A-Za-z]{1,2} ?\d{5,6}\b")
ENOUGH = 1_000
AT_ONCE = 2_000


class AuditEntry(Base):
    """One act. `link` is the keyed hash of the entry before and of this one; `detail` holds nothing personal."""

    __tablename__ = "audit_entry"
    __table_args__ = (sa.UniqueConstraint("strand", "position"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    strand: Mapped[int]
    position: Mapped[int]
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(sa.String(80))
    act: Mapped[str] = mapped_column(sa.String(40), index=True)
    household_blind: Mapped[bytes | None] = mapped_column(index=True)
    subject: Mapped[str | None] = mapped_column(sa.String(80), index=True)
    why: Mapped[str | None] = mapped_column(sa.String(200))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    link: Mapped[bytes]


class AuditStrand(Base):
    """The end of one strand: how many entries it has and the last link."""

    __tablename__ = "audit_strand"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    length: Mapped[int]
    link: Mapped[bytes]


ENTRIES = AuditEntry.metadata.tables["audit_entry"]
ENDS = AuditStrand.metadata.tables["audit_strand"]
# Made once: every act is written down by these, and making a statement costs more than the database's answer to it.
END = sa.select(ENDS.c.id, ENDS.c.length, ENDS.c.link)
FREE_END = END.order_by(ENDS.c.id != sa.bindparam("held"), sa.func.random()).limit(1).with_for_update(skip_locked=True)
WRITE = sa.insert(ENTRIES)
MOVE_ON = (sa.update(ENDS).where(ENDS.c.id == sa.bindparam("strand"))
           .values(length=sa.bindparam("position"), link=sa.bindparam("new_link")))


@dataclass(frozen=True)
class Head:
    """Where a strand ended: its number of entries and the link of the last."""

    strand: int
    length: int
    link: bytes


@dataclass(frozen=True)
class Break:
    """What is wrong with the entries `first` to `last` of a strand."""

    strand: int
    first: int
    last: int
    what: str


@dataclass(frozen=True)
class Act:
    """One entry of a trail, for whoever may look. `subject` names the row acted on."""

    at: datetime
    by: str
    act: str
    subject: str | None
    why: str | None
    detail: Mapping[str, Any]


def record(session: Session, vault: Vault, act: str, *, by: str, now: datetime, household_id: UUID | None = None,
           subject: UUID | str | None = None, why: str | None = None, **detail: Any) -> None:
    """Write down an act in the caller's transaction. `by` is who acted: `household`, `system`, or a clerk's name.

    `act` is noun.verb (`review.decided`); `subject` the row acted on; `why` a reason in a few words; `detail` names
    of items and states, never a value of a household. Raises `NotAllowed` where `by` or `why` hold a telephone or
    an identifier, `ValueError` in a transaction that only reads: what is written there is lost.
    """
    if session.connection().get_execution_options().get("reads_only"):
        raise ValueError("an act is recorded in a transaction that writes")
    end = _free_end(session)
    entry = {"id": new_id(), "strand": end.strand, "position": end.length + 1, "at": now, "by": plain_words(by, 80),
             "act": act, "household_blind": _blind(vault, household_id) if household_id else None,
             "subject": str(subject) if subject else None, "why": plain_words(why, 200) if why else None,
             "detail": _plain(detail)}
    entry["link"] = vault.blind(_text(end.link, entry), "audit.link")
    session.execute(WRITE, entry)
    session.execute(MOVE_ON, {"strand": end.strand, "position": end.length + 1, "new_link": entry["link"]})


def verify(database: Database, vault: Vault, kept: Iterable[Head] = (),
           progress: Callable[[int], None] = lambda _: None) -> list[Break]:
    """Go along every strand and tell what was changed, removed, inserted or moved; an empty list if nothing was.

    `kept` are heads that were written down elsewhere: the strands must still run through them. `progress` hears
    how many more entries were read. Memory does not grow with the entries; the first `ENOUGH` breaks are told.
    """
    walks: dict[int, _Walk] = {}
    with database.read(one_moment=True) as session:
        ends = {end.strand: end for end in heads(session)}
        for head in kept:
            walks.setdefault(head.strand, _Walk(vault, head.strand)).kept[head.length] = head.link
        rows = session.execute(sa.select(ENTRIES).order_by("strand", "position"),
                               execution_options={"yield_per": AT_ONCE})
        breaks, to_the_end = _along(rows.mappings(), vault, walks, progress)
    for strand in sorted(ends.keys() | walks.keys()) if to_the_end else ():
        breaks += walks.setdefault(strand, _Walk(vault, strand)).ended(ends.get(strand))
    return sorted(breaks, key=lambda one: (one.strand, one.first))


def heads(session: Session) -> list[Head]:
    """Where every strand ends now: to be kept where nobody with a hand on the database can reach."""
    return [Head(*row) for row in session.execute(END.order_by(ENDS.c.id))]


def trail(session: Session, vault: Vault, *, by: str, now: datetime, why: str | None = None,
          household_id: UUID | None = None, subject: UUID | str | None = None, limit: int = 50) -> list[Act]:
    """The last acts on a household or a row (or on all), the newest first. To look is itself an act."""
    found = sa.select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if household_id:
        found = found.where(AuditEntry.household_blind.in_(vault.blinds(str(household_id), "audit.household")))
    if subject:
        found = found.where(AuditEntry.subject == str(subject))
    acts = [Act(one.at, one.by, one.act, one.subject, one.why, one.detail) for one in session.scalars(found)]
    record(session, vault, "trail.seen", by=by, now=now, household_id=household_id, subject=subject, why=why)
    return acts


def _free_end(session: Session) -> Head:
    """The end of a strand that nobody else holds, held until the transaction ends: the same for all its acts.

    Nobody waits for a strand that a long transaction holds, as long as one of the others is free.
    """
    held = session.info.get("audit_strand", -1)
    found = session.execute(FREE_END, {"held": held}).first()
    if found is None:
        insert_new(session, AuditStrand, [{"id": strand, "length": 0, "link": b""} for strand in range(STRANDS)])
        found = session.execute(END.where(ENDS.c.id == secrets.randbelow(STRANDS)).with_for_update()).one()
    session.info["audit_strand"] = found.id
    return Head(*found)


def _text(before: bytes, entry: Mapping[str, Any]) -> str:
    """What a link is the hash of: the link before, and the entry as canonical JSON (RFC 8785).

    The moment is written in UTC with all six digits, as either database gives it back.
    """
    content = {key: entry[key] for key in ("strand", "position", "by", "act", "subject", "why", "detail")}
    blind = entry["household_blind"]
    content |= {"id": str(entry["id"]), "at": entry["at"].astimezone(UTC).isoformat(timespec="microseconds"),
                "household": blind.hex() if blind else None}
    return before.hex() + rfc8785.dumps(content).decode()


def _blind(vault: Vault, household_id: UUID) -> bytes:
    return vault.blind(str(household_id), "audit.household")


def plain_words(text: str, at_most: int) -> str:
    """A name or a reason, as a clerk gave it. Raises `NotAllowed` for none, and for what is too long or a person's."""
    if not text.strip():
        raise NotAllowed("Say who does this, and why where it is asked for; an empty name or reason is none.")
    if len(text) > at_most:
        raise NotAllowed(f"A name or a reason in the audit has at most {at_most} signs; this one has {len(text)}.")
    if PERSONAL.search(text):
        raise NotAllowed("A name or a reason in the audit holds no telephone and no identifier; leave the digits out.")
    return text


def _plain(value: Any) -> Any:
    """Names and whole numbers: what both databases give back as it was."""
    match value:
        case None | bool() | int() | str():
            return value
        case UUID() | date():
            return str(value)
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            raise TypeError(f"the audit keeps names and whole numbers, not a {type(value).__name__}")


def _along(rows: Iterable[Any], vault: Vault, walks: dict[int, _Walk], progress: Callable[[int], None]
           ) -> tuple[list[Break], bool]:
    """Walk every strand that has entries. The second is whether all of them were walked."""
    breaks: list[Break] = []
    walk, read = None, 0
    try:
        for strand, entries in groupby(rows, lambda row: int(row["strand"])):
            walk = walks.setdefault(strand, _Walk(vault, strand))
            for entry in entries:
                breaks += walk.over(entry)
                read += 1
                if read % AT_ONCE == 0:
                    progress(AT_ONCE)
                if len(breaks) >= ENOUGH:
                    return breaks, False
    except ValueError:
        # SQLite keeps whatever it is given: here stands a moment, or a detail, that is none.
        strand, first = (walk.strand, walk.position + 1) if walk else (0, 1)
        return [*breaks, Break(strand, first, first, "an entry from here on cannot be read; the check stopped")], False
    progress(read % AT_ONCE)
    return breaks, True


@dataclass
class _Walk:
    """One pass along one strand: where it stands, and since which position the entries are wrong."""

    vault: Vault
    strand: int
    kept: dict[int, bytes] = field(default_factory=dict)
    position: int = 0
    link: bytes = b""
    wrong_since: int | None = None

    def over(self, entry: Mapping[str, Any]) -> list[Break]:
        """The next entry. One that is wrong is told when the first right one after it is found."""
        position, found = entry["position"], list[Break]()
        gap = position > self.position + 1
        fits = gap or self._fits(entry)
        if fits:
            found += self._told("changed or inserted" if gap else "changed")
        if gap:
            found.append(self._break(self.position + 1, position - 1, "removed; the entry after them cannot be proved"))
        if not fits and self.wrong_since is None:
            self.wrong_since = position
        if self.kept.pop(position, entry["link"]) != entry["link"]:
            found.append(self._break(position, position, "not the entry that stood here when its head was kept"))
        self.position, self.link = position, entry["link"]
        return found

    def ended(self, end: Head | None) -> list[Break]:
        """No more entries: does the strand end where it says?"""
        found = self._told("changed or inserted")
        if end is None:
            found.append(self._break(self.position, self.position, "the end of the strand is gone"))
        elif end.length > self.position:
            found.append(self._break(self.position + 1, end.length, "removed at the end"))
        elif end.length < self.position:
            found.append(self._break(end.length + 1, self.position, "stand after the end of the strand"))
        elif end.link != self.link:
            found.append(self._break(end.length, end.length, "the end of the strand has another link"))
        gone = [length for length in self.kept if length > self.position]
        if gone:
            found.append(self._break(self.position + 1, max(gone), "gone: they were there when the head was kept"))
        return found

    def _fits(self, entry: Mapping[str, Any]) -> bool:
        try:
            text = _text(self.link, entry)
        except rfc8785.CanonicalizationError:
            return False
        return entry["link"] in self.vault.blinds(text, "audit.link")

    def _told(self, what: str) -> list[Break]:
        """The run of wrong entries that ends where the walk stands; `what` is said of one alone."""
        if self.wrong_since is None:
            return []
        first, self.wrong_since = self.wrong_since, None
        return [self._break(first, self.position, what if first == self.position else "changed, inserted or moved")]

    def _break(self, first: int, last: int, what: str) -> Break:
        return Break(self.strand, first, last, what)
