"""Channels: how to speak to a telephone. They know no household, and import nothing of gateway or jobs.

To add a provider of SMS:

1. Write its codes and words in `channels/codes/`, each with what it asks of us, and one file in `channels/sms/`:
   one class with the methods of `SmsChannel`. It calls out through `channels.http.Http` only, so that every provider
   has the same deadline and the same reading of a broken line.
2. Add its line to `sms_providers` below, and its account to the settings.
3. Put its true payloads in `tests/contract/` beside the others': all providers pass the same contract.

An operator's own SMSC is in no table: nothing of it comes by HTTP. `channels.sms.smpp.SmppSms` is started in a process
of its own, keeps one bind, and hears receipts and texts by itself.

A provider of telephone calls is added in the same three steps: `channels/voice/`, the methods of `Telephony`, and
`voice_providers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from channels.base import Reporter, Sender, Telephony

Provider = TypeVar("Provider")


class SmsChannel(Sender, Reporter, Protocol):
    """An account at a provider of SMS: it sends, and reads the provider's callbacks."""


def open_sms(name: str, **account: str) -> SmsChannel:
    """Open the account of the provider called `name`; `account` is what its class asks for.

    Opens no connection. Raises `ValueError` when there is no such provider.
    """
    return _of(sms_providers(), name, "SMS")(**account)


def sms_providers() -> dict[str, Callable[..., SmsChannel]]:
    """The table of providers. The imports are in here because the SDKs take a quarter of a second to load."""
    from channels.sms.africastalking import AfricasTalkingSms
    from channels.sms.twilio import TwilioSms

    return {"twilio": TwilioSms, "africastalking": AfricasTalkingSms}


def open_voice(name: str, **account: str) -> Telephony:
    """Open the account at the provider of telephone calls called `name`; `account` is what its class asks for.

    Opens no connection. Raises `ValueError` when there is no such provider.
    """
    return _of(voice_providers(), name, "voice")(**account)


def voice_providers() -> dict[str, Callable[..., Telephony]]:
    """The table of providers of telephone calls. The imports are in here for the same reason."""
    from channels.voice.africastalking import AfricasTalkingVoice
    from channels.voice.twilio import TwilioVoice

    return {"twilio": TwilioVoice, "africastalking": AfricasTalkingVoice}


def _of(known: Mapping[str, Provider], name: str, what: str) -> Provider:
    if name not in known:
        raise ValueError(f"no {what} provider {name!r}; there are {', '.join(known)}")
    return known[name]
