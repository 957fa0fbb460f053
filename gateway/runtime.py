"""Runtime: what one process holds. The only place where connections are opened."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from channels import SmsChannel, open_sms, open_voice
from channels.base import BadCallback, Telephony
from channels.codes import strange
from channels.letter.tray import Tray
from gateway.campaign import Desk, Pacer, Planner
from gateway.cost import Budget, Prices
from gateway.db import Database
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.memory import Memory
from gateway.loop import Loop
from gateway.notices import Teller
from gateway.pace import Pace
from gateway.post import Post
from gateway.recordings import Recordings
from gateway.registry.clock import day_of
from gateway.registry.formula import BadFormula, Formula
from gateway.registry.intake import Intake
from gateway.registry.programme import Programme
from gateway.registry.scoring import Scorer
from gateway.settings import Settings, SettingsError, SmppAccount
from gateway.tellings import Reader
from gateway.timekeeper import Timekeeper
from gateway.vault import Vault
from gateway.words import Words, all_words

if TYPE_CHECKING:
    from channels.sms.smpp import SmppSms

log = logging.getLogger(__name__)

# A line that takes no calls is left alone this long; each call would only fail again. Texts: see `gateway.routes`.
PAUSE_S = 60
# A code that no table has is told of when it has come so often: once may be a slip.
STRANGE = 3
# What may stand in a log: a number of a few digits, or words. Anything else could be a person's.
PRINTABLE = re.compile(r"[0-9]{1,6}|[A-Za-z_ ]{1,40}")


@dataclass(frozen=True)
class Runtime:
    """Handed to everything that acts. `clock` is passed in, so that a test can be at any hour."""

    settings: Settings
    database: Database
    redis: Redis
    vault: Vault
    words: Words
    channels: Mapping[str, SmsChannel]
    telephones: Mapping[str, Telephony]
    clock: Callable[[], datetime]

    @classmethod
    def open(cls, settings: Settings, clock: Callable[[], datetime] | None = None) -> Runtime:
        """Open what the settings name. Nothing is connected before it is used.

        Raises `SettingsError` for a formula that there is not, that is wrong, or that is not law yet, and for a client
        of the API that is no programme.
        """
        _check_formula(settings.formula, day_of(clock() if clock else datetime.now(UTC)))
        _check_clients({name for name, _ in settings.api_clients})
        database = Database(settings.database_url)
        clock = clock or Timekeeper(database.engine)
        return cls(settings, database, _redis(settings.redis_url),
                   Vault(settings.secret_keys), all_words(), _channels(settings), _telephones(settings), clock)

    def at(self, clock: Callable[[], datetime]) -> Runtime:
        """The same house at another hour."""
        return replace(self, clock=clock)

    @cached_property
    def teller(self) -> Teller:
        """Words events and posts them."""
        return Teller(self.vault, self.words, Reader(self.vault, self.settings.near_threshold),
                      self.settings.service_code, self.settings.asleep)

    @cached_property
    def campaigns(self) -> Desk:
        """Leads campaigns."""
        planner = Planner(self.vault, self.pacer.prices, self.pacer.budget, self.settings.asleep,
                          self.pacer.providers, self.settings.sms_rates)
        return Desk(self.vault, self.words, planner, self.settings.service_code, self.settings.campaign_four_eyes)

    @cached_property
    def pacer(self) -> Pacer:
        """Lets go what is due of campaigns."""
        budget = Budget(self.settings.budget_parts_a_day, self.settings.budget_mad_a_day)
        return Pacer(Prices.load(), budget, self.settings.asleep, self.settings.carrying)

    @cached_property
    def intake(self) -> Intake:
        """Loads rows of an extract."""
        return Intake(self.vault, self.scorer)

    @cached_property
    def scorer(self) -> Scorer:
        """Computes indexes with the formula in force, and decides by every programme."""
        return Scorer(Formula.load(self.settings.formula), Programme.load_all())

    @cached_property
    def memory(self) -> Memory:
        """USSD sessions."""
        return Memory(self.redis, self.vault)

    @cached_property
    def recordings(self) -> Recordings:
        """What is heard in a telephone call."""
        return Recordings(self.settings.recordings, self.words, HOUSEHOLD, self.settings.public_url,
                          synthesized=self.settings.synthesized)

    @cached_property
    def tray(self) -> Tray:
        """Printed letters that wait for the post."""
        return Tray(Path(self.settings.var) / "tray")

    @cached_property
    def post(self) -> Post:
        """When letters are taken, and when they are brought."""
        return Post(self.settings.post_cut_off, self.settings.post_takes)

    @property
    def loop(self) -> Loop:
        """Where texts are in flight: one for the whole process."""
        return _loop()

    def drain(self) -> None:
        """Wait for the texts that were begun and that nobody waits for."""
        if _loop.cache_info().currsize:
            self.loop.drain()

    @cached_property
    def pace(self) -> Pace:
        """How many parts a second each provider may be handed."""
        return Pace(self.redis, self.settings.sms_rates, {name: account.sender for name, account in (
            ("twilio", self.settings.twilio), ("africastalking", self.settings.africastalking),
            ("smpp", self.settings.smpp)) if account})

    def pause(self, line: str) -> None:
        """Make no calls by this line for a while: its account or number needs an operator, or it is too busy."""
        with suppress(RedisError):
            self.redis.set(f"paused:{line}", b"1", ex=PAUSE_S)

    def paused(self, line: str) -> bool:
        """Whether it is left alone."""
        return bool(self.redis.exists(f"paused:{line}"))

    def channel(self, provider: str) -> SmsChannel:
        """A provider's channel. Raises `BadCallback` for one that this house does not use."""
        if provider not in self.channels:
            raise BadCallback("this provider is not in SMS_PROVIDERS")
        return self.channels[provider]

    def telephony(self, provider: str) -> Telephony:
        """Who carries telephone calls. Raises `BadCallback` for one that this house does not use."""
        if provider not in self.telephones:
            raise BadCallback("this provider carries no calls of this house")
        return self.telephones[provider]

    def count(self, name: str, amount: float = 1, /, **labels: str) -> float:
        """Count, for the metrics. A figure is never worth a failure: without Redis it is not counted.

        Returns how many there are now, over all processes; 0 when not counted.
        """
        with suppress(RedisError):
            return float(self.redis.hincrbyfloat("figures", json.dumps([name, labels]), amount))
        return 0.0

    def heed(self, provider: str, code: str) -> None:
        """Count a code or a word of a provider's that is in no table of ours; the third of a kind is told of."""
        if not strange(provider, code):
            return
        code = code if PRINTABLE.fullmatch(code) else "unreadable"
        if self.count("unknown_codes", provider=provider, code=code) == STRANGE:
            log.error("%s has said %s for the third time, a code that is not in channels/codes: look it up and add it",
                      provider, code)

    def counts(self) -> list[tuple[str, dict[str, str], float]]:
        """What was counted, summed over all processes."""
        with suppress(RedisError):
            kept: dict[bytes, bytes] = self.redis.hgetall("figures")  # type: ignore[assignment]
            return [(*json.loads(key), float(value)) for key, value in sorted(kept.items())]
        return []

    def close(self) -> None:
        """Give back what was opened."""
        self.drain()
        if _loop.cache_info().currsize:
            for channel in self.channels.values():
                self.loop.run(channel.close())
        self.database.close()
        self.redis.close()


def _channels(settings: Settings) -> dict[str, SmsChannel]:
    channels = {}
    if settings.twilio:
        channels["twilio"] = open_sms("twilio", **asdict(settings.twilio), public_url=settings.public_url)
    if settings.africastalking:
        channels["africastalking"] = open_sms("africastalking", **asdict(settings.africastalking))
    if settings.smpp:
        channels["smpp"] = open_smpp(settings.smpp)
    return channels


def open_smpp(account: SmppAccount) -> SmppSms:
    """An account at an SMSC. It sends nothing before it is started, which `jobs.smpp` alone does, in one process.

    Raises `SettingsError`.
    """
    # The import is in here because most houses have no SMSC to speak to.
    from channels.sms.smpp import SmppSms

    try:
        return SmppSms(**asdict(account))
    except ValueError as error:
        # What else an account cannot be, the settings have told already.
        raise SettingsError([f"SMPP_CA_FILE: {error}"]) from None


def _telephones(settings: Settings) -> dict[str, Telephony]:
    """With every account, once there are calls: one that began by a provider ends by it, whichever is named now."""
    telephones = {}
    if settings.voice_provider and settings.twilio:
        account = asdict(settings.twilio) | {"sender": settings.voice_number, "public_url": settings.public_url}
        telephones["twilio"] = open_voice("twilio", **account)
    if settings.voice_provider and settings.africastalking:
        account = asdict(settings.africastalking)
        account |= {"sender": settings.voice_number, "base_url": settings.africastalking_voice_url}
        telephones["africastalking"] = open_voice("africastalking", **account)
    return telephones


@cache
def _loop() -> Loop:
    """Started by the first text: most processes send none."""
    return Loop()


def _check_formula(name: str, on: date) -> None:
    try:
        formula = Formula.load(name)
    except BadFormula as error:
        raise SettingsError([f"FORMULA: {error}"]) from None
    if on < formula.effective_from:
        raise SettingsError([f"FORMULA: {name} takes effect on {formula.effective_from}; until then name the one that "
                             "is in force (mouachir formulas)"])
    if not formula.in_effect(on):
        log.error("FORMULA: %s was in effect until %s; indexes are still computed by it", name, formula.effective_to)


def _check_clients(names: Set[str]) -> None:
    """What is sent for a client bears the name of its programme."""
    if not names:
        return
    known = {programme.key for programme in Programme.load_all()}
    if names - known:
        raise SettingsError([f"API_CLIENTS: {', '.join(sorted(names - known))} is no programme; there are "
                             f"{', '.join(sorted(known))} (mouachir programmes)"])


def _redis(url: str) -> Redis:
    """Tried twice and at once: by itself it waits for seconds between its tries, and a caller waits for a screen."""
    return Redis.from_url(url, retry=Retry(NoBackoff(), 1))
