"""Audience: whom a campaign is for, and by which telephone they are reached, each telephone once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from uuid import UUID

import jsonschema_rs
import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from gateway.registry.communes import commune
from gateway.registry.household import Contact, Household
from gateway.registry.networks import network_of
from gateway.registry.programme import Programme
from gateway.registry.registration import OUT, Registration
from gateway.registry.score import ProgrammeDecision
from gateway.registry.steps import NotAllowed
from gateway.vault import CannotOpen, Vault
from gateway.words import LOCALES

log = logging.getLogger(__name__)

# Rows that the database hands over at a time.
AT_ONCE = 2_000

_CODES = {"type": "array", "items": {"type": "string", "pattern": r"^[0-9.]{1,20}$"}, "uniqueItems": True}
FILTER = jsonschema_rs.validator_for({
    "type": "object", "additionalProperties": False, "properties": {
        "area": {"enum": ["urban", "rural", ""]},
        "regions": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 12}, "uniqueItems": True},
        "communes": _CODES,
        "languages": {"type": "array", "items": {"enum": list(LOCALES)}, "uniqueItems": True},
        "programme": {"type": "string", "maxLength": 40},
        "eligible": {"type": "boolean"},
    },
    "dependentRequired": {"eligible": ["programme"], "programme": ["eligible"]},
})


class BadAudience(NotAllowed):
    """Nobody can be meant by this; the message says what to write."""


@dataclass(frozen=True)
class Audience:
    """All households, or those that meet each of these. With a `programme`: whom it judged (not) `eligible` last."""

    area: str = ""
    regions: tuple[int, ...] = ()
    communes: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    programme: str = ""
    eligible: bool = True

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Audience:
        """Raises `BadAudience`."""
        for error in FILTER.iter_errors(dict(given)):
            raise BadAudience(f"The audience is wrong at {'.'.join(map(str, error.instance_path)) or 'its top'}: "
                              f"{error.message}")
        for code in given.get("communes", ()):
            if commune(code) is None:
                raise BadAudience(f"There is no commune {code}; write the planning commission's code, with dots.")
        keys = [programme.key for programme in Programme.load_all()]
        if given.get("programme", "") not in ("", *keys):
            raise BadAudience(f"There is no programme {given['programme']}; there are {', '.join(keys)}.")
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
                                  for name, value in given.items()}
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """As it is kept: without what it does not ask for."""
        kept = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
                if value or name == "eligible"}
        return kept if self.programme else {name: value for name, value in kept.items() if name != "eligible"}

    def meets(self) -> list[sa.ColumnElement[bool]]:
        """The conditions on a household. Whoever has left the register is in no audience."""
        gone = aliased(Registration)
        asked = [~sa.exists().where(gone.household_id == Household.id, gone.state.in_(OUT))]
        for column, values in ((Household.region, self.regions), (Household.commune, self.communes),
                               (Household.locale, self.languages)):
            if values:
                asked.append(column.in_(values))
        if self.area:
            asked.append(Household.area == self.area)
        return [*asked, self._judged()] if self.programme else asked

    def _judged(self) -> sa.ColumnElement[bool]:
        last, later = aliased(ProgrammeDecision), aliased(ProgrammeDecision)
        return sa.exists().where(
            last.household_id == Household.id, last.programme == self.programme, last.eligible.is_(self.eligible),
            ~sa.exists().where(later.household_id == last.household_id, later.programme == last.programme,
                               later.id > last.id))


class Recipient(NamedTuple):
    """A telephone (E.164), the first household that is reached by it, and what tells it from any other."""

    household_id: UUID
    locale: str
    network: str
    msisdn: str
    once: str

    def __repr__(self) -> str:
        return f"Recipient(household_id={self.household_id})"


def recipients(session: Session, vault: Vault, audience: Audience,
               unreadable: Callable[[UUID], None] = lambda _: None) -> Generator[Recipient, None, None]:
    """Each telephone once, in one pass that the database hands over bit by bit.

    That is a household's first mobile that agreed to texts, has not stopped them and is not in doubt.
    `unreadable` is told each contact that no key opens: it is passed over, and stops nobody else's text.
    """
    asked = (sa.select(Contact.household_id, Household.locale, Contact.id, Contact.msisdn_sealed, Contact.msisdn_blind)
             .join(Household, Household.id == Contact.household_id)
             .where(*_texted(Contact), *audience.meets(), _first())
             .order_by(Contact.msisdn_blind, Contact.household_id))
    if session.get_bind().dialect.name == "postgresql":
        # By itself it plans for the first tenth of what is handed over bit by bit; here all of it is wanted.
        session.execute(sa.text("SET LOCAL cursor_tuple_fraction = 1"))
    last = b""
    with session.execute(asked, execution_options={"yield_per": AT_ONCE}) as found:
        for household_id, locale, contact_id, sealed, blind in found:
            if blind != last:
                try:
                    msisdn = vault.open(sealed, "contact.msisdn", contact_id)
                except CannotOpen as error:
                    log.error("contact %s cannot be opened: %s", contact_id, error)
                    unreadable(contact_id)
                    continue
                last = blind
                yield Recipient(household_id, locale if locale in LOCALES else LOCALES[0], network_of(msisdn), msisdn,
                                blind.hex())


def households(session: Session, audience: Audience) -> tuple[int, int]:
    """How many households there are in it, and how many of them no text reaches."""
    reached = sa.exists().where(Contact.household_id == Household.id, *_texted(Contact))
    every, unreached = session.execute(sa.select(sa.func.count(), sa.func.count().filter(~reached)).select_from(
        Household).where(*audience.meets())).one()
    return every, unreached


def _texted(contact: Any) -> list[sa.ColumnElement[bool]]:
    return [contact.kind == "mobile", contact.consent, contact.verified_at.is_not(None),
            contact.suspended_at.is_(None), contact.ended_by.is_(None)]


def _first() -> sa.ColumnElement[bool]:
    """No other telephone of the household comes before it."""
    before = aliased(Contact)
    return ~sa.exists().where(before.household_id == Contact.household_id, before.position < Contact.position,
                              *_texted(before))
