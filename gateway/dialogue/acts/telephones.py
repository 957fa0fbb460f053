"""Telephones: what a caller settles about this telephone and its PIN: language, code, whose it is, texts or letters."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway import doubt
from gateway.db import Base
from gateway.dialogue import access
from gateway.dialogue.acts.call import Call
from gateway.dialogue.engine import Effect, Outcome
from gateway.registry import number_change
from gateway.registry.household import Household
from gateway.registry.steps import NotAllowed


class Telephone(Base):
    """What a telephone chose: its language. The row's name is the number's blind index.

    The session in which it chose for the first time has a row as well, under its own: told once more from its
    beginning, that session is asked for the language again, and what was typed then means what it meant.
    """

    __tablename__ = "telephone"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    locale: Mapped[str] = mapped_column(sa.String(12))


# Asked on every call: made once.
CHOSEN = sa.select(Telephone.id, Telephone.locale).where(Telephone.id.in_(sa.bindparam("names", expanding=True)))


def language(call: Call) -> tuple[str | None, bool]:
    """The language that this telephone had chosen before this session, and whether it chose its first in it."""
    session, telephone = call.named(call.conversation), call.named(call.msisdn)
    locales: dict[UUID, str] = dict(call.session.execute(CHOSEN, {"names": [session, telephone]}).all())
    here = session in locales
    return None if here else locales.get(telephone), here


def choose_language(call: Call, effect: Effect) -> Outcome:
    """For this call and all that follow."""
    chosen = str(effect.given["language"])
    if language(call)[0] is None:
        call.session.merge(Telephone(id=call.named(call.conversation), locale=chosen))
    call.session.merge(Telephone(id=call.named(call.msisdn), locale=chosen))
    return Outcome("ok", {"language": chosen})


def check(call: Call, effect: Effect) -> Outcome:
    """Which household the PIN proves; this telephone is its own then, and no more in doubt."""
    candidates = call.may_prove()
    doubted = {home.id for home in candidates} - {home.id for home in call.homes()}
    found = access.check_pin(call.session, call.vault, call.msisdn, candidates, effect.typed, call.conversation,
                             call.now, doubted)
    if not isinstance(found, Household):
        return Outcome(found)
    doubt.proven(call.session, call.vault, found.id, call.msisdn, call.now)
    return Outcome("ok", {"proof": str(found.id)})


def send_pin_letter(call: Call, _: Effect) -> Outcome:
    """To each household of this telephone, at its address."""
    homes = call.homes()
    if not homes:
        return Outcome("wrong")
    sent = [call.teller.send_pin(call.session, home, call.now) for home in homes]
    return Outcome("ok" if any(sent) else "already")


def choose_pin(call: Call, effect: Effect) -> Outcome:
    """Of the PIN only a hash goes on, to be compared with what is typed next."""
    if access.is_weak(effect.typed, call.msisdn):
        return Outcome("weak")
    return Outcome("ok", {"new_pin": call.vault.hash_pin(effect.typed, UUID(effect.proof))})


def change_pin(call: Call, effect: Effect) -> Outcome:
    """Typed twice alike, it opens the household from now on, and the one before no more."""
    household_id, chosen = UUID(effect.proof), str(effect.given["new_pin"])
    if not any(call.vault.proves_pin([chosen], effect.typed, household_id)):
        return Outcome("different")
    if number_change.frozen(call.session, household_id, call.now):
        return Outcome("wait")
    access.change_pin(call.session, call.vault, household_id, chosen, call.now)
    return Outcome("ok")


def refuse_number(call: Call, _: Effect) -> Outcome:
    """An old telephone says that nobody asked for the new number."""
    if not call.certain:
        return Outcome("unsure")
    homes = [home.id for home in call.homes()]
    number_change.refuse_from(call.session, call.vault, homes, call.msisdn, now=call.now)
    return Outcome("ok")


def disown(call: Call, _: Effect) -> Outcome:
    """Whoever has this telephone now knows none of its households: they get letters from now on."""
    if not call.certain:
        return Outcome("unsure")
    try:
        left = number_change.not_mine(call.session, call.vault, call.msisdn, channel=call.channel,
                                      asked_by=call.conversation, by="telephone", now=call.now)
    except NotAllowed:  # A foreign number is no household's.
        return Outcome("ok")
    call.teller.disowned(call.session, call.msisdn, left, call.now)
    return Outcome("ok")


def stop_texts(call: Call, _: Effect) -> Outcome:
    """Letters instead."""
    if not call.certain:
        return Outcome("unsure")
    call.teller.stop(call.session, call.msisdn, call.now)
    return Outcome("ok")


def send_help(call: Call, effect: Effect) -> Outcome:
    """One text a day, with all that can be dialled."""
    call.text("sms_help", effect.locale, f"{call.today}/{call.named(call.msisdn)}")
    return Outcome("ok")
