"""An HTTP server of this program's own, at work until it is stopped."""

import sys
import threading
from http.server import ThreadingHTTPServer


class BackgroundServer(ThreadingHTTPServer):
    """`address` is where it answers; what its handler needs must be there before it is made."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        # Whoever hangs up is no news here.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)
