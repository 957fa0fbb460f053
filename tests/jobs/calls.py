"""A house that has telephone calls, with an operator next door who carries them: real HTTP both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from channels.base import Telephony
from channels.sandbox import AfricasTalkingLine, Operator, TwilioLine
from gateway.runtime import Runtime
from tests.channels.test_sandbox import Gateway, a_config, serving
from tests.conftest import SETTINGS, open_house

OURS = "+212530000080"
CALLS = {"VOICE_PROVIDER": "twilio", "VOICE_NUMBER": OURS}


class Killed(BaseException):
    """As by `kill -9`: nobody catches it, and nothing is tidied up."""


@dataclass(frozen=True)
class Neighbours:
    """The house, the operator, and what the house would hear of a call."""

    runtime: Runtime
    operator: Operator
    url: str
    gateway: Gateway

    def spoken(self, sound: bytes, provider: str = "twilio") -> str:
        """A recording at the provider; its address."""
        name = self.operator.recordings.keep(sound, 120).name
        if provider == "africastalking":
            return f"{self.url}/recordings/{name}.mp3"
        return f"{self.url}/2010-04-01/Accounts/{SETTINGS['TWILIO_ACCOUNT_SID']}/Recordings/RE{name}"

    def has(self, url: str) -> bool:
        """Whether the provider still has this recording."""
        name = url.rpartition("/")[2].removeprefix("RE").removesuffix(".mp3")
        return self.operator.recordings.find(name) is not None


@contextmanager
def neighbours(database_url: str, redis_url: str, var: Path, clock: Callable[[], datetime],
               **settings: str) -> Iterator[Neighbours]:
    gateway = Gateway()
    gateway.server.start()
    config = a_config(
        gateway.url, callback_token=SETTINGS["CALLBACK_TOKENS"], voice_number=OURS,
        twilio=TwilioLine(SETTINGS["TWILIO_ACCOUNT_SID"], SETTINGS["TWILIO_AUTH_TOKEN"]),
        africastalking=AfricasTalkingLine(SETTINGS["AFRICASTALKING_USERNAME"], SETTINGS["AFRICASTALKING_API_KEY"]))
    with serving(config) as (operator, url):
        runtime = open_house(database_url, redis_url, var, clock, **{
            "PUBLIC_URL": gateway.url, "TWILIO_BASE_URL": url, "AFRICASTALKING_VOICE_URL": url, **CALLS, **settings})
        yield Neighbours(runtime, operator, url, gateway)
        runtime.close()
    gateway.server.stop()


@dataclass
class Mortal:
    """A provider in whose hands the worker dies: `dies` before it asks, or after it has an answer."""

    real: Telephony
    verb: str
    after: bool

    def __getattr__(self, name: str) -> object:
        ask = getattr(self.real, name)
        if name != self.verb:
            return ask

        def dying(*arguments: object) -> object:
            if self.after:
                ask(*arguments)
            raise Killed
        return dying


def dying(runtime: Runtime, verb: str, *, after: bool) -> Runtime:
    """The house whose worker is killed at this verb of its provider."""
    return replace(runtime, telephones={name: Mortal(real, verb, after) for name, real in runtime.telephones.items()})


def counted(runtime: Runtime, name: str) -> dict[str, float]:
    """What was counted under this name, by outcome."""
    return {labels["outcome"]: amount for counted, labels, amount in runtime.counts() if counted == name}
