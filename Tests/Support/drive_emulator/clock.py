"""The time of the emulator: the machine's, but for what a test adds to it."""

import threading
import time


class Clock:
    def __init__(self):
        self.ahead = 0.0
        self.frozen_at = None
        self.over = False
        self.changed = threading.Condition()

    def now(self):
        """Seconds since 1970."""
        return (time.time() if self.frozen_at is None else self.frozen_at) + self.ahead

    def advance(self, seconds):
        with self.changed:
            self.ahead += seconds
            self.changed.notify_all()

    def freeze(self, frozen):
        """A frozen clock moves only by `advance`."""
        with self.changed:
            if frozen and self.frozen_at is None:
                self.frozen_at = time.time()
            elif not frozen and self.frozen_at is not None:
                self.ahead, self.frozen_at = self.now() - time.time(), None
            self.changed.notify_all()

    def wait(self, seconds):
        """Returns when that much of this clock's time has gone by, or the emulator ends."""
        until = self.now() + seconds
        with self.changed:
            while not self.over and (rest := until - self.now()) > 0:
                self.changed.wait(None if self.frozen_at is not None else rest)

    def end(self):
        with self.changed:
            self.over = True
            self.changed.notify_all()


def written(seconds):
    """As Drive writes times: RFC 3339 with milliseconds."""
    millis = int(round(seconds * 1000))
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000)) + f".{millis % 1000:03d}Z"
