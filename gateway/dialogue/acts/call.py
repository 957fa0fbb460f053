"""Call: who acts: one telephone in one session, at one moment, inside one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from gateway.notices import Teller
from gateway.registry.clock import day_of
from gateway.registry.household import Household, households_of
from gateway.registry.phones import NotATelephone, telephone
from gateway.vault import Vault
from gateway.words import LOCALES, Ear, Wording

# Two households of one village may share the last three digits: as many more are told as tell them apart.
TAIL = 3


@dataclass(frozen=True)
class Call:
    """`channel` is `ussd`, `sms` or `voice`; `conversation` names the session.

    A call that somebody makes shows a number that anybody can set: it is `certain` only where we have called it.

    `may_look_up` is asked before a number is looked up and says whether this caller has any left today.
    """

    session: Session
    teller: Teller
    channel: str
    conversation: str
    now: datetime
    may_look_up: Callable[[str], bool]
    answer_within: timedelta
    msisdn: str = field(repr=False)
    placed: bool = False

    @property
    def certain(self) -> bool:
        """Whether this telephone is the one that it says it is, as surely as a network knows."""
        return self.channel != "voice" or self.placed

    @property
    def vault(self) -> Vault:
        return self.teller.vault

    @property
    def words(self) -> Wording:
        """For the ear in a call, else for the eye."""
        return Ear(self.teller.words) if self.channel == "voice" else self.teller.words

    @property
    def today(self) -> date:
        return day_of(self.now)

    def homes(self, tail: object = None) -> list[Household]:
        """The households of this telephone, none that doubts it; of those, the one whose number ends so."""
        homes = households_of(self.session, self.vault, self.msisdn)
        return homes if tail is None else [home for home in homes if self._number(home).endswith(str(tail))]

    def may_prove(self) -> list[Household]:
        """The households that a PIN may prove from this telephone, be it in doubt: the PIN is what ends the doubt."""
        return households_of(self.session, self.vault, self.msisdn, doubted=True)

    def tails(self, homes: Sequence[Household]) -> list[str]:
        """How the numbers of these households end, each another way."""
        numbers = sorted(self._number(home) for home in homes)
        length = next((length for length in range(TAIL, max(map(len, numbers)))
                       if len({number[-length:] for number in numbers}) == len(numbers)), 0)
        return [number[-length:] for number in numbers]

    def named(self, who: str) -> UUID:
        """A name for a telephone or a session that leads back to neither."""
        return UUID(bytes=self.vault.blind(who, "telephone")[:16])

    def text(self, notice: str, locale: str, subject: str, **facts: object) -> None:
        """A text to this telephone; a landline and a foreign number get none. What is sent is in Arabic letters."""
        try:
            mobile = telephone(self.msisdn).kind == "mobile"
        except NotATelephone:
            return
        if mobile:
            sent_in = locale if locale in LOCALES else LOCALES[0]
            self.teller.reply(self.session, notice, sent_in, self.msisdn, subject, self.now, **facts)

    def _number(self, home: Household) -> str:
        return self.vault.open(home.number_sealed, "household.number", home.id)
