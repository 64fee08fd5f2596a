"""Executables that stand in for a control plane's: they write down what happens to them, and fail as they are told."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from lws_sandbox.real.binaries import REQUIRED, Binaries

_PREAMBLE = f"""#!{sys.executable} -S
import http.server, pathlib, signal, ssl, sys, time
diary = pathlib.Path({{diary!r}})
flags = dict(each[2:].split("=", 1) for each in sys.argv[1:] if "=" in each)
name = pathlib.Path(sys.argv[0]).name

def note(what):
    with diary.open("a") as file:
        file.write(f"{{{{name}}}} {{{{what}}}}\\n")

def stop(*_):
    note("stopped")
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
note("started")
"""
WAITS = "signal.pause()\n"
SERVES = """
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        ready = Handler.asked > 2
        if ready:
            note("ready")
        self.send_response(200 if ready else 500)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer((flags["bind-address"], int(flags["secure-port"])), Handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(flags["tls-cert-file"], flags["tls-private-key-file"])
tls.load_verify_locations(flags["client-ca-file"])
tls.verify_mode = ssl.CERT_REQUIRED
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
FAILS = 'sys.exit("unknown flag: --" + next(iter(flags)))\n'
STUBBORN = "signal.signal(signal.SIGTERM, lambda *_: note('asked to stop'))\nwhile True:\n    signal.pause()\n"


class Folder:
    """A folder of such executables, and what they wrote down."""

    def __init__(self, path: Path, **programs: str) -> None:
        self._path = path
        self._diary = path / "diary"
        self._diary.touch()
        for name, program in programs.items():
            self.put(name.replace("_", "-"), _PREAMBLE.format(diary=str(self._diary)) + program)

    def put(self, name: str, text: str) -> None:
        """One more executable."""
        (self._path / name).write_text(text)
        (self._path / name).chmod(stat.S_IRWXU)

    @property
    def binaries(self) -> Binaries:
        """As they are found."""
        names = frozenset(each.name for each in self._path.iterdir() if each.name != "diary")
        assert names.issuperset(REQUIRED)
        return Binaries(self._path, names)

    @property
    def diary(self) -> list[str]:
        """What happened to them, in order."""
        return self._diary.read_text().splitlines()
