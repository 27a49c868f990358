"""iCloud's CloudKit Web Services on this machine, for tests: one person's private database, assets, and sign-in. Experimental."""

from .emulator import Emulator, start

__all__ = ["Emulator", "start"]
