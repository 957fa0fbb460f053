"""Bulk: promises by the ten thousand, written in one go; the same rows as one after the other would be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from channels.text import parts
from gateway.db import insert, insert_new
from gateway.outbox.message import Message, Promise
from gateway.outbox.posting import Draft, shared
from gateway.registry import bulk
from gateway.vault import Vault

# What many drafts have in common, so that it is written out once.
Kind = tuple[str, str, int, str, str, str, datetime | None]

MESSAGE = bulk.table(Message)
SMALL = {column.name: 2 for column in MESSAGE.c if column.type.__visit_name__ == "small_integer"}
# The fields of a row that are its own, in the order in which they are written; the shared ones follow.
OWN = ("id", "household_id", "to_blind", "to_sealed", "body_sealed", "subject", "reference", "parts")
SHARED = tuple(column.name for column in MESSAGE.c if column.name not in OWN)
FIELDS = len(MESSAGE.c).to_bytes(2)
NULL = (-1).to_bytes(4, signed=True)
# The lengths before fields of one width.
OF_16, OF_32 = ((width).to_bytes(4) for width in (16, 32))

# Keys and names of rows in turn, sixteen bytes each: a list of them would cost more to write than all the rest.
GIVEN = """SELECT substr(d, 32 * i + 1, 16) AS id, encode(substr(d, 32 * i + 17, 16), 'hex')::uuid AS row
           FROM (SELECT %b::bytea AS d) given, generate_series(0, length(d) / 32 - 1) i"""
PROMISE = f"INSERT INTO promise (id, message_id) {GIVEN} ON CONFLICT DO NOTHING"
PROMISED = f"SELECT p.id FROM promise p JOIN ({GIVEN}) new ON p.id = new.id AND p.message_id = new.row"  # noqa: S608


def post_all(session: Session, vault: Vault, drafts: Sequence[Draft], now: datetime,
             campaign_id: UUID | None = None) -> int:
    """Write the promises, as `post` does; those of a campaign are held. Returns how many are new.

    What was promised before is not promised again: whoever was cut off does the same once more.
    """
    named = {draft.promise: draft for draft in reversed(drafts)}
    # In one order, so that two who write the same ones do not wait for each other.
    keys = sorted(named)
    names = bulk.new_ids(len(keys)).tobytes()
    ids = {key: names[16 * place : 16 * place + 16] for place, key in enumerate(keys)}
    new = _promise(session, ids)
    rows = [(ids[key], named[key]) for key in keys if key in new]
    _store(session, vault, rows, now, {"campaign_id": campaign_id, "state": "held"} if campaign_id else {})
    return len(rows)


def _promise(session: Session, ids: Mapping[bytes, bytes]) -> Collection[bytes]:
    """The keys that nobody has promised before, of these and the names of their rows."""
    if session.get_bind().dialect.name != "postgresql":
        return insert_new(session, Promise, [{"id": key, "message_id": UUID(bytes=row)} for key, row in ids.items()])
    given = [b"".join(map(b"".join, ids.items()))]
    with bulk.driver(session).cursor(binary=True) as cursor:
        if cursor.execute(PROMISE, given).rowcount == len(ids):
            return ids.keys()
        return {key for key, in cursor.execute(PROMISED, given)}


def _store(session: Session, vault: Vault, rows: Sequence[tuple[bytes, Draft]], now: datetime,
           held: dict[str, Any]) -> None:
    names = [_name(row.hex()) for row, _ in rows]
    to = vault.seal_all([(name, draft.to) for name, (_, draft) in zip(names, rows, strict=True)], "message.to")
    bodies = vault.seal_all([(name, draft.body) for name, (_, draft) in zip(names, rows, strict=True)], "message.body")
    costs = _Costs()
    own = [(row, draft.household_id, vault.blind(draft.to, "message.to"), sealed, body,
            (draft.subject, draft.reference, costs[draft.body] if draft.medium == "sms" else 0))
           for (row, draft), sealed, body in zip(rows, to, bodies, strict=True)]
    if session.get_bind().dialect.name == "postgresql":
        about, common = _About(), _Common(now, held)
        bulk.copy(session, MESSAGE, (*OWN, *SHARED), b"".join(
            [_written(row, home, blind, sealed, body, about[said], common[_kind(draft)])
             for (row, home, blind, sealed, body, said), (_, draft) in zip(own, rows, strict=True)]))
    else:
        insert(session, Message, [
            dict(zip(OWN, (UUID(bytes=row), *fields, *said), strict=True)) | shared(draft, now) | held
            for (row, *fields, said), (_, draft) in zip(own, rows, strict=True)])


def _name(digits: str) -> str:
    """A row's name as it is written."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _kind(draft: Draft) -> Kind:
    return (draft.notice, draft.medium, draft.lane, draft.locale, draft.network, draft.policy, draft.tell_by)


class _Costs(dict[str, int]):
    """The parts of each text: many of a campaign are the same."""

    def __missing__(self, body: str) -> int:
        self[body] = parts(body)
        return self[body]


class _Common(dict[Kind, bytes]):
    """The shared fields of each kind of draft, in PostgreSQL's binary format."""

    def __init__(self, now: datetime, held: dict[str, Any]) -> None:
        super().__init__()
        self._now, self._held = now, held

    def __missing__(self, kind: Kind) -> bytes:
        notice, medium, lane, locale, network, policy, tell_by = kind
        draft = Draft(None, notice, "", medium, locale, "", "", "", policy, lane, tell_by, network)
        values = shared(draft, self._now) | self._held
        self[kind] = b"".join(_field(bulk.field_of(values[name], SMALL.get(name, 4))) for name in SHARED)
        return self[kind]


class _About(dict[tuple[str, str, int], bytes]):
    """The fields of subject, reference and parts, which many messages of a campaign share, and no others do."""

    def __missing__(self, said: tuple[str, str, int]) -> bytes:
        self[said] = b"".join(_field(bulk.field_of(value, 2)) for value in said)
        return self[said]


def _written(row: bytes, home: UUID | None, blind: bytes, to: bytes, body: bytes, about: bytes, common: bytes) -> bytes:
    return b"".join((FIELDS, OF_16, row, OF_16 + home.bytes if home else NULL, OF_32, blind,
                     len(to).to_bytes(4), to, len(body).to_bytes(4), body, about, common))


def _field(written: bytes | None) -> bytes:
    return NULL if written is None else len(written).to_bytes(4) + written
