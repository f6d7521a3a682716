"""What tests/api/run adds to schemathesis at the API for applications' users: sign-ins, browsers and codes that exist.

The document says how a sign-in is called, not which there are. What is well formed therefore gets names that exist, mostly, and
sometimes a code that is right, so that everything is a 200 once.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import struct
import time
import zlib

import problems  # noqa: F401
import requests
import schemathesis

BASE = os.environ["BASE"]
# Whose requests are tried, and a credential that may do everything, for what has to be there first.
SECRET, MANAGER = os.environ["SECRET"], tuple(os.environ["MANAGER"].split(":"))
# `everything`, `sign-in` or `nothing`.
MAY = os.environ["MAY"]
USERS = ["alice", "bob", "auth0|5f7c8ec7"]

# Each operation that was answered with a 200 is written there.
GOOD = pathlib.Path(os.environ["GOOD"])


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts names that exist into a request that is well formed."""
    if case.meta is None or not case.meta.generation.mode.is_positive or MAY == "nothing":
        return
    body = case.body if isinstance(case.body, dict) else {}
    chance = zlib.crc32(repr((case.path, case.path_parameters, body)).encode())
    user = USERS[chance % len(USERS)]
    if chance % 8 == 7:
        return
    if "user" in case.path_parameters:
        case.path_parameters["user"] = user
    if "sign_in" in case.path_parameters:
        codes = act(f"/v1/users/{user}/recovery-codes", {})["codes"]
        # Its digits are those of what was generated: not always the same number.
        phone = f"+1415555{chance % 10_000:04}"
        case.path_parameters["sign_in"] = act("/v1/sign-ins", {"user": user, "phone": phone})["id"]
        body["user"] = user
        if "code" in body and chance % 2:
            body |= {"factor": "recovery-code", "code": codes[0]}
    if case.path.endswith("/totp/confirm") and chance % 2:
        body["code"] = totp(act(f"/v1/users/{user}/totp", {})["secret"])
    if "device" in case.path_parameters and chance % 4:
        case.path_parameters["device"] = trusted(user).split(".")[0]
    if "device_token" in body and chance % 4 == 1:
        body["device_token"] = trusted(body.get("user", user))


def trusted(user):
    """The token of a browser that a user trusts."""
    codes = act(f"/v1/users/{user}/recovery-codes", {})["codes"]
    sign_in = act("/v1/sign-ins", {"user": user, "always": True})["id"]
    check = {"user": user, "factor": "recovery-code", "code": codes[0], "trust": True}
    token = act(f"/v1/sign-ins/{sign_in}/check", check)["device_token"]
    # The policy that was set by a request before may trust none.
    return token["token"] if token else "dv_0123456789abcdef." + "0" * 64


def act(path, body):
    answer = requests.post(BASE + path, json=body, auth=MANAGER, timeout=30)
    if answer.status_code != 200:
        raise AssertionError(f"{path}: {answer.status_code} {answer.text}")
    return answer.json()


def totp(secret):
    key = base64.b32decode(secret)
    mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


@schemathesis.hook
def after_call(context, case, response):
    """Remembers what was good."""
    if response.status_code == 200 and response.request.method != "HEAD":
        with GOOD.open("a") as good:
            good.write(f"{response.request.method} {case.path}\n")


@schemathesis.check
def only_what_the_credential_may(ctx, response, case):
    """Nothing opens that the credential does not open."""
    changes = "may change users" in case.operation.definition.raw["description"]
    is_good = 200 <= response.status_code < 300
    if is_good and (MAY == "nothing" or (MAY == "sign-in" and changes and response.request.method == case.operation.method.upper())):
        raise AssertionError(f"{response.status_code} with a credential that may do {MAY}")
    if MAY == "nothing" and response.status_code != 401:
        raise AssertionError(f"{response.status_code}: a stranger learns something")


@schemathesis.check
def no_secret_comes_back(ctx, response, case):
    """No answer has the credential's secret in it, and none a phone number."""
    if SECRET and SECRET.encode() in response.content:
        raise AssertionError("the secret is in the answer")
    if b"+1415555" in response.content:
        raise AssertionError("a phone number is in the answer")
