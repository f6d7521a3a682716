"""Twilio's own Python library against a Verify: the sandbox's, or that of Ringfence's second factor. tests/sdk/verify
starts both and wants the same claims from them. verify_test.mjs makes the same ones in Node, in the same order.
"""

import datetime
import json
import os
import re
import time
import traceback
import urllib.parse
import urllib.request

from twilio.rest import Client

from claims import refused, say

VERIFY, SANDBOX = os.environ["VERIFY"], os.environ["SANDBOX"]
USER_NAME, SECRET = os.environ["USER_NAME"], os.environ["SECRET"]
ACCOUNT, SERVICE = os.environ["ACCOUNT"], os.environ["SERVICE"]
TO = "+14155550181"

client = Client(USER_NAME, SECRET, account_sid=ACCOUNT)
client.verify.base_url = VERIFY
service = client.verify.v2.services(SERVICE)


def main():
    try:
        verifications()
        limits()
        attempts()
    except Exception:
        say(False, "everything is told to its end", traceback.format_exc())


def verifications():
    fetched = service.fetch()
    say(fetched.sid == SERVICE and fetched.account_sid == ACCOUNT and fetched.code_length == 6, "the service is fetched")
    say(SERVICE in [it.sid for it in client.verify.v2.services.list()], "the service is listed")
    started = service.verifications.create(to=TO, channel="sms")
    say(re.match("^VE[0-9a-f]{32}$", started.sid) and started.status == "pending" and started.valid is False, "a verification begins")
    say(started.to == TO and started.channel == "sms" and started.service_sid == SERVICE, "it says where its code goes")
    say(isinstance(started.date_created, datetime.datetime), "the library reads the date of its start")
    sends = started.send_code_attempts
    say(len(sends) == 1 and sends[0]["attempt_sid"].startswith("VL"), "it has one attempt")
    code = code_on(TO)
    say(re.match(r"^\d{6}$", code), "its code of six digits is on the phone", code)
    say(service.verifications(started.sid).fetch().status == "pending", "it is fetched by its SID")
    say(service.verifications(TO).fetch().sid == started.sid, "it is fetched by its number")
    wrong = service.verification_checks.create(to=TO, code=other(code))
    say(wrong.status == "pending" and wrong.valid is False and wrong.sid == started.sid, "a wrong code is no error and not valid")
    right = service.verification_checks.create(verification_sid=started.sid, code=code)
    say(right.status == "approved" and right.valid is True, "the right code is approved")
    refused("a code is good for one check", 404, 20404, lambda: service.verification_checks.create(to=TO, code=code))
    refused("what is approved is not there any more", 404, 20404, lambda: service.verifications(started.sid).fetch())

    second = service.verifications.create(to="+14155550182", channel="sms")
    canceled = service.verifications(second.sid).update(status="canceled")
    say(canceled.status == "canceled" and canceled.valid is False, "a verification is canceled")
    refused("after that there is nothing to check", 404, 20404, lambda: service.verification_checks.create(to="+14155550182", code="000000"))
    third = service.verifications.create(to="+14155550183", channel="sms")
    refused("a status that none has", 400, 60200, lambda: service.verifications(third.sid).update(status="expired"))

    tried = service.verifications.create(to="+14155550184", channel="sms")
    found = code_on("+14155550184")
    for _ in range(5):
        service.verification_checks.create(to="+14155550184", code=other(found))
    refused("a sixth check is one too many, though the code is right", 429, 60202, lambda: service.verification_checks.create(verification_sid=tried.sid, code=found))
    refused("and nothing is begun in its place", 429, 60202, lambda: service.verifications.create(to="+14155550184", channel="sms"))

    refused("a number that is none is not verified", 400, 60200, lambda: service.verifications.create(to="12", channel="sms"))
    refused("nor is one that lacks a digit", 400, 60200, lambda: service.verifications.create(to="+1415555018", channel="sms"))
    refused("a channel that does not exist", 400, 60200, lambda: service.verifications.create(to=TO, channel="pigeon"))
    refused("a channel that is not there", 403, 60223, lambda: service.verifications.create(to=TO, channel="email"))
    refused("a code of one's own where none is allowed", 403, 60204, lambda: service.verifications.create(to=TO, channel="sms", custom_code="1234"))
    refused("a name that looks like a number", 400, 60200, lambda: service.verifications.create(to=TO, channel="sms", custom_friendly_name="555 0123"))
    refused("a check without a target", 400, 60221, lambda: service.verification_checks.create(code="123456"))
    refused("a check of nothing", 404, 20404, lambda: service.verification_checks.create(to="+14155550185", code="123456"))
    nowhere = client.verify.v2.services("VA" + "0" * 32)
    refused("a service that is not there", 404, 20404, lambda: nowhere.verifications.create(to=TO, channel="sms"))
    stranger = Client(USER_NAME, "wrong", account_sid=ACCOUNT)
    stranger.verify.base_url = VERIFY
    refused("a wrong secret", 401, 20003, lambda: stranger.verify.v2.services(SERVICE).fetch())


def limits():
    limit = service.rate_limits.create(unique_name="address", description="of the network")
    say(limit.sid.startswith("RK") and limit.unique_name == "address" and limit.description == "of the network", "a limit is made")
    refused("its name is taken", 400, 60208, lambda: service.rate_limits.create(unique_name="address"))
    refused("a name with spaces", 400, 60209, lambda: service.rate_limits.create(unique_name="end user"))
    one = service.rate_limits(limit.sid)
    bucket = one.buckets.create(max=1, interval=3600)
    say(bucket.sid.startswith("BL") and bucket.max == 1 and bucket.interval == 3600, "a bucket is made")
    refused("its interval is taken", 400, 60211, lambda: one.buckets.create(max=2, interval=3600))

    def limited(to):
        return service.verifications.create(to=to, channel="sms", rate_limits=json.dumps({"address": "192.0.2.7"}))

    unknown = json.dumps({"adress": "192.0.2.7"})
    refused("a limit that is not there holds nobody", 400, 60200, lambda: service.verifications.create(to="+14155550186", channel="sms", rate_limits=unknown))
    say(limited("+14155550186").status == "pending", "one start fits into it")
    refused("a second one does not", 429, 20429, lambda: limited("+14155550187"))
    say(one.buckets(bucket.sid).update(max=5).max == 5, "the bucket is changed")
    say(limited("+14155550187").status == "pending", "then it fits")
    say(one.update(description="x").description == "x", "the limit is changed")
    say(len(service.rate_limits.list()) == 1 and len(one.buckets.list()) == 1, "both are listed")
    say(one.buckets(bucket.sid).delete(), "the bucket is removed")
    say(one.delete(), "the limit is removed")
    refused("then it is not there", 404, 20404, one.fetch)


def attempts():
    every = client.verify.v2.verification_attempts
    found = every.list(verify_service_sid=SERVICE, page_size=3)
    say(len(found) == 6 and len({it.sid for it in found}) == 6, "six attempts come over pages of three", len(found))
    converted = every.list(verify_service_sid=SERVICE, status="converted")
    say(len(converted) == 1 and converted[0].channel_data["to"] == TO, "one of them was entered")
    one = every(converted[0].sid).fetch()
    say(one.conversion_status == "converted" and one.verification_sid == converted[0].verification_sid, "it is fetched")
    summary = client.verify.v2.verification_attempts_summary().fetch(verify_service_sid=SERVICE)
    sums = (summary.total_attempts, summary.total_converted, summary.total_unconverted)
    say(sums == (6, 1, 5), "they are summed up", sums)


# ---------------------------------------------------------------- helpers


def code_on(phone):
    """The code in the newest text on a phone, as soon as there is one."""
    for _ in range(200):
        url = f"{SANDBOX}/_sandbox/phones?number={urllib.parse.quote(phone)}"
        request = urllib.request.Request(url, headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            phones = json.load(answer)["phones"]
        thread = phones[0]["thread"] if phones else []
        texts = [it["body"] for it in thread if it["kind"] == "text"]
        codes = [code for text in texts for code in re.findall(r"\b\d{6}\b", text)]
        if codes:
            return codes[-1]
        time.sleep(0.05)
    return "none"


def other(code):
    return "654321" if code == "123456" else "123456"


main()
