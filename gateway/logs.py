"""Logs: one line a fact, and nothing personal in it, whoever wrote the line.

What a person wrote or was told in French cannot be told from our own words: it must not be logged in the first
place. An exception's words are left out for that reason, and libraries that log what they carry are silenced.
"""

from __future__ import annotations

import logging
import re
import traceback
from copy import copy
from typing import Any

PERSONAL = re.compile(
    r"""
    # A telephone as people write it: 06 12-34.56.78, +212 (0)6 12 34 56 78, 00212612345678.
    (?:(?:\+|00)?212|0) [\s.()/-]{0,3} (?:0[\s.()/-]{0,2})? [5-8] (?:[\s.()/-]{0,3}[0-9]){8}
    # An identifier, a PIN, the number of a household, a request or a letter.
    | [0-9]{6,}
    # An index.
    | [0-9]{1,2}[.,][0-9]{3,}
    # Whatever is written in Arabic or Tifinagh, with the digits among it.
    | [\u0600-\u06ff\u2d30-\u2d7f][\u0600-\u06ff\u2d30-\u2d7f\s.:*#0-9]*
    # The secret part of a callback's address, and the fields of a form.
    | (?<=/ussd/africastalking/)[\w-]+ | (?<=/sms/africastalking/)[\w-]+ | (?<=/receipts/africastalking/)[\w-]+
    | (?<=/ussd/generic/)[\w-]+ | (?<=/voice/africastalking/)[\w/-]+ | (?<=/voice/twilio/)[\w-]+
    | (?:text|input|lastAppResponse|[Bb]ody|message|Digits|dtmfDigits|apiKey|pin|to|To)=[^\s&]+
    """, re.VERBOSE)
NOISY = ("twilio.http_client", "urllib3", "werkzeug", "rq.worker", "rq.job", "rq.queue", "alembic", "fontTools",
         "sqlalchemy", "redis", "psycopg")


class Redaction(logging.Formatter):
    """Strikes out of a line whatever looks like a person: the last line of defence."""

    def format(self, record: logging.LogRecord) -> str:
        """As another formatter may have left the whole exception on the record, work on a copy without it."""
        record = copy(record)
        record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The message alone is struck, so that the line keeps its own date and time."""
        record.message = redact(record.message)
        return super().formatMessage(record)

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
    # A broken log call would print what it was given, past the redaction.
    logging.raiseExceptions = False
    for name in NOISY:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
