"""Dialling: a USSD call from a terminal. Speaks to the running gateway as Africa's Talking would."""

from __future__ import annotations

import secrets
import urllib.error

from channels.base import Screen
from gateway.direct import fetch
from gateway.settings import Settings

# The gateway of an operator waits ten seconds, then tells the caller that the service is down.
TIMEOUT_S = 10


class NoAnswer(Exception):
    """The gateway is not there, or refused the call."""


class Call:
    """One session. What is typed is sent as all inputs so far, joined with `*`."""

    def __init__(self, settings: Settings, msisdn: str, code: str) -> None:
        self._url = f"{settings.public_url}/ussd/africastalking/{settings.callback_tokens[0]}"
        self._service_code = settings.service_code
        self._form = {"sessionId": f"ATUid_{secrets.token_hex(16)}", "phoneNumber": msisdn, "networkCode": "99999",
                      "serviceCode": code}
        self._typed: list[str] = []

    def start(self) -> Screen:
        """Dial. Raises `NoAnswer`."""
        return self._turn()

    def type(self, text: str) -> Screen:
        """Answer a screen. Raises `NoAnswer`."""
        self._typed.append(text)
        return self._turn()

    def hang_up(self) -> None:
        """Tell the gateway that the session has ended, as the operator does."""
        self._send("/ended", {**self._form, "status": "Success", "hopsCount": str(len(self._typed) + 1),
                              "durationInMillis": "0", "cost": "", "input": "", "lastAppResponse": ""})

    def _turn(self) -> Screen:
        answer = self._send("", {**self._form, "text": "*".join(self._typed)})
        return Screen(answer[4:], final=answer.startswith("END"))

    def _send(self, path: str, form: dict[str, str]) -> str:
        try:
            return fetch(self._url + path, TIMEOUT_S, form=form).decode()
        except urllib.error.HTTPError as error:
            raise NoAnswer(f"the gateway refused the call ({error.code}); its code is {self._service_code}") from None
        except OSError:
            raise NoAnswer("the gateway does not answer: is it running (mouachir up)?") from None
