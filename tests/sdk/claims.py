"""How the scripts of this folder say what they claim: one line each, which the runner beside them reads. claims.mjs is the
same for Node."""

import json

from twilio.base.exceptions import TwilioException, TwilioRestException


def say(right, claim, detail=""):
    """One claim; `detail` helps whoever reads that it does not hold."""
    detail = str(detail).replace("\n", " ")
    print(f"ok {claim}" if right else f"FAIL {claim}: {detail}", flush=True)


def refused(claim, status, code, call):
    """The call fails with Twilio's own error: this status, and this code unless it is None."""
    try:
        call()
        say(False, claim, "it went through")
    except TwilioRestException as error:
        _told(claim, status, code, error.status, error.code, error.msg)
    except TwilioException as error:  # of a list: the library keeps the answer as it came
        answer = error.args[1]
        body = json.loads(answer.text)
        _told(claim, status, code, answer.status_code, body["code"], body["message"])


def _told(claim, status, code, given_status, given_code, message):
    right = given_status == status and (given_code == code if code else given_code > 0)
    say(right, claim, f"{given_status} {given_code} {message}")
