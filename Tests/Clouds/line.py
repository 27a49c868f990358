"""The bad line of a trial: it notes what befell which request, loses the answer of one request of each kind that writes, and can
stop an upload half-way."""

import contextlib
import threading

import fault_proxy

SEED = 5
WRITING = frozenset({"PUT", "POST", "PATCH", "MOVE"})
# A pack that is on its way; headers, indexes and lists are smaller.
LARGE_BYTES_MIN = 1_000_000
HELD_SECONDS_MAX = 300


def is_writing(method, path):
    """Whether a request makes or changes an object. Signing in changes none."""
    return method in WRITING and "/token" not in path


class Line(fault_proxy.FaultProxy):
    def __init__(self, address, busy, kinds=fault_proxy.KINDS, is_writing=is_writing):
        self.is_writing = is_writing
        self.gate = None
        # Methods of which the next request that wrote loses its answer.
        self.due = set()
        # (method, path) of what was written while the answer got lost.
        self.lost_writes = []
        super().__init__(address, seed=SEED, busy=busy, kinds=kinds)
        self.RequestHandlerClass = Handler

    def lose_one_answer_of_each_kind(self):
        self.due = set(WRITING) if "lost" in self.kinds else set()

    def done(self, fault, method, path, size, status):
        """What befalls a request of this size that the server answered so."""
        with self.lock:
            is_written = self.is_writing(method, path) and status < 400
            if is_written and fault is None and method in self.due:
                fault = "lost"
                self.faults[fault] = self.faults.get(fault, 0) + 1
            if is_written and fault == "lost":
                self.due.discard(method)
                self.lost_writes.append((method, path))
            if self.gate and fault is None and size >= LARGE_BYTES_MIN and status < 300:
                self.gate.whole_count += 1
            return fault

    @contextlib.contextmanager
    def half_an_upload(self):
        """Within it one large upload gets through, and the next one only half; in the end the line is gone for that one."""
        self.gate = Gate()
        try:
            yield self.gate
        finally:
            self.gate.is_over.set()
            self.gate = None


class Gate:
    def __init__(self):
        # One large upload at a time.
        self.turn = threading.Lock()
        self.whole_count = 0
        # The bytes that the server has of the one that is held, and all that it was told to expect.
        self.sent_bytes, self.announced_bytes = 0, 0
        self.is_reached = threading.Event()
        self.is_over = threading.Event()


class Handler(fault_proxy.Handler):
    def exchange(self):
        gate, length = self.server.gate, int(self.headers.get("content-length") or 0)
        if gate is None or length < LARGE_BYTES_MIN:
            return super().exchange()
        with gate.turn:
            if gate.is_over.is_set():
                return self.hang_up()
            if not gate.whole_count:
                return super().exchange()
            self.hold(gate, length)

    def hold(self, gate, length):
        """The server sees what it sees of a client that is killed: half of what was announced, and then the end of the line."""
        half = self.rfile.read(length // 2)
        if len(half) == length // 2:
            upstream = self.upstream(length)
            upstream.endheaders(half)
            gate.sent_bytes, gate.announced_bytes = len(half), length
            gate.is_reached.set()
            gate.is_over.wait(HELD_SECONDS_MAX)
            upstream.close()
        self.hang_up()

    def ask(self, body):
        answer = super().ask(body)
        self.fault = self.server.done(self.fault, self.command, self.path, len(body), answer[0])
        return answer
