"""Who is signed in, by the word of Ringfence itself, within the last minute? See docs/sign-in-page.md."""

import hashlib
import hmac
import re
import time


def verify_sign_in(secret, host, user, assertion, now=None):
    """`host` is this application's own, as [[console.protect]] has it; `user` is the value of Ringfence-User and
    `assertion` that of Ringfence-Assertion (None if absent). Gives back the user, or None."""
    match = re.fullmatch(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", assertion or "")
    now = time.time() if now is None else now
    if not user or not match or not abs(now - int(match[1])) <= 60:
        return None
    lines = ["v1", match[1], host, user]
    expected = hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
    return user if hmac.compare_digest(expected, match[2]) else None
