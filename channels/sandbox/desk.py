"""The desk: what befalls a request to send, whichever provider it was made to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flask import Response

from channels.sandbox.operator import Operator


def attend(
    operator: Operator, provider: str, accept: Callable[[], Response], failure: Callable[[int], Response]
) -> Response:
    """Answer a checked request, or fail it before or after `accept`, as the provider was told to behave.

    `failure` writes the provider's own answer for status 429 or 500.
    """
    fate = operator.temper(provider).fate()
    operator.wait(fate.delay_s)
    if fate.stall_before:
        return _hung_up(operator, fate.stall_s)
    if fate.error_before:
        return failure(500)
    if fate.throttle:
        answer = failure(429)
        answer.headers["Retry-After"] = f"{fate.retry_after_s:.0f}"
        return answer
    answer = accept()
    if fate.stall_after:
        return _hung_up(operator, fate.stall_s)
    return failure(500) if fate.error_after else answer


def _hung_up(operator: Operator, stall_s: float) -> Response:
    operator.wait(stall_s)
    return Response(_broken())


def _broken() -> Iterator[bytes]:
    """A body that breaks before its first byte: the server then drops the connection, headers and all."""
    yield from ()
    raise ConnectionAbortedError
