"""The command: `python -m channels.sandbox --config FILE`, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import signal
from pathlib import Path
from threading import Event

from channels.sandbox import Config, Operator, create_operator_server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m channels.sandbox", description="A telephone operator.")
    parser.add_argument("--config", type=Path, required=True, help="a JSON file")
    config = Config.read(parser.parse_args().config)
    logging.basicConfig(level=logging.WARNING, format="operator: %(message)s")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    operator = Operator(config)
    server = create_operator_server(operator)
    server.start()
    stop.wait()
    server.stop()
    operator.close()


if __name__ == "__main__":
    main()
