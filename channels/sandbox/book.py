"""The book of accepted texts: what each became, and in whose inbox it lies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Literal

Step = Literal["accepted", "sent", "delivered", "failed"]
FINAL = ("delivered", "failed")


@dataclass(frozen=True)
class Text:
    """One accepted text. `service` is the messaging service it was sent through, where there was one.

    `receipts_sent` counts the receipts that the gateway answered with success.
    """

    provider: str
    provider_id: str
    msisdn: str = field(repr=False)
    sender: str
    body: str = field(repr=False)
    accepted_at: datetime
    service: str = ""
    reply: bool = False
    status: Step = "accepted"
    delivered_at: datetime | None = None
    receipts_sent: int = 0


class Book:
    """Texts by their provider's name for them and by telephone. Every entry costs the same, however many."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._texts: dict[str, Text] = {}
        self._to: defaultdict[str, list[str]] = defaultdict(list)
        self._inboxes: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, text: Text) -> None:
        with self._lock:
            self._texts[text.provider_id] = text
            self._to[text.msisdn].append(text.provider_id)

    def move(self, provider_id: str, step: Step, at: datetime) -> Text:
        """Take a text one step on. A final step stays; what is delivered lies in its inbox from then on."""
        with self._lock:
            text = self._texts[provider_id]
            if text.status in FINAL:
                return text
            text = replace(text, status=step, delivered_at=at if step == "delivered" else None)
            self._texts[provider_id] = text
            if step == "delivered":
                self._inboxes[text.msisdn].append(provider_id)
            return text

    def receipt_sent(self, provider_id: str) -> None:
        with self._lock:
            text = self._texts[provider_id]
            self._texts[provider_id] = replace(text, receipts_sent=text.receipts_sent + 1)

    def find(self, provider_id: str) -> Text | None:
        return self._texts.get(provider_id)

    def texts(self) -> list[Text]:
        """Everything accepted, oldest first."""
        with self._lock:
            return list(self._texts.values())

    def texts_to(self, msisdn: str) -> list[Text]:
        """Everything accepted for one telephone, oldest first."""
        with self._lock:
            return self._named(self._to.get(msisdn, ()))

    def inbox(self, msisdn: str) -> list[Text]:
        """What one telephone has received, newest first."""
        with self._lock:
            return self._named(reversed(self._inboxes.get(msisdn, [])))

    def telephones(self) -> dict[str, Text]:
        """Every telephone that has received a text, with its last one."""
        with self._lock:
            return {msisdn: self._texts[inbox[-1]] for msisdn, inbox in self._inboxes.items()}

    def _named(self, provider_ids: Iterable[str]) -> list[Text]:
        return [self._texts[provider_id] for provider_id in provider_ids]
