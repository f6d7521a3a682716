"""Twilio's own Python library through the egress. tests/sdk/egress starts it with the sandbox behind it and reads what is
printed here: one line for each claim. egress_test.mjs makes the same claims in Node, in the same order.

    WAY=base-url      every product's base URL is the egress
    WAY=environment   nothing is set: the environment names the egress as a proxy, and its authority
"""

import json
import os
import re
import subprocess
import traceback

import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from claims import refused, say

EGRESS, SANDBOX, WAY = os.environ["EGRESS"], os.environ["SANDBOX"], os.environ["WAY"]
ACCOUNT, TOKEN, SECRET = os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"], os.environ["SECRET"]
PRODUCTS = ["api", "accounts", "lookups", "messaging", "verify"]
MAGIC = "+15005550006"
TO = "+14155550122"


def main():
    for topic in (messages, lists, pictures, calls, secrets, limit, revoked):
        try:
            topic(connect(SECRET))
        except Exception:
            say(False, f"{topic.__name__} is told to its end", traceback.format_exc()[-600:])


def connect(secret, user=ACCOUNT):
    client = Client(user, secret, account_sid=ACCOUNT)
    if WAY == "base-url":
        for product in PRODUCTS:
            getattr(client, product).base_url = f"{EGRESS}/{product}.twilio.com"
    return client


def messages(client):
    sent = client.messages.create(from_=MAGIC, to=TO, body="Through the egress")
    say(re.match("^SM[0-9a-f]{32}$", sent.sid) and sent.account_sid == ACCOUNT, "a message is sent")
    say(client.messages(sent.sid).fetch().body == "Through the egress", "it is fetched by its SID")
    say(at_twilio(sent.sid)["body"] == "Through the egress", "Twilio has it under the real account")
    by_key = connect(SECRET, os.environ["KEY"]).messages(sent.sid).fetch()
    say(by_key.sid == sent.sid, "the credential's own SID is a user name too")
    umlauts = client.messages.create(from_=MAGIC, to=TO, body="Grüße & 100 % + 漢字 😀")
    say(at_twilio(umlauts.sid)["body"] == "Grüße & 100 % + 漢字 😀", "every character arrives")
    refused("a message without a body is refused by Twilio", 400, 21602, lambda: client.messages.create(from_=MAGIC, to=TO, body=""))
    refused("a number of no country is refused before", 403, 84022, lambda: client.messages.create(from_=MAGIC, to="+15005550001", body="x"))
    refused("a body of 1,601 characters is refused by Twilio", 400, 21617, lambda: client.messages.create(from_=MAGIC, to=TO, body="x" * 1601))
    refused("a message that is not there", 404, 20404, lambda: client.messages("SM" + "0" * 32).fetch())
    refused("a wrong secret", 401, 20003, lambda: connect("wrong").messages.create(from_=MAGIC, to=TO, body="x"))
    refused("Twilio's own token is worth nothing here", 401, 20003, lambda: connect(TOKEN).messages(sent.sid).fetch())
    other = client.api.v2010.accounts("AC" + "1" * 32)
    refused("another account is out of scope", 403, 84010, lambda: other.messages.create(from_=MAGIC, to=TO, body="x"))


def lists(client):
    for i in range(7):
        client.messages.create(from_=MAGIC, to="+14155550133", body=f"page {i}")
    listed = client.messages.list(to="+14155550133", page_size=2)
    say(sorted(it.body for it in listed) == [f"page {i}" for i in range(7)], "seven messages come over pages of two, each once")
    for i in range(5):
        client.messaging.v1.services.create(friendly_name=f"service {i}")
    named = [it.friendly_name for it in client.messaging.v1.services.list(page_size=2)]
    say(sorted(named) == [f"service {i}" for i in range(5)], "services come over pages whose links are absolute")
    found = client.lookups.v2.phone_numbers("+14155550100").fetch()
    say(found.valid is True and found.country_code == "US", "a number is looked up on another host")


def pictures(client):
    urls = [f"https://example.com/{i}.png" for i in range(10)]
    sent = client.messages.create(from_=MAGIC, to=TO, body="x" * 1600, media_url=urls)
    say(sent.sid.startswith("MM") and at_twilio(sent.sid)["num_media"] == "10", "a message of ten pictures and 1,600 characters is sent")
    media = client.messages(sent.sid).media.list()
    say(len(media) == 10, "its media are listed")
    path = media[0].uri.removesuffix(".json")
    through = f"{EGRESS}/api.twilio.com{path}" if WAY == "base-url" else f"https://api.twilio.com{path}"
    content = requests.get(through, auth=(ACCOUNT, SECRET), timeout=30)
    direct = requests.get(f"{SANDBOX}/api.twilio.com{path}", auth=(ACCOUNT, TOKEN), timeout=30)
    say(content.status_code == 200 and len(content.content) > 0 and content.content == direct.content, "a picture is read, byte for byte", content.status_code)
    say(content.headers["Content-Type"] == direct.headers["Content-Type"], "and is what it was")


def calls(client):
    called = client.calls.create(from_=MAGIC, to=TO, twiml="<Response><Say>Hello</Say></Response>")
    say(re.match("^CA[0-9a-f]{32}$", called.sid) and called.status == "queued", "a call is made")
    say(client.calls(called.sid).update(status="completed").sid == called.sid, "it is ended")
    refused("instructions from elsewhere are refused", 403, 84020, lambda: client.calls.create(from_=MAGIC, to=TO, url="https://evil.example/dial"))


def secrets(client):
    account = client.api.v2010.accounts(ACCOUNT).fetch()
    say(account.status == "active" and not account.auth_token, "the account is read, and its token is not in it")
    refused("an account is not made", 403, 84016, lambda: client.api.v2010.accounts.create())
    refused("a key is not made", 403, 84016, lambda: client.new_keys.create())
    refused("a token for the edge is not made", 403, 84016, lambda: client.tokens.create())
    refused("a second auth token is not made", 403, 84016, lambda: client.accounts.v1.secondary_auth_token().create())


def limit(client):
    for _ in range(400):
        try:
            client.messages.create(from_=MAGIC, to=TO, body="One more")
        except TwilioRestException as error:
            say((error.status, error.code) in ((429, 84032), (403, 84030), (403, 84031)), "at the limit the library raises an error", error)
            say(os.environ["LIMIT"] in error.msg, "which names the limit", error.msg)
            break
    else:
        say(False, "at the limit the library raises an error")
    say(client.messages.list(limit=1)[0].sid.startswith("SM"), "what costs nothing still passes")


def revoked(client):
    newest = client.messages.list(limit=1)[0]
    subprocess.run(json.loads(os.environ["REVOKE"]), cwd=os.environ["FOLDER"], check=True, capture_output=True)
    refused("a revoked credential is refused at its next request", 401, 20003, newest.fetch)


# ------------------------------------------------------------------ helpers


def at_twilio(sid):
    """What Twilio itself has of a message, asked without the egress."""
    url = f"{SANDBOX}/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json"
    answer = requests.get(url, auth=(ACCOUNT, TOKEN), timeout=30)
    return answer.json()


main()
