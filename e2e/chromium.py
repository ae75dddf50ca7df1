"""Find the Chromium that the tests run in, or install one: ``python -m e2e.chromium``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # WebGPU without a GPU.
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
)


def find() -> str | None:
    """Return the browser's path: ``CHROMIUM``, or the first of ``NAMES`` that is installed."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def install() -> None:
    """Install Chromium with apt, as root or through sudo."""
    if shutil.which("apt-get") is None:
        sys.exit("No Chromium found, and no apt to install one. Install it, or set CHROMIUM.")
    root = [] if os.geteuid() == 0 else ["sudo"]
    for step in (["update", "--quiet=2"], ["install", "--quiet=2", "--yes", "chromium"]):
        subprocess.run([*root, "apt-get", *step], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Make sure that there is a browser, and say which."""
    if find() is None:
        print("Installing Chromium with apt", flush=True)
        install()
    print(f"Testing in {find()}")


if __name__ == "__main__":
    main()
