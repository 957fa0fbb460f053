"""What the operator is told when it starts: where it listens, whom it serves, which keys it honours."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class TwilioLine:
    """The one Twilio account. `senders` are the numbers and names it may send from; empty: any."""

    account_sid: str
    auth_token: str = field(repr=False)
    senders: tuple[str, ...] = ()


@dataclass(frozen=True)
class AfricasTalkingLine:
    """The one Africa's Talking application. `senders` are the names it may send from; empty: any."""

    username: str
    api_key: str = field(repr=False)
    senders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """`gateway_url` is the gateway's public address, `callback_token` the secret in its callback paths.

    A handset that dials `voice_number`, or the number that is rung to be called back, is put through by the provider
    `voice_provider`. The default number is nobody's: Twilio keeps it for tests.
    """

    host: str
    port: int
    gateway_url: str
    callback_token: str = field(repr=False)
    service_code: str
    twilio: TwilioLine
    africastalking: AfricasTalkingLine
    voice_number: str = "+15005550006"
    missed_call_number: str = ""
    voice_provider: Literal["twilio", "africastalking"] = "twilio"

    @classmethod
    def read(cls, path: Path) -> Config:
        """Read a JSON file with these very keys. Raises `TypeError` naming a missing or unknown one."""
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        twilio = {"senders": (), **told.pop("twilio", {})}
        twilio["senders"] = tuple(twilio["senders"])
        africastalking = {"senders": (), **told.pop("africastalking", {})}
        africastalking["senders"] = tuple(africastalking["senders"])
        return cls(**told, twilio=TwilioLine(**twilio), africastalking=AfricasTalkingLine(**africastalking))
