"""A real SMTP server for the tests: aiosmtpd with STARTTLS or TLS from the start, and AUTH.

    smtp_server.py starttls|tls|plain CERTIFICATE KEY

Takes mail only from `ringfence` with the password `correct horse`. Prints its port, then each mail as a line of JSON:
the envelope, the headers as Python's own library for mail reads them, the text, and what that library finds wrong.
It ends with its standard input.
"""

import asyncio
import json
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Inbox:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.original_content, policy=policy.default)
        print(json.dumps({
            "mail_from": envelope.mail_from,
            "rcpt_tos": envelope.rcpt_tos,
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "hello": session.host_name,
            "headers": [[name, str(value)] for name, value in mail.items()],
            "text": mail.get_content(),
            "defects": [repr(defect) for defect in mail.defects]
            + [repr(defect) for value in mail.values() for defect in value.defects],
        }), flush=True)
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    right = LoginPassword(b"ringfence", b"correct horse")
    is_right = isinstance(data, LoginPassword) and data == right
    return AuthResult(success=is_right, handled=False, auth_data=data)


async def main():
    how, certificate, key = sys.argv[1:]
    context = None
    if how != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)

    def server():
        if how == "starttls":
            return SMTP(Inbox(), hostname="test", tls_context=context, require_starttls=True,
                        authenticator=authenticate, auth_required=True)
        return SMTP(Inbox(), hostname="test", authenticator=authenticate, auth_required=True,
                    auth_require_tls=False)

    loop = asyncio.get_running_loop()
    listener = await loop.create_server(server, "127.0.0.1", 0, ssl=context if how == "tls" else None)
    print(json.dumps({"port": listener.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
