"""Settling: what receipts say of messages, hundreds in the same few statements, whatever their order.

A message is found by the name that rode in its receipt's address or by the provider's name for it, and is looked for
again, ever more rarely, where there is none yet. Only a receipt by which nobody is named is looked into alone.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random, SystemRandom
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import among, update_each
from gateway.outbox.message import FINAL, NEWS, REPLY, TRANSITIONS, Attempt, Message, Settlement
from gateway.outbox.parts import PARTED, Part, keep_parts, parts_of
from gateway.outbox.receipts import ReceiptRecord
from gateway.outbox.sending import SILENT_AFTER

log = logging.getLogger(__name__)

# A receipt may still come long after, and must not be taken for that of a later send to the same telephone.
LATEST_RECEIPT = timedelta(days=30)
# What has no message yet is looked at again after as long as it has waited, and at least so long.
LOOK_AGAIN = timedelta(seconds=2)
AT_ONCE = 500
BLIND = 32
# What was accepted and did not arrive for now is sent again after so long, each time at least and at most.
RESENDS = ((timedelta(hours=1), timedelta(hours=4)), (timedelta(hours=2), timedelta(hours=12)))
CHANCE = SystemRandom()
# Of several receipts of one message: a delivery is one whatever else is said, and a step on the way says least.
WEIGHT = {"delivered": 0, "failed": 1, "sent": 2}

# A send that may have been accepted, and whose name at the provider is not known.
UNNAMED = (Attempt.provider_id.is_(None), sa.or_(Attempt.outcome.is_(None), Attempt.outcome == "unknown"))


def settle_receipts(session: Session, now: datetime, limit: int = AT_ONCE,
                    only: Collection[UUID] | None = None, chance: Random = CHANCE) -> list[Settlement]:
    """Settle those that wait to be looked at (of `only`, where that is given), the oldest first.

    Two who settle at once take different ones. A message that somebody holds at this moment is not waited for, so
    that nobody stands in anybody's way: its receipt is looked at again.
    """
    reports = _reports(session, now, limit, only)
    texts = _texts(session, {report.names for report in reports if report.names})
    _find_owners(session, [report for report in reports if report.names not in texts])
    texts.update(_texts(session, {report.owner for report in reports if report.owner} - texts.keys()))
    for report in sorted(reports, key=lambda report: WEIGHT[report.outcome]):
        text = texts.get(report.owner or report.names or UUID(int=0))
        if text is None:
            report.look_again(now)
        else:
            _apply(report, text, now, chance)
    _write_reports(session, reports)
    return _write_texts(session, texts.values(), now)


@dataclass
class _Report:
    """A receipt while it is settled. `owner` is the message that its provider's name for it is that of."""

    id: UUID
    provider: str
    provider_id: str
    names: UUID | None
    outcome: str
    temporary: bool
    opted_out: bool
    to_blinds: bytes
    also: str
    received_at: datetime
    owner: UUID | None = None
    message_id: UUID | None = None
    look_at: datetime | None = None

    @property
    def blinds(self) -> list[bytes]:
        return [self.to_blinds[start:start + BLIND] for start in range(0, len(self.to_blinds), BLIND)]

    @property
    def spellings(self) -> list[str]:
        """The provider's name for it, as it may be written."""
        return [self.provider_id, *self.also.split("\n")] if self.also else [self.provider_id]

    def look_again(self, now: datetime) -> None:
        waited = now - self.received_at
        self.look_at = now + max(waited, LOOK_AGAIN) if waited < LATEST_RECEIPT else None


@dataclass
class _Send:
    """`parts` are the outcomes of those that have names of their own; where it has such, all of them make it whole."""

    fence: int
    provider: str
    provider_id: str | None
    outcome: str | None
    changed: bool = False
    parts: dict[str, str | None] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    @property
    def unnamed(self) -> bool:
        """The same as `UNNAMED`."""
        return self.provider_id is None and self.outcome in (None, "unknown")

    def bears(self, report: _Report) -> bool:
        """Whether the report names it, or a part of it."""
        return report.provider == self.provider and any(
            name == self.provider_id or name in self.parts for name in report.spellings)

    def hear(self, report: _Report) -> str | None:
        """What became of the whole by what is said of a part: it has failed with one, and arrived with the last.

        None as long as not all of them are known to have been taken.
        """
        name = next((name for name in report.spellings if name in self.parts), None)
        if name and WEIGHT[report.outcome] < WEIGHT[self.parts[name] or "sent"]:
            self.parts[name] = report.outcome
            self.told.add(name)
        outcomes = set(self.parts.values())
        if self.provider_id is None:
            return None
        return "failed" if "failed" in outcomes else "delivered" if outcomes == {"delivered"} else "sent"


@dataclass
class _Text:
    """A message while its receipts are settled: held, so that nobody else moves it. `stood` is where it was found."""

    id: UUID
    household_id: UUID | None
    notice: str
    subject: str
    medium: str
    to_blind: bytes
    lane: int
    tell_by: datetime
    resends: int
    stood: str
    fence: int
    state: str = ""
    not_before: datetime | None = None
    opted_out: bool = False
    sends: list[_Send] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = self.stood


def _reports(session: Session, now: datetime, limit: int, only: Collection[UUID] | None) -> list[_Report]:
    kept = ReceiptRecord
    rows = session.execute(sa.select(
        kept.id, kept.provider, kept.provider_id, kept.names, sa.func.coalesce(kept.outcome, "sent"), kept.temporary,
        kept.opted_out, kept.to_blinds, kept.also, kept.received_at).where(
        kept.look_at <= now, among(session, kept.id, list(only)) if only is not None else sa.true())
        .order_by(kept.look_at, kept.id).limit(limit).with_for_update(skip_locked=True))
    return [_Report(*one) for one in rows]


def _texts(session: Session, ids: Collection[UUID]) -> dict[UUID, _Text]:
    """Those of these messages that were sent and that nobody else holds, with their sends."""
    if not ids:
        return {}
    rows = session.execute(sa.select(
        Message.id, Message.household_id, Message.notice, Message.subject, Message.medium, Message.to_blind,
        Message.lane, Message.tell_by, Message.resends, Message.state, Message.fence)
        .where(among(session, Message.id, list(ids)), Message.fence > 0)
        .order_by(Message.id).with_for_update(skip_locked=True))
    texts = {one.id: _Text(*one) for one in rows}
    if texts:
        sends = session.execute(sa.select(
            Attempt.fence, Attempt.provider, Attempt.provider_id, Attempt.outcome, Attempt.message_id)
            .where(among(session, Attempt.message_id, list(texts))))
        for one in sends:
            texts[one.message_id].sends.append(_Send(*one[:4]))
        _read_parts(session, texts)
    return texts


def _read_parts(session: Session, texts: Mapping[UUID, _Text]) -> None:
    sends = {(text.id, send.fence): send for text in texts.values() for send in text.sends if send.provider in PARTED}
    for part in parts_of(session, {message_id for message_id, _ in sends}) if sends else ():
        sends[part.message_id, part.fence].parts[part.name] = part.outcome


def _find_owners(session: Session, reports: Sequence[_Report]) -> None:
    """The messages of those that name none, or none that is there: by the provider's own name, or by the number."""
    if not reports:
        return
    owners = _owners(session, reports)
    lost = _blinds_of_the_lost(session, [report for report in reports if report.id not in owners])
    named = {(one.provider, one.provider_id, one.to_blinds): owners[one.id] for one in reports if one.id in owners}
    for report in reports:
        key = report.provider, report.provider_id, report.to_blinds
        if key not in named and not lost.isdisjoint(report.blinds):
            stranger = _lost_send(session, report, {name for provider, name, _ in named if provider == report.provider})
            if stranger:
                named[key] = stranger
        report.owner = named.get(key)


def _owners(session: Session, reports: Sequence[_Report]) -> dict[UUID, UUID]:
    """By receipt: the message whose send, or a part of it, has that name at the provider.

    Where a name may be written in several ways, each may be somebody else's: then the telephone must be the same.
    """
    names = list({name for report in reports for name in report.spellings})
    found: dict[tuple[str, str], list[UUID]] = defaultdict(list)
    tables: list[tuple[Any, Any]] = [(Attempt, Attempt.provider_id)]
    if any(report.provider in PARTED for report in reports):
        tables.append((Part, Part.name))
    for table, column in tables:
        for provider, name, message_id in session.execute(
                sa.select(table.provider, column, table.message_id).where(among(session, column, names))):
            found[provider, name].append(message_id)
    called = {one.id: [owner for name in one.spellings for owner in found.get((one.provider, name), ())]
              for one in reports}
    doubted = {owner for one in reports if one.also for owner in called[one.id]}
    numbers: dict[UUID, bytes] = {}
    if doubted:
        numbers.update((row.id, row.to_blind) for row in session.execute(
            sa.select(Message.id, Message.to_blind).where(among(session, Message.id, list(doubted)))))
    owners = {one.id: next((owner for owner in called[one.id] if not one.also or numbers.get(owner) in one.blinds),
                           None) for one in reports}
    return {receipt: owner for receipt, owner in owners.items() if owner}


def _blinds_of_the_lost(session: Session, reports: Sequence[_Report]) -> set[bytes]:
    """To which of their numbers a send has no name yet: Africa's Talking carries none of ours back."""
    blinds = [blind for report in reports if not report.names for blind in report.blinds]
    return set(session.scalars(sa.select(Message.to_blind).join(Attempt, Attempt.message_id == Message.id).where(
        among(session, Message.to_blind, blinds), *UNNAMED))) if blinds else set()


def _lost_send(session: Session, report: _Report, known: Set[str]) -> UUID | None:
    """The send that nobody was sure of and that this receipt must be of. `known` are the names of others.

    A telephone may be shared by households: where more sends to it wait for a name than there are strange
    receipts, nobody can tell which one was delivered, and those in flight will still be named by their answer.
    A send in parts waits for as many names as it lacks.
    """
    if report.names:
        return None
    waiting = session.execute(sa.select(Attempt, Message.state, Message.fence, Message.parts).join(
        Message, Message.id == Attempt.message_id).where(
        Message.to_blind.in_(report.blinds), Attempt.provider == report.provider, *UNNAMED,
        Attempt.started_at <= report.received_at, Attempt.started_at > report.received_at - LATEST_RECEIPT)
        .order_by(Attempt.started_at)).all()
    unsure = [(attempt, parts) for attempt, state, fence, parts in waiting
              if not (state == "sending" and attempt.fence == fence)]
    if not unsure:
        return None
    strangers = set(session.scalars(sa.select(ReceiptRecord.provider_id).distinct().where(
        ReceiptRecord.provider == report.provider, ReceiptRecord.to_blinds == report.to_blinds,
        ReceiptRecord.message_id.is_(None), ReceiptRecord.received_at >= waiting[0][0].started_at))) - known
    lacking = _lacking(session, report.provider, [(attempt, parts) for attempt, _, _, parts in waiting])
    if not strangers or (len(waiting) > 1 and len(strangers) < sum(lacking)):
        return None
    oldest, parts = unsure[0]
    lacks = lacking[[attempt for attempt, *_ in waiting].index(oldest)]
    return _name(session, report, oldest, lacks, parted=report.provider in PARTED and parts > 1)


def _lacking(session: Session, provider: str, sends: Sequence[tuple[Attempt, int]]) -> list[int]:
    """How many names each of these sends waits for."""
    if provider not in PARTED:
        return [1] * len(sends)
    named = Counter((part.message_id, part.fence) for part in parts_of(session, {one.message_id for one, _ in sends}))
    return [max(parts - named[attempt.message_id, attempt.fence], 1) for attempt, parts in sends]


def _name(session: Session, report: _Report, unsure: Attempt, lacking: int, *, parted: bool) -> UUID | None:
    """This is what the provider calls the send, or a part of it: then it is accepted once nothing is `lacking`."""
    # Whoever settles it at this moment is not waited for: it is asked about again.
    held = session.scalar(sa.select(Attempt).where(
        Attempt.message_id == unsure.message_id, Attempt.fence == unsure.fence, *UNNAMED)
        .with_for_update(skip_locked=True).execution_options(populate_existing=True))
    if held is None:
        return None
    if parted:
        keep_parts(session, [(held.message_id, held.fence, held.provider, [report.provider_id])])
    if lacking == 1:
        held.provider_id, held.outcome = report.provider_id, "accepted"
        session.flush()
    return held.message_id


def _apply(report: _Report, text: _Text, now: datetime, chance: Random) -> None:
    """One that names our message and another number, or no number and no name of ours, is nobody's."""
    if text.to_blind not in report.blinds and (report.to_blinds or report.names != text.id):
        log.warning("a receipt by %s names another number than its message's: refused", report.provider)
        return
    sends = list(_sends_of(report, text))
    if not sends and report.outcome == "failed" and any(map(_may_be_of(report), text.sends)):
        # Of which of them it is, their names will tell.
        report.look_again(now)
        return
    report.message_id = text.id
    last = next((send for send in sends if send.fence == text.fence), None)
    became = sends[0].hear(report) if sends and sends[0].parts else report.outcome
    if became == "delivered":
        _move(text, "delivered")
    elif became and last and last.outcome != "undelivered":
        _not_delivered(report, text, last, became, now, chance)


def _not_delivered(report: _Report, text: _Text, last: _Send, became: str, now: datetime, chance: Random) -> None:
    """It is on its way, or has failed: for good, or for some hours, if what it tells may wait so long."""
    wait = _wait(text, now, chance) if became == "failed" and report.temporary else None
    if wait is None:
        text.opted_out = text.opted_out or report.opted_out
        _move(text, became)
    elif text.state == "sending":
        # Whoever sends it has not yet written down that it is accepted, and would take it for sent.
        report.look_again(now)
    elif text.state in _starts("failed"):
        text.state, text.not_before, text.resends = "created", now + wait, text.resends + 1
        last.outcome, last.changed = "undelivered", True


def _wait(text: _Text, now: datetime, chance: Random) -> timedelta | None:
    """Until the next send, drawn from the whole span, so that a network that is back is not met by all at once.

    None where there is none: it was tried often enough, somebody waits, or it could not fall silent before its day.
    """
    if text.resends >= len(RESENDS) or text.lane == REPLY:
        return None
    shortest, longest = RESENDS[text.resends]
    wait = shortest + chance.random() * (longest - shortest)
    return wait if now + wait + SILENT_AFTER <= text.tell_by else None


def _sends_of(report: _Report, text: _Text) -> Iterator[_Send]:
    """What became of an earlier send says nothing of the present one. A strange name is that of the only send by
    this provider that has none."""
    named = [send for send in text.sends if send.bears(report)]
    unnamed = [] if named else list(filter(_may_be_of(report), text.sends))
    if len(unnamed) == 1:
        named = unnamed
        unnamed[0].provider_id, unnamed[0].outcome, unnamed[0].changed = report.provider_id, "accepted", True
    yield from named


def _may_be_of(report: _Report) -> Any:
    return lambda send: send.provider == report.provider and send.unnamed


def _move(text: _Text, state: str) -> None:
    if text.state in _starts(state):
        text.state = state


def _starts(state: str) -> list[str]:
    return [start for start in NEWS[state] if state in TRANSITIONS[start]]


def _write_reports(session: Session, reports: Sequence[_Report]) -> None:
    if reports:
        update_each(session, ReceiptRecord, ("id",), [
            {"id": one.id, "message_id": one.message_id, "look_at": one.look_at} for one in reports])


def _write_texts(session: Session, texts: Iterable[_Text], now: datetime) -> list[Settlement]:
    moved: dict[str, list[_Text]] = defaultdict(list)
    for text in texts:
        if text.state != text.stood:
            moved[text.state].append(text)
    again = moved.pop("created", [])
    if again:
        update_each(session, Message, ("id",), [
            {"id": text.id, "not_before": text.not_before, "resends": text.resends} for text in again],
            Message.state.in_(_starts("failed")), state="created", alarm_until=None, changed_at=now)
    for state, those in moved.items():
        session.execute(sa.update(Message).where(
            among(session, Message.id, [text.id for text in those]), Message.state.in_(_starts(state)))
            .values(state=state, changed_at=now).execution_options(synchronize_session=False))
    named = [{"message_id": text.id, "fence": send.fence, "provider_id": send.provider_id, "outcome": send.outcome}
             for text in texts for send in text.sends if send.changed]
    if named:
        update_each(session, Attempt, ("message_id", "fence"), named)
    told = [{"message_id": text.id, "fence": send.fence, "name": name, "outcome": send.parts[name]}
            for text in texts for send in text.sends for name in send.told]
    if told:
        update_each(session, Part, ("message_id", "fence", "name"), told)
    return [Settlement(text.id, text.household_id, text.notice, text.subject, text.medium, state, now, text.opted_out)
            for state, those in moved.items() if state in FINAL for text in those]
