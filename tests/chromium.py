"""Debian's Chromium for the browser tests: found, installed where that is allowed, or missed in one line."""

import os
import shutil
import subprocess
import sys

# The fonts hold the Arabic and Tifinagh letters that a bare machine has none of.
PACKAGES = ("chromium", "fonts-noto-core")
APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300")
INSTALL_TIMEOUT_S = 900


def chromium_path() -> str | None:
    """Where Debian's Chromium is, or None."""
    return shutil.which("chromium")


def must_run() -> bool:
    """On the project's own checks a browser test that cannot run is a failure."""
    return os.environ.get("CI") == "true"


def main() -> int:
    """The exit code: 0, but for CI=true and no Chromium."""
    if chromium_path() or _install():
        return 0
    say(f"no Chromium, browser tests are left out (Debian: apt-get install {' '.join(PACKAGES)})")
    return 1 if must_run() else 0


def _install() -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    say(f"installing {' and '.join(PACKAGES)}")
    options = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "timeout": INSTALL_TIMEOUT_S}
    steps = (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES])
    try:
        for step in steps:
            subprocess.run([*APT, *step], check=True, capture_output=True, **options)
    except subprocess.SubprocessError:
        return False
    return chromium_path() is not None


def say(line: str) -> None:
    sys.stdout.write(f"test: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
