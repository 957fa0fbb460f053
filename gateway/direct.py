"""Direct: HTTP past any proxy that the environment names: to this machine, or with a secret in the address."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str, timeout_s: float, *, form: Mapping[str, str] | None = None, asked: Any = None) -> bytes:
    """GET, or POST a `form` or a JSON document. Raises `OSError` (`urllib.error.HTTPError` for a refusal)."""
    body, headers = None, {}
    if form is not None:
        body = urllib.parse.urlencode(form).encode()
    elif asked is not None:
        body, headers = json.dumps(asked).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310
    with _OPENER.open(request, timeout=timeout_s) as answer:
        content: bytes = answer.read()
    return content
