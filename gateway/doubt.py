"""Doubt: telephones that may be a stranger's by now, and how a household keeps its own.

A number that nobody uses is cut off, and some months later sold to somebody else, who then reads what was meant for a
household. Of 259 numbers on offer at two carriers, 215 were recycled and could be turned against those who had them
before (Lee and Narayanan, "Security and Privacy Risks of Number Recycling at Mobile Carriers in the United States",
eCrime 2021, https://recyclednumbers.cs.princeton.edu). So a number that was silent or failing for long is doubted: its
`verified_at` is emptied, it gets one text that tells nothing of anybody, and it is nobody's until the household's PIN
is typed from it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.outbox import Attempt, Message
from gateway.registry import audit, update
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import day_of
from gateway.registry.events import NumberDoubted
from gateway.registry.household import Contact
from gateway.vault import CannotOpen, Vault

log = logging.getLogger(__name__)

# A telephone is broken, abroad or without credit for some weeks, and a whole network may fail for a day: three texts
# in a row over a month, and one text after a year without a word, are neither.
FAILURES = 3
FAILING_FOR = timedelta(days=30)
SILENT_FOR = timedelta(days=365)
# Each is audited, and told by text and by letter: their households are held for some seconds.
AT_ONCE = 500
# The last proof counts by the day: whoever types the PIN twice in one writes once.
PROVEN_AGAIN = timedelta(days=1)
# What says something of the telephone, and not of a provider that was down.
REACHED_THE_NETWORK = ("accepted", "rejected", "undelivered")


@dataclass(frozen=True)
class _Dead:
    contact_id: UUID
    household_id: UUID
    reason: str


def due(session: Session, vault: Vault, now: datetime, limit: int = AT_ONCE) -> list[NumberDoubted]:
    """Doubt the numbers that are `failing` or `silent`, at most `limit`.

    A number from which the PIN is typed at this moment is not doubted.
    """
    dead = _dead(session, vault, now, limit)
    update.hold(session, {one.household_id for one in dead})
    doubted = set(session.scalars(
        sa.update(Contact).where(Contact.id.in_([one.contact_id for one in dead]), Contact.ended_by.is_(None),
                                 Contact.verified_at <= now - FAILING_FOR)
        .values(verified_at=None).returning(Contact.id)))
    dead = [one for one in dead if one.contact_id in doubted]
    for one in dead:
        audit.record(session, vault, "number.doubted", by="system", now=now, household_id=one.household_id,
                     subject=one.contact_id, reason=one.reason)
    return [NumberDoubted(one.household_id, one.contact_id, day_of(now)) for one in dead]


def proven(session: Session, vault: Vault, household_id: UUID, msisdn: str, now: datetime) -> None:
    """The household's PIN was typed at this number (E.164): it is the household's, and no more in doubt."""
    unproven = sa.or_(Contact.verified_at.is_(None), Contact.verified_at < now - PROVEN_AGAIN)
    for contact in session.scalars(sa.select(Contact).where(
            Contact.household_id == household_id, Contact.ended_by.is_(None), unproven,
            Contact.msisdn_blind.in_(vault.blinds(msisdn, "contact.msisdn")))):
        if contact.verified_at is None:
            audit.record(session, vault, "number.verified", by="household", now=now, household_id=household_id,
                         subject=contact.id)
        contact.verified_at = now


def waiting(session: Session) -> Counter[str]:
    """How many numbers wait to be verified again, by the reason for which they were doubted."""
    in_doubt = sa.select(Contact.id).where(Contact.verified_at.is_(None), Contact.ended_by.is_(None))
    found: Counter[str] = Counter()
    for ids in session.scalars(in_doubt, execution_options={"yield_per": AT_ONCE}).partitions():
        found.update(_reasons(session, ids))
    return found


def _reasons(session: Session, contact_ids: Sequence[UUID]) -> list[str]:
    """Of several doubts of a number the last one counts."""
    acts = session.execute(sa.select(AuditEntry.subject, AuditEntry.detail).where(
        AuditEntry.act == "number.doubted", AuditEntry.subject.in_(list(map(str, contact_ids))))
        .order_by(AuditEntry.at))
    last = {subject: detail["reason"] for subject, detail in acts}
    return [last.get(str(contact_id), "unknown") for contact_id in contact_ids]


def _dead(session: Session, vault: Vault, now: datetime, limit: int) -> list[_Dead]:
    """The first that are dead, in the order of their rows. What is none of theirs is passed over and takes no place."""
    found: dict[UUID, _Dead] = {}
    with session.execute(_candidates(now), execution_options={"yield_per": AT_ONCE}) as rows:
        for row in rows:
            failing = row.failures == FAILURES and row.last_at - row.first_at >= FAILING_FOR
            if (failing or row.silent) and _texted(vault, row):
                found[row.contact_id] = _Dead(row.contact_id, row.household_id, "failing" if failing else "silent")
            if len(found) == limit:
                break
    return list(found.values())


def _texted(vault: Vault, row: sa.Row[tuple[object, ...]]) -> bool:
    """Whether these texts went to this contact: those to another number of the household say nothing of it."""
    try:
        msisdn = vault.open(row.msisdn_sealed, "contact.msisdn", row.contact_id)
    except CannotOpen as error:
        log.error("contact %s cannot be opened: %s", row.contact_id, error)
        return False
    return row.to_blind in vault.blinds(msisdn, "message.to")


def _candidates(now: datetime) -> sa.Select[tuple[object, ...]]:
    """Each household's verified mobile with each number that it was texted at, where the last text there has failed.

    The fingerprints of a contact and of a message do not compare (each column has its own): whether the two are the
    same number is asked of the vault, for these few. What was sent before the number was last proven does not count.
    """
    texts = _texts()
    failed = (texts.c.state == "failed") & (texts.c.created_at >= texts.c.verified_at)
    failures = sa.func.count().filter(failed, texts.c.nth <= FAILURES)
    heard_at = sa.func.max(texts.c.changed_at).filter(texts.c.state == "delivered")
    silent = sa.and_(texts.c.verified_at <= now - SILENT_FOR, sa.func.min(texts.c.created_at) <= now - SILENT_FOR,
                     sa.or_(heard_at.is_(None), heard_at <= now - SILENT_FOR))
    contact = (texts.c.contact_id, texts.c.household_id, texts.c.msisdn_sealed, texts.c.verified_at, texts.c.to_blind)
    return (sa.select(*contact, failures.label("failures"), silent.label("silent"),
                      sa.func.min(texts.c.created_at).filter(texts.c.nth <= FAILURES).label("first_at"),
                      sa.func.max(texts.c.created_at).label("last_at"))
            .group_by(*contact).order_by(texts.c.contact_id)
            .having(sa.func.count().filter(failed, texts.c.nth == 1) == 1, sa.or_(failures == FAILURES, silent)))


def _texts() -> sa.Subquery:
    """The texts that arrived or failed, by contact and number, the last one first (`nth`).

    Most households have none that failed; they are left out before anything is put in order.
    """
    some_failed = sa.select(Message.household_id).where(Message.medium == "sms", Message.state == "failed")
    tried = sa.exists().where(Attempt.message_id == Message.id, Attempt.fence == Message.fence,
                              Attempt.outcome.in_(REACHED_THE_NETWORK))
    nth = sa.func.row_number().over(partition_by=(Contact.id, Message.to_blind),
                                    order_by=(Message.created_at.desc(), Message.id.desc()))
    return (sa.select(Contact.id.label("contact_id"), Contact.household_id, Contact.msisdn_sealed, Contact.verified_at,
                      Message.to_blind, Message.state, Message.created_at, Message.changed_at, nth.label("nth"))
            .join(Message, Message.household_id == Contact.household_id)
            .where(Contact.household_id.in_(some_failed), Contact.kind == "mobile", Contact.consent,
                   Contact.verified_at.is_not(None), Contact.suspended_at.is_(None), Contact.ended_by.is_(None),
                   Message.medium == "sms",
                   sa.or_(Message.state == "delivered", sa.and_(Message.state == "failed", tried))).subquery())
