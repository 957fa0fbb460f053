"""A whole house in one process, with a telephone operator next door: real HTTP both ways."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from channels.sandbox import Operator, Server, TwilioLine
from channels.sandbox.config import AfricasTalkingLine
from gateway.app import create_app
from gateway.runtime import Runtime
from jobs.queues import worker
from jobs.receipts import settle_receipts
from jobs.relay import relay
from jobs.sweep import sweep
from tests.channels.test_sandbox import a_config, serving
from tests.conftest import SETTINGS, open_house


@dataclass(frozen=True)
class Neighbourhood:
    """`operator_url` has the handsets' pages; `gateway_url` answers callbacks."""

    runtime: Runtime
    operator: Operator
    operator_url: str
    gateway_url: str

    def work(self) -> None:
        """One ring of the clock, and all the work that it gives."""
        relay(self.runtime)
        worker(self.runtime).work(burst=True, logging_level="ERROR")
        settle_receipts(self.runtime)
        sweep(self.runtime)


@contextmanager
def a_neighbourhood(database_url: str, redis_url: str, var: Path,
                    clock: Callable[[], datetime]) -> Iterator[Neighbourhood]:
    """Open everything on free ports, and close it again."""
    port = _free_port()
    gateway_url = f"http://127.0.0.1:{port}"
    config = a_config(
        gateway_url, callback_token=SETTINGS["CALLBACK_TOKENS"],
        twilio=TwilioLine(SETTINGS["TWILIO_ACCOUNT_SID"], SETTINGS["TWILIO_AUTH_TOKEN"]),
        africastalking=AfricasTalkingLine(SETTINGS["AFRICASTALKING_USERNAME"], SETTINGS["AFRICASTALKING_API_KEY"]))
    with serving(config) as (operator, operator_url):
        runtime = open_house(database_url, redis_url, var, clock, PUBLIC_URL=gateway_url,
                             TWILIO_BASE_URL=operator_url, AFRICASTALKING_BASE_URL=f"{operator_url}/version1")
        server = Server(create_app(runtime), port=port)
        server.start()
        try:
            yield Neighbourhood(runtime, operator, operator_url, gateway_url)
        finally:
            server.stop()
            runtime.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
