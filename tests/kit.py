"""What the folders here share: requests as Twilio makes them, an application, processes, ports.

The signature is computed here once more, in a few lines of the standard library, so that the gate is not judged
by its own code.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import http.server
import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from urllib.parse import parse_qsl, quote_plus

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
ACCOUNT = "AC" + "0" * 32
TOKEN = "0123456789abcdef0123456789abcdef"
PASSWORD = "a long password for Twilio"
ORIGIN = "https://hooks.example.com"
FORM = "application/x-www-form-urlencoded"

_counter = itertools.count(1)


# ---------------------------------------------------------------- requests


class Request:
    """One request, as Twilio would send it; `signed` fills in the signature."""

    def __init__(self, method, target, body=b"", content_type=None, headers=None):
        self.method, self.target, self.body = method, target, body
        self.headers = dict(headers or {})
        if content_type:
            self.headers["Content-Type"] = content_type

    def signed(self, token=TOKEN, origin=ORIGIN):
        text = origin + self.target
        if self.headers.get("Content-Type") == FORM:
            fields = {}
            for name, value in parse_qsl(self.body.decode(), keep_blank_values=True):
                fields.setdefault(name, set()).add(value)
            text += "".join(name + value for name in sorted(fields) for value in sorted(fields[name]))
        mac = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
        self.headers["X-Twilio-Signature"] = base64.b64encode(mac).decode()
        return self

    def with_(self, **changes):
        copy = Request(self.method, self.target, self.body, headers=self.headers)
        for name, value in changes.items():
            setattr(copy, name, value)
        return copy

    def with_headers(self, **headers):
        """A copy with other headers; `None` takes one away, and `_` in a name stands for `-`."""
        copy = self.with_()
        copy.headers = dict(self.headers)
        for name, value in headers.items():
            copy.headers.pop(name.replace("_", "-"), None)
            if value is not None:
                copy.headers[name.replace("_", "-")] = value
        return copy


def sms(target="/twilio/sms", **fields):
    """An inbound message. Each has a SID of its own, so that none is answered as a repeat of another."""
    fields = {
        "AccountSid": ACCOUNT,
        "MessageSid": f"SM{next(_counter):032x}",
        "From": "+15550001111",
        "To": "+15550002222",
        "Body": "",
        "NumMedia": "0",
    } | fields
    body = "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())
    return Request("POST", target, body.encode(), FORM)


def event(body=None):
    """A JSON body; the URL carries its hash."""
    body = body or b'[{"specversion":"1.0","id":"EZ%032d"}]' % next(_counter)
    target = "/twilio/events?bodySHA256=" + hashlib.sha256(body).hexdigest()
    return Request("POST", target, body, "application/json")


def get(target="/twilio/voice"):
    return Request("GET", f"{target}?CallSid=CA{next(_counter):032x}&AccountSid={ACCOUNT}")


def handshake(target="/twilio/media"):
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    return Request("GET", target, headers=headers)


def login(user, password):
    """The value of an `Authorization` header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def basic(user="twilio", password=PASSWORD):
    return Request("GET", f"/basic/{next(_counter)}", headers={"Authorization": login(user, password)})


def send(port, request, host="hooks.example.com", timeout=10):
    """Sends the target and the body byte for byte; the answer is read whole, except that of a handshake."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        chunked = "Transfer-Encoding" in request.headers
        if (request.body or request.method == "POST") and not chunked:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body or None)
        answer = connection.getresponse()
        if answer.status != 101:
            answer.read()
        return answer
    finally:
        connection.close()


# ---------------------------------------------------------------- an application


class Application:
    """Answers everything and remembers it, like an application that trusts whatever reaches it."""

    def __init__(self):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                if "Transfer-Encoding" in self.headers:
                    body = b"".join(self.chunks())
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen.append((self.command, self.path, body, self.headers))
                if self.headers.get("Upgrade", "").lower() == "websocket":
                    key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                    self.send_response(101)
                    self.send_header("Connection", "Upgrade")
                    self.send_header("Upgrade", "websocket")
                    self.send_header(
                        "Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
                    )
                    self.end_headers()
                    self.close_connection = True
                    return
                answer = b"<Response/>"
                if self.path.startswith("/redirect-to/"):
                    self.send_response(302)
                    self.send_header("Location", "https://" + self.path.removeprefix("/redirect-to/"))
                else:
                    self.send_response(200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def chunks(self):
                while size := int(self.rfile.readline(), 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


# ---------------------------------------------------------------- processes


class World(contextlib.ExitStack):
    """A folder of its own and the processes in it; all are gone when it ends."""

    def __init__(self):
        super().__init__()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="ringfence-")))
        self.folder.chmod(0o755)  # nginx's workers run as another user
        (self.folder / "auth_token").write_text(TOKEN)
        (self.folder / "basic_password").write_text(PASSWORD)
        self.logs = {}

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def start(self, name, command, port, environment=None, start_seconds=20):
        """Starts a process and waits until its port answers; its output goes to a file in the folder."""
        log = self.logs[name] = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=os.environ | {"HOME": str(self.folder)} | (environment or {}),
                start_new_session=True,  # so that its children can be ended with it
            )
        self.callback(stop, process)
        deadline = time.monotonic() + start_seconds
        while not answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.02)
        return process

    def serve(self, binary, name, text):
        """`ringfence serve` with this configuration; the port of its gate, by which it is known to be up."""
        config = self.write(f"{name}.toml", text)
        port = int(re.search(r'gate = "127\.0\.0\.1:(\d+)"', text)[1])
        return self.start(name, [os.path.abspath(binary), "serve", "--config", config], port)

    def log(self, name):
        return self.logs[name].read_text(errors="replace")

    def wait_for_log(self, name, text, seconds=5):
        deadline = time.monotonic() + seconds
        while text not in self.log(name):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def told_claims(report, name, text):
    """What a script of tests/sdk said it claims, each checked: lines that begin with `ok` or `FAIL`."""
    made = set()
    for line in text.splitlines():
        verdict, _, claim = line.partition(" ")
        if verdict in ("ok", "FAIL"):
            claim, _, detail = claim.partition(": ")
            made.add(claim)
            report.check(f"{name}, {claim}", verdict == "ok", detail)
    return made


def start_sandbox(world, binary, *words):
    """A sandbox on a free port, and what it said of itself."""
    log = world.folder / "sandbox.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binary, "sandbox", "--listen", "127.0.0.1:0", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    world.callback(stop, process)
    deadline = time.monotonic() + 20
    while "Ctrl-C stops it" not in (text := log.read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the sandbox did not start:\n{text}")
        time.sleep(0.02)
    return {
        "base": re.search(r"at (http://\S+)", text)[1],
        "sid": re.search(r"account SID\s+(\S+)", text)[1],
        "token": re.search(r"auth token\s+(\S+)", text)[1],
        "number": re.search(r"its numbers\s+(.+)", text)[1].split(", ")[0],
    }


def stop(process):
    if process.poll() is not None:
        return
    for number, seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
        return True
    return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fill_in(text, replacements):
    """Replaces pieces of an example; a piece that is not there means that the example has moved on."""
    for old, new in replacements.items():
        if old not in text:
            raise SystemExit(f"the example has no {old!r}: change tests/peers/run with it")
        text = text.replace(old, new)
    return text


def twice(text, begin, end, changes):
    """The piece of an example from `begin` to `end` once more before itself, changed: a second host, say."""
    start = text.index(begin)
    return text[:start] + fill_in(text[start : text.index(end, start)], changes) + text[start:]


# ---------------------------------------------------------------- results


class Report:
    def __init__(self):
        self.passed, self.failed = 0, []

    def check(self, name, right, detail=""):
        if right:
            self.passed += 1
        else:
            self.failed.append(f"{name}: {detail}")
            print(f"   WRONG  {name}: {detail}", flush=True)

    def end(self):
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        # Where nothing was asked nothing was found right.
        return 1 if self.failed or not self.passed else 0
