"""A person who signs in at the console and goes on to a host that it protects: a browser of a few lines that keeps cookies by
host and follows redirects, and an authenticator application (RFC 6238 once more)."""

import base64
import hashlib
import hmac
import html
import http.client
import os
import re
import socket
import ssl
import struct
import subprocess
import time
from urllib.parse import urlencode, urlsplit

from kit import FORM

LOGIN, PASSWORD = "maria@example.com", "tulip cement orbit"
# As a browser asks for a page, a script for data, and a form.
FOR_A_PAGE = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
BY_A_SCRIPT = {"Accept": "*/*", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}


class Installation:
    """A Ringfence with a console at `console_url`, Maria who may sign in, and the port where a proxy shall listen for `hosts`."""

    def __init__(self, world, binary, console, port, hosts):
        self.world, self.binary = world, os.path.abspath(binary)
        self.console, self.port, self.hosts = console, port, hosts
        self.console_url = f"http://localhost:{console}"
        self.certificate, self.key = (str(world.folder / name) for name in ("tls.crt", "tls.key"))
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-keyout", self.key, "-out", self.certificate, "-days", "2", "-subj", f"/CN={hosts[0]}"]
        command += ["-addext", "subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts)]
        subprocess.run(command, check=True, capture_output=True)
        os.chmod(self.key, 0o644)  # nginx's workers run as another user
        self.config = self.secret = None
        self.used = -1

    def serve(self):
        command = [self.binary, "serve", "--config", self.config]
        self.process = self.world.start("ringfence", command, self.console)
        # The port is open before the control plane is at work.
        deadline = time.monotonic() + 20
        while Browser(self).ask("GET", self.console_url + "/sign-in").status != 200:
            if time.monotonic() > deadline:
                raise SystemExit(self.world.log("ringfence"))
            time.sleep(0.05)

    def command(self, *arguments):
        """What `ringfence …` prints."""
        done = subprocess.run(
            [self.binary, *arguments, "--config", self.config], cwd=self.world.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def add_maria(self, role):
        """Maria chooses a password, binds an authenticator application and takes recovery codes."""
        code = self.command("user", "add", "--role", role, LOGIN).split()[-1]
        browser = Browser(self)
        browser.post("/bind", code=code, password=PASSWORD)
        page = browser.open(self.console_url + "/bind/factors")
        self.secret = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page.text)[1]
        browser.post("/bind/totp", csrf=page.field("csrf"), code=self.code())
        browser.post("/bind/codes", csrf=page.field("csrf"))
        browser.post("/bind/finish", csrf=page.field("csrf"))

    def code(self):
        """The next code of the application that was not used yet."""
        self.used = max(self.used + 1, int(time.time() // 30))
        while self.used > time.time() // 30 + 1:
            time.sleep(0.2)
        tag = hmac.new(base64.b32decode(self.secret.replace(" ", "")), struct.pack(">Q", self.used), hashlib.sha1).digest()
        offset = tag[19] & 15
        return f"{(struct.unpack('>I', tag[offset:offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


class Page:
    def __init__(self, url, answer):
        self.url, self.status, self.headers = url, answer.status, answer.headers
        self.body = b"" if answer.status == 101 else answer.read()
        self.text = self.body.decode(errors="replace")

    def field(self, name):
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found, f"{self.url} ({self.status}) has no {name}:\n{self.text}"
        return html.unescape(found[1])


class Browser:
    """Keeps cookies by host, and follows redirects by GET."""

    def __init__(self, place):
        self.place, self.jars = place, {}

    def ask(self, method, url, headers=None, body=None, target=None):
        """One request; `url` says to which host, the place where that is. The request line may say something else."""
        place, parts = self.place, urlsplit(url)
        if parts.netloc in place.hosts and parts.scheme == "https":
            trusting = ssl.create_default_context(cafile=place.certificate)
            connection = http.client.HTTPSConnection("127.0.0.1", place.port, timeout=15, context=trusting)
            trusting.check_hostname = False  # the connection is to an address; the certificate is ours alone
            connection._create_connection = lambda *_: named(place.port)  # noqa: SLF001
            connection.host = parts.netloc
        else:
            assert url.startswith(place.console_url + "/"), f"led to {url}"
            connection = http.client.HTTPConnection("127.0.0.1", place.console, timeout=15)
        jar = self.jars.setdefault(parts.hostname, {})
        target = target or parts.path + ("?" + parts.query if parts.query else "")
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", parts.netloc)
            if jar:
                connection.putheader("Cookie", "; ".join(f"{name}={value}" for name, value in jar.items()))
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            page = Page(url, connection.getresponse())
        finally:
            connection.close()
        for cookie in page.headers.get_all("Set-Cookie", []):
            name, value = cookie.split(";")[0].split("=", 1)
            if "Max-Age=0" in cookie:
                jar.pop(name, None)
            else:
                jar[name] = value
        return page

    def follow(self, page):
        self.way = [page.url]
        while page.status in (302, 303) or "Refresh" in page.headers:
            assert len(self.way) < 12, f"round and round: {self.way}"
            to = page.headers["Location"] or page.headers["Refresh"].removeprefix("0; url=")
            to = to if "://" in to else "{0.scheme}://{0.netloc}".format(urlsplit(page.url)) + to
            page = self.ask("GET", to, FOR_A_PAGE)
            self.way.append(page.url)
        return page

    def open(self, url, headers=None):
        return self.follow(self.ask("GET", url, FOR_A_PAGE | (headers or {})))

    def post(self, path, **fields):
        origin = self.place.console_url
        headers = {"Origin": origin, "Content-Type": FORM, "Accept": "text/html"}
        return self.follow(self.ask("POST", origin + path, headers, urlencode(fields).encode()))

    def sign_in(self, page):
        """From the console's first page to where one was going."""
        page = self.post("/sign-in", login=LOGIN, password=PASSWORD, to=page.field("to"))
        return self.post("/second-factor", csrf=page.field("csrf"), to=page.field("to"), code=self.place.code())


def named(port):
    return socket.create_connection(("127.0.0.1", port), 15)
