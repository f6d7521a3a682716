"""Nanoseconds for one request in Twilio's Python library: `python validate.py REQUEST.json SECONDS`.

Prints one line for each measurement: its name, a tab, nanoseconds.
"""

import json
import sys
import time
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator


def main(file, seconds):
    with open(file, encoding="utf-8") as stream:
        request = json.load(stream)
    validator = RequestValidator(request["token"])
    url, body, genuine, forged = (request[name] for name in ("url", "body", "genuine", "forged"))

    def parse():
        return dict(parse_qsl(body, keep_blank_values=True))

    parsed = parse()
    measure("validate genuine", seconds, True, lambda: validator.validate(url, parsed, genuine))
    measure("validate forged", seconds, False, lambda: validator.validate(url, parsed, forged))
    measure("parse and validate genuine", seconds, True, lambda: validator.validate(url, parse(), genuine))
    measure("parse and validate forged", seconds, False, lambda: validator.validate(url, parse(), forged))


def measure(name, seconds, expected, once):
    rounds = []
    for _ in range(5):
        started = time.perf_counter_ns()
        end = started + int(seconds * 1e9 / 5)
        count = 0
        while time.perf_counter_ns() < end:
            for _ in range(20):
                if once() is not expected:
                    sys.exit(f"{name}: the verdict is not {expected}")
            count += 20
        rounds.append((time.perf_counter_ns() - started) / count)
    print(f"{name}\t{sorted(rounds)[len(rounds) // 2]:.0f}")


main(sys.argv[1], float(sys.argv[2]))
