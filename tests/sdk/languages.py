"""The languages of Twilio's libraries, and how a script beside this file is run with each.

Node and Python are installed by ./test. The others are tried where somebody has them: `--php` is a folder in which composer
made vendor/ (`composer require twilio/sdk`), `--ruby` one that has the library in lib/ (without it the installed gem is taken),
`--go` one with a go.mod that requires github.com/twilio/twilio-go.

These three have no setting for a base URL, and take an HTTP client of the application's. Ours stand in docs/egress.md and
docs/second-factor.md for everybody to take, and are taken from there.
"""

import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "docs"
ENDINGS = {"node": "mjs", "python": "py", "php": "php", "ruby": "rb", "go": "go"}
LANGUAGES = list(ENDINGS)


def add_arguments(parser, languages=LANGUAGES):
    parser.add_argument("--binary", required=True)
    parser.add_argument("--peers", type=pathlib.Path, help="where ./test puts Twilio's libraries for Node and Python")
    for name in languages:
        if name not in ("node", "python"):
            parser.add_argument(f"--{name}", type=pathlib.Path, metavar="DIR", help=f"where Twilio's library for {name} is")
    parser.add_argument("languages", nargs="+", choices=languages)


def chosen(parser):
    """The arguments, and each language that is to be tried."""
    arguments = parser.parse_args()
    for name in arguments.languages:
        where = "peers" if name in ("node", "python") else name
        if name != "ruby" and getattr(arguments, where) is None:
            parser.error(f"{name} needs --{where}")
    return arguments, [Language(name, arguments) for name in arguments.languages]


class Language:
    def __init__(self, name, arguments):
        self.name = name
        where = arguments.peers if name in ("node", "python") else getattr(arguments, name)
        self.place = where.absolute() if where else None

    def command(self, script, *words):
        """`script` without its extension."""
        program = {"node": "node", "python": str(self.place / "venv/bin/python")} if self.place else {}
        return [program.get(self.name, self.name), str(HERE / f"{script}.{ENDINGS[self.name]}"), *words]

    def go_command(self, world, script):
        """Go wants all files of a program in one folder, and none whose name ends like a test's."""
        files = [world.write("claims.go", (HERE / "claims.go").read_text())]
        files.append(world.write("program.go", (HERE / f"{script}.go").read_text()))
        return ["go", "run", *files, str(world.folder / "led.go")]

    def environment(self, more):
        """What there is, without a proxy of the machine's own, and this."""
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        where = str(self.place)
        library = {
            "node": {"NODE_PATH": f"{where}/node/node_modules"},
            "python": {"PYTHONUNBUFFERED": "1"},
            "php": {"SDK_PHP": where},
            "ruby": {"RUBYLIB": f"{where}/lib"} if self.place else {},
            "go": {},
        }[self.name]
        return kept | library | more

    def run(self, world, script, environment):
        is_go = self.name == "go"
        return subprocess.run(
            self.go_command(world, script) if is_go else self.command(script),
            cwd=self.place if is_go else None,
            env=self.environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def led_by(self, world, page, address, base):
        """The HTTP client that a page has for this language, as a file, with `base` in the place of its example's address.
        What has to be in the environment then."""
        if self.name in ("node", "python"):
            return {}
        (block,) = re.findall(rf"^```{self.name}\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
        # What makes a client of Twilio's with it is the scripts' own.
        code = re.split(r"^(?:\$client|client|base) :?= ", block, flags=re.MULTILINE)[0]
        if code.count(address) != 1:
            raise SystemExit(f"the example for {self.name} in docs/{page} does not name {address} once")
        imports = "".join(f'\t"{name}"\n' for name in ("net/http", "net/url", "strings") if f"{name[name.find('/') + 1:]}." in code)
        head = {"php": "<?php\n", "go": f"package main\n\nimport (\n{imports})\n\n"}.get(self.name, "")
        return {"LED": world.write(f"led.{ENDINGS[self.name]}", head + code.replace(address, base))}

    def proxied(self, world, proxy, authority):
        """What docs/egress.md says: it sends an unmodified application through a proxy, whose authority is in this file."""
        if self.name == "node":
            return {"HTTP_PROXY": proxy, "NODE_EXTRA_CA_CERTS": authority}
        if self.name == "python":
            return {"HTTPS_PROXY": proxy, "REQUESTS_CA_BUNDLE": authority, "NO_PROXY": "127.0.0.1"}
        if self.name == "php":
            folder = world.folder / "php"
            folder.mkdir()
            (folder / "ringfence.ini").write_text(f"curl.cainfo = {authority}\n")
            return {"https_proxy": proxy, "PHP_INI_SCAN_DIR": f":{folder}"}
        return {"https_proxy" if self.name == "ruby" else "HTTPS_PROXY": proxy, "SSL_CERT_FILE": authority}
