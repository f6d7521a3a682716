"""Signs with twilio-python: one JSON object a line in ({url, params | body}), one signature a line out."""

import json
import sys

from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

for line in sys.stdin:
    wish = json.loads(line)
    validator = RequestValidator(wish["token"])
    url = wish["url"]
    if "body" in wish:
        url += "?bodySHA256=" + validator.compute_hash(wish["body"])
    params = MultiDict(
        (name, value)
        for name, values in wish.get("params", {}).items()
        for value in (values if isinstance(values, list) else [values])
    )
    print(json.dumps({"url": url, "signature": validator.compute_signature(url, params)}))
