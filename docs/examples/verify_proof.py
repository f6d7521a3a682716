"""Did this request come through the gate, within the last minute? See docs/upstream-proof.md."""

import hashlib
import hmac
import re
import time


def verify_proof(secret, method, target, body, account, proof, now=None):
    """`body` is the raw bytes, `target` the raw path and query, `account` the value of X-Ringfence-Account
    (None if absent), `proof` that of X-Ringfence-Proof."""
    match = re.fullmatch(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", proof or "")
    now = time.time() if now is None else now
    if not match or not abs(now - int(match[1])) <= 60:
        return False
    lines = ["v1", match[1], method, target, hashlib.sha256(body).hexdigest(), account or "-"]
    expected = hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, match[2])
