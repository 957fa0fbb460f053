"""Provider: what a provider's table of true payloads must hold, to be put under the common contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from channels.base import CallbackRequest, Inbound, Outbound, Receipt, SendError
from tests.contract.stub import Reply

MSISDN = "+212612000417"
BODY = "RSU : votre indice est calculé. Réf. RSU-7K3F-2M9Q"
MESSAGE = Outbound(token="tok-4b1f90aa", msisdn=MSISDN, body=BODY, valid_for_s=7200)


@dataclass(frozen=True)
class Provider:
    """`refusals` and `unclear` hold (what happened, the answer, what is raised); `request` makes a callback."""

    name: str
    account: dict[str, str]
    sent_to: str
    sent: dict[str, list[str]]
    accepted: Reply
    provider_id: str
    refusals: list[tuple[str, Reply, SendError]]
    unclear: list[tuple[str, Reply]]
    receipts: list[tuple[str, dict[str, str], Receipt]]
    inbound: list[tuple[str, dict[str, str], Inbound]]
    request: Callable[[dict[str, tuple[str, ...]]], CallbackRequest]


def form(fields: dict[str, str]) -> dict[str, tuple[str, ...]]:
    return {key: (value,) for key, value in fields.items()}
