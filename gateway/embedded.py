"""Embedded: the whole house on one machine, for a look, a test or a small office. Nothing to install, no root.

SQLite, a Redis-compatible server from a wheel, the sandbox operator, the web server, two workers and the clock,
each a process of its own, started again when it dies.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.direct import fetch
from gateway.migrations import upgrade
from gateway.settings import ENVIRONMENT_FILE, Settings, environment

VAR = Path(environment().get("VAR_DIR", "var"))
PORTS = {"web": 8580, "operator": 8581, "redis": 8582}
WORKERS = 2
READY_WITHIN_S = 30
# Nobody's: Twilio keeps them for tests.
VOICE_NUMBER, MISSED_CALL_NUMBER = "+15005550006", "+15005550009"


class AlreadyRunning(Exception):
    """Two houses in one folder would share a database and fight over its Redis."""


@dataclass
class House:
    """The running processes. `kill` is for showing that it does not matter."""

    gateway_url: str
    operator_url: str
    environment: Mapping[str, str] = field(repr=False)
    logs: Path
    stopping: threading.Event = field(default_factory=threading.Event)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    restarts: int = 0

    def start(self, name: str, *command: str) -> None:
        """Start a process and keep it running until `stop`."""
        def keep() -> None:
            while not self.stopping.is_set():
                child = self.children[name] = self._spawn(name, command)
                child.wait()
                _end_family(child)
                self.restarts += not self.stopping.is_set()
                self.stopping.wait(0.5)

        threading.Thread(target=keep, name=name, daemon=True).start()

    def kill(self, name: str) -> None:
        """`kill -9`."""
        self.children[name].kill()

    def wait(self) -> None:
        """Until Ctrl-C or SIGTERM."""
        signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())
        with suppress(KeyboardInterrupt):
            while not self.stopping.wait(0.5):
                pass

    def stop(self) -> None:
        """Ask every process to end, and see to it; Redis last, for the others wait for it."""
        self.stopping.set()
        redis = self.children.pop("redis", None)
        for group in (list(self.children.values()), [redis] if redis else []):
            for child in group:
                child.terminate()
            for child in group:
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()

    def _spawn(self, name: str, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        with (self.logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, env={**os.environ, **self.environment}, stdout=log,  # noqa: S603
                                    stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)


def _end_family(parent: subprocess.Popen[bytes]) -> None:
    """A web server that was killed leaves a child on its port."""
    with suppress(ProcessLookupError):
        os.killpg(parent.pid, signal.SIGKILL)


@contextmanager
def house(var: Path, **overrides: str) -> Iterator[House]:
    """Run the house with its data in `var`. `overrides` are settings that differ from the embedded ones.

    Raises `AlreadyRunning`, and `SettingsError` before anything is started.
    """
    prepare(var, **overrides)
    with _alone(var):
        Settings.from_env({**os.environ, **_read(var)})
        yield from _run(var)


def _run(var: Path) -> Iterator[House]:
    settings = _read(var)
    if any(_free(int(settings[f"{name.upper()}_PORT"])) != int(settings[f"{name.upper()}_PORT"]) for name in PORTS):
        settings |= _addresses()
        _write(var, settings)
    ports = {name: int(settings[f"{name.upper()}_PORT"]) for name in PORTS}
    running = House(settings["PUBLIC_URL"], f"http://127.0.0.1:{ports['operator']}", settings, var / "logs")
    running.logs.mkdir(exist_ok=True)
    python = sys.executable
    try:
        running.start("redis", python, "-m", "gateway.embedded_redis", str(var / "redis"), str(ports["redis"]))
        _until_listening(ports["redis"])
        running.start("operator", python, "-m", "channels.sandbox", "--config", str(var / "operator.json"))
        running.start("web", python, "-m", "granian", "--interface", "wsgi", "--factory", "--host", "127.0.0.1",
                      "--port", str(ports["web"]), "--workers", "1", "--blocking-threads", "4", "--log-level",
                      "warning", "gateway.app:serve")
        for number in range(1, WORKERS + 1):
            running.start(f"worker{number}", python, "-m", "jobs.worker")
        running.start("urgent", python, "-m", "jobs.worker", "urgent")
        running.start("clock", python, "-m", "jobs.clock")
        _until_ready(running.gateway_url + "/health/live")
        _until_listening(ports["operator"])
        yield running
    finally:
        running.stop()


def is_there(var: Path) -> bool:
    """Whether a house has been made in this folder."""
    return (var / ENVIRONMENT_FILE).exists()


def prepare(var: Path, **overrides: str) -> bool:
    """Make the data folder, its secrets and its database, once. Returns whether they are new."""
    var.mkdir(parents=True, exist_ok=True)
    var.chmod(0o700)
    new = not is_there(var)
    if new:
        _write(var, {**_defaults(var.resolve()), **_addresses(), **overrides})
    upgrade(_read(var)["DATABASE_URL"])
    return new


def _write(var: Path, settings: Mapping[str, str]) -> None:
    _write_private(var / ENVIRONMENT_FILE, "".join(f"{key}={value}\n" for key, value in settings.items()))
    _write_private(var / "operator.json", json.dumps(_operator(settings)))


@contextmanager
def _alone(var: Path) -> Iterator[None]:
    with (var / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"a house is running in {var} already") from None
        yield


def _read(var: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (var / ENVIRONMENT_FILE).read_text().splitlines() if "=" in line)


def _defaults(var: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{var / 'mouachir.db'}",
        "SECRET_KEYS": "1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "SERVICE_CODE": "*580#",
        "CALLBACK_TOKENS": secrets.token_urlsafe(32),
        "SMS_PROVIDERS": "twilio:70,africastalking:30",
        "TWILIO_ACCOUNT_SID": "AC" + secrets.token_hex(16),
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "TWILIO_SENDER": "RSU",
        "AFRICASTALKING_USERNAME": "sandbox",
        "AFRICASTALKING_API_KEY": secrets.token_hex(16),
        "AFRICASTALKING_SENDER": "RSU",
        "VOICE_PROVIDER": "twilio",
        "VOICE_NUMBER": VOICE_NUMBER,
        "MISSED_CALL_NUMBER": MISSED_CALL_NUMBER,
        "SYNTHESIZED_SPEECH": "yes",
        "QUIET_HOURS": "0-0",
        "VAR_DIR": str(var),
    }


def _addresses() -> dict[str, str]:
    """Where the processes listen: the usual ports, or free ones where another program has those."""
    ports = {name: _free(port) for name, port in PORTS.items()}
    operator = f"http://127.0.0.1:{ports['operator']}"
    return {
        "REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
        "PUBLIC_URL": f"http://127.0.0.1:{ports['web']}",
        "TWILIO_BASE_URL": operator,
        "AFRICASTALKING_BASE_URL": operator + "/version1",
        "AFRICASTALKING_VOICE_URL": operator,
        **{f"{name.upper()}_PORT": str(port) for name, port in ports.items()},
    }


def _operator(settings: Mapping[str, str]) -> dict[str, object]:
    return {
        "host": "127.0.0.1", "port": int(settings["OPERATOR_PORT"]), "gateway_url": settings["PUBLIC_URL"],
        "callback_token": settings["CALLBACK_TOKENS"].split(",")[0], "service_code": settings["SERVICE_CODE"],
        # A folder that an earlier version made has no such settings.
        "voice_number": settings.get("VOICE_NUMBER", VOICE_NUMBER),
        "missed_call_number": settings.get("MISSED_CALL_NUMBER", ""),
        "voice_provider": settings.get("VOICE_PROVIDER", "twilio"),
        "twilio": {"account_sid": settings["TWILIO_ACCOUNT_SID"], "auth_token": settings["TWILIO_AUTH_TOKEN"]},
        "africastalking": {"username": settings["AFRICASTALKING_USERNAME"],
                           "api_key": settings["AFRICASTALKING_API_KEY"]},
    }


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _free(port: int) -> int:
    """This port, or any free one when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_listening(port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on port {port}; see the logs folder")
        time.sleep(0.05)


def _until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            fetch(url, 2)
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError("the gateway does not start; see the logs folder") from None
            time.sleep(0.1)
        else:
            return
