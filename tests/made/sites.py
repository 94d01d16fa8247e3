"""Servers on this machine: one that shows a folder, and one that serves modules as TF Hub does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Hub(SimpleHTTPRequestHandler):
    """An address is a page to read; for the archive, it redirects to where that is stored."""

    def do_GET(self) -> None:  # the name that the server calls
        address = urlsplit(self.path)
        if address.path.startswith("/storage/"):
            super().do_GET()
            return
        is_archive = address.query == "tf-hub-format=compressed"
        self.send_response(303 if is_archive else 200)
        if is_archive:
            self.send_header("Location", f"/storage{address.path}.tar.gz")
        self.end_headers()
        if not is_archive:
            self.wfile.write(b"<html>a page about the module</html>")


@contextmanager
def served(folder: Path, handler: type[SimpleHTTPRequestHandler]) -> Iterator[str]:
    """The address at which a server shows the folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
