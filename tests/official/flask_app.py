"""A Flask application with Twilio's own RequestValidator: the second opinion behind the gate.

It believes the gate's X-Forwarded-Proto and X-Forwarded-Host, as an application behind a proxy does.
"""

import os
import sys

from flask import Flask, Response, abort, request
from twilio.request_validator import RequestValidator

app = Flask(__name__)
validator = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"])
reached = 0


@app.get("/.reached")
def count():
    return str(reached)


@app.route("/<path:_path>", methods=["GET", "POST", "PUT"])
def webhook(_path):
    global reached
    reached += 1
    # The target as the gate sent it; Flask's own request.url is rebuilt.
    url = f"{request.headers['X-Forwarded-Proto']}://{request.headers['X-Forwarded-Host']}{request.environ['RAW_URI']}"
    params = request.get_data(as_text=True) if "bodySHA256" in request.args else request.form
    good = validator.validate(url, params, request.headers.get("X-Twilio-Signature", ""))
    if not good:
        abort(Response("refused by Twilio's validator\n", 418, {"X-Reached": "flask"}))
    return Response("<Response/>", 200, {"X-Reached": "flask", "Content-Type": "text/xml"})


app.run("127.0.0.1", int(sys.argv[1]), threaded=False)
