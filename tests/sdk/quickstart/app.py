"""An application as Twilio's quickstart for Flask has it: it tells its number where to send messages, and answers each
with TwiML. It knows nothing of the sandbox; the environment leads it there."""

import os
import sys
import threading

from flask import Flask, abort, request
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.messaging_response import MessagingResponse

port = int(sys.argv[1])
app = Flask(__name__)
validator = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"])


@app.post("/sms")
def sms():
    if not validator.validate(request.url, request.form, request.headers.get("X-Twilio-Signature", "")):
        abort(403)
    answer = MessagingResponse()
    answer.message(f"You said: {request.form['Body']}")
    return str(answer), 200, {"Content-Type": "text/xml"}


def point_the_number_here():
    client = Client(os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"])
    (number,) = client.incoming_phone_numbers.list(phone_number=os.environ["TWILIO_NUMBER"])
    number.update(sms_url=f"http://127.0.0.1:{port}/sms")
    print("ready", flush=True)


threading.Thread(target=point_the_number_here).start()
app.run("127.0.0.1", port)
