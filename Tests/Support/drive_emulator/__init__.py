"""A Google Drive that runs on this machine, for tests: version 3 of its interface, uploads, sign-in, and faults on demand."""

from .emulator import Emulator
from .server import start

__all__ = ["Emulator", "start"]
