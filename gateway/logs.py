"""Logs: one line a fact, and nothing personal in it, whoever wrote the line."""

from __future__ import annotations

import logging
import re
import traceback
from typing import Any

# Longest first: a telephone with its country code, an identifier, a telephone as dialled, a PIN or an index.
PERSONAL = re.compile(
    r"\+?(?:00)?212[5-8][0-9]{8}|(?<![0-9])0[5-8][0-9]{8}(?![0-9])|(?<![0-9])[0-9]{9,10}(?![0-9])"
    r"|(?<![0-9a-fA-F:.-])[0-9]{6}(?![0-9a-fA-F:])|(?<![0-9])[0-9]{1,2}[.,][0-9]{4,}"
    r"|(?<=/ussd/africastalking/)[\w-]+|(?<=/sms/africastalking/)[\w-]+|(?<=/receipts/africastalking/)[\w-]+"
    r"|(?:text|input|lastAppResponse|[Bb]ody|message|Digits|apiKey|pin|to|To)=[^\s&]+"
    r"|[\u0600-\u06ff\u2d30-\u2d7f][\u0600-\u06ff\u2d30-\u2d7f\s،.:*#0-9]*")
NOISY = ("twilio.http_client", "urllib3", "werkzeug", "rq.worker", "rq.job", "rq.queue", "alembic", "fontTools")


class Redaction(logging.Formatter):
    """Formats a record, then strikes out whatever looks like a person: the last line of defence."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The path of an exception, without its words: an exception of a library may quote what it was given."""
        return "".join(traceback.format_tb(ei[2])) + str(ei[0].__name__)


def redact(text: str) -> str:
    """Strike out telephones, identifiers, PINs, index values, secret path tokens and texts."""
    return PERSONAL.sub("[-]", text)


def set_up(level: int = logging.INFO) -> None:
    """Send all logs through the redaction, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Redaction("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
