"""aiosmtpd, a mail server of another maker, as judge of what Herald hands over.

It is called with a certificate and its key, prints {"port": …}, then each mail
that it took as one JSON object a line, parsed by Python's own reader of mails. It
ends with its standard input.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def emit(event):
    print(json.dumps(event), flush=True)


def sign_in(server, session, envelope, mechanism, data):
    good = data.login == b"shop" and data.password == b"a password"
    return AuthResult(success=good, handled=good)


class Keeper:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return "550 5.1.1 <%s>: Recipient address rejected: User unknown" % address
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        m = email.message_from_bytes(envelope.content, policy=email.policy.default)
        emit({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None,
            "headers": {k: str(v) for k, v in m.items()}, "defects": [str(d) for p in m.walk() for d in p.defects],
            "parts": {p.get_content_type(): p.get_content() for p in m.walk() if not p.is_multipart()},
        })
        return "250 2.0.0 OK"


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Keeper(), hostname="judge.test", loop=loop, tls_context=context, require_starttls=True, authenticator=sign_in,
                     auth_required=True, enable_SMTPUTF8=True, data_size_limit=50_000),
        host="127.0.0.1", port=0)
    emit({"port": server.sockets[0].getsockname()[1]})
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
