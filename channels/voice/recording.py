"""Recording: a message that a caller spoke, asked of its provider, and of no one else, within bounds."""

from __future__ import annotations

from urllib.parse import urlsplit

from channels import http
from channels.base import Rejected, SendError, Unavailable

# Two minutes at 8 kHz and 16 bit are 1.9 MiB, uncompressed.
LONGEST = 4 << 20

# Letters that every reader of addresses takes for the same: what is matched by them is what is connected to.
PATH = r"(?:/[A-Za-z0-9._~%+-]+)+(?:\?[A-Za-z0-9._~%+=&/-]*)?"

# What may be otherwise tomorrow: our key is mended, the recording is ready, the provider is well again.
LATER = {401, 403, 404, 407, 408, 425, 429}


def origin(base_url: str) -> str:
    """Scheme, host and port of a configured address, as they stand there."""
    address = urlsplit(base_url)
    return f"{address.scheme}://{address.netloc}"


def fetched(client: http.Http, url: str, auth: tuple[str, str] | None = None) -> bytes:
    """The recording at an address that was checked before. Raises `Unavailable` or `Rejected`."""
    answer = asked(client, "GET", url, auth)
    if not 200 <= answer.status < 300:
        raise refused(answer)
    if not answer.headers.get("Content-Type", "").lower().startswith("audio/"):
        raise Rejected("not_audio")
    if len(answer.body) > LONGEST:
        raise Rejected("too_large")
    return answer.body


def asked(client: http.Http, method: str, url: str, auth: tuple[str, str] | None) -> http.Answer:
    """Raises `Unavailable` for whatever broke on the way: asking a second time does no harm here."""
    try:
        return client.call(method, url, auth=auth, longest=LONGEST + 1)
    except SendError as error:
        code = error.code
    raise Unavailable(code)


def refused(answer: http.Answer) -> SendError:
    """The error for an answer other than 2xx; a redirect is one, and is never followed."""
    kind = Unavailable if answer.status >= 500 or answer.status in LATER else Rejected
    return kind(f"http_{answer.status}")
