"""Door: receipts are kept as they come in; those that come in together go into one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from channels.base import Receipt
from gateway.db import Database
from gateway.outbox.receipts import Row, keep, row
from gateway.vault import Vault


class Door:
    """Shared by the threads of a web server. `kept` is told of each lot, once it is committed."""

    def __init__(self, database: Database, vault: Vault, kept: Callable[[Sequence[Receipt]], None]) -> None:
        self._database, self._vault, self._kept = database, vault, kept
        self._joining, self._writing = threading.Lock(), threading.Lock()
        self._lot = _Lot()

    def keep(self, receipt: Receipt, now: datetime) -> None:
        """Returns when the receipt is committed; raises what the database raised.

        The first of a lot writes it, after the lot before it; whoever comes until then joins. So a commit costs the
        more people the less, and who comes alone does not wait.
        """
        mine = row(self._vault, receipt, now)
        with self._joining:
            lot = self._lot
            lot.rows.append(mine)
            lot.receipts.append(receipt)
            first = len(lot.rows) == 1
        if first:
            self._write(lot)
        else:
            with lot.writing:
                pass
        if not lot.committed:
            # Another's row may be what the database did not take.
            self._commit([mine])
            self._kept([receipt])

    def _write(self, lot: _Lot) -> None:
        with self._writing:
            with self._joining:
                self._lot = _Lot()
            try:
                self._commit(lot.rows)
                lot.committed = True
            except Exception:
                if len(lot.rows) == 1:
                    raise
            finally:
                lot.writing.release()
        if lot.committed:
            self._kept(lot.receipts)

    def _commit(self, rows: Sequence[Row]) -> None:
        with self._database.write() as session:
            keep(session, rows)


class _Lot:
    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.receipts: list[Receipt] = []
        self.committed = False
        # Taken until the lot is written; an Event would cost each who waits five times as much.
        self.writing = threading.Lock()
        self.writing.acquire()
