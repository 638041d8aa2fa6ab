"""Alerts by mail: a real SMTP server with TLS gets them once, and one without TLS gets nothing."""

import asyncio
import email
import email.policy
import pathlib
import ssl
import sys
import threading
import time

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from support.common import command, home

TLS = pathlib.Path(__file__).resolve().parents[1] / "data" / "tls"
PASSWORD = "a password that is shown nowhere"


class Inbox:
    """Keeps what it is sent."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append((envelope, session.authenticated))
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=good)


def context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "here.pem", TLS / "server.key.pem")
    return context


def serve(inbox, ssl_context=None, **more):
    """The port of a server."""
    loop = asyncio.new_event_loop()

    def protocol():
        return SMTP(inbox, hostname="localhost", loop=loop, authenticator=authenticate, **more)

    server = loop.run_until_complete(loop.create_server(protocol, "127.0.0.1", 0, ssl=ssl_context))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return server.sockets[0].getsockname()[1]


def main(binary):
    config = "[budget]\ndaily_limit = 1\n[[prices]]\nmodel = \"openai/test-large\"\ninput = 1000\noutput = 1000\n"
    for tls, more in [
        ("implicit", {"ssl_context": context(), "auth_require_tls": False}),
        ("starttls", {"tls_context": context(), "require_starttls": True}),
        ("starttls", {"auth_require_tls": False}),
        ("implicit", {"auth_require_tls": False}),
    ]:
        inbox = Inbox()
        port = serve(inbox, **more)
        is_safe = "ssl_context" in more or "tls_context" in more
        with home(config) as (path, environment):
            environment["NODE_EXTRA_CA_CERTS"] = str(TLS / "authority.pem")
            options = ["--host", "localhost", "--port", str(port), "--tls", tls, "--user", "me"]
            options += ["--from", "Keys <keys@example.org>", "--to", "me@example.org", "--stdin"]
            command(binary, environment, "alerts", "add", "email", "mail", *options, stdin=PASSWORD + "\n")
            # The command's end starts the process that sends.
            command(binary, environment, "track", "openai", "test-large", "2000", "0")
            for _ in range(100):
                history = command(binary, environment, "alerts", "history", "--json")
                if inbox.mails or (not is_safe and "TLS" in history):
                    break
            if is_safe:
                assert len(inbox.mails) == 1, (tls, history)
                envelope, is_authenticated = inbox.mails[0]
                mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
                assert is_authenticated and envelope.rcpt_tos == ["me@example.org"], envelope.rcpt_tos
                assert mail["Subject"].startswith("[critical] daily budget exceeded"), mail["Subject"]
                assert mail["Auto-Submitted"] == "auto-generated" and mail["Message-ID"] and mail["Date"]
                assert "api-keys budget" in mail.get_content()
            else:
                assert not inbox.mails, tls
            # Ends the process that sends, which looks every second whether anything waits.
            command(binary, environment, "alerts", "remove", "mail")
            time.sleep(2)
            assert PASSWORD not in history
            for file in path.rglob("*"):
                assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file
        print(f"mail over {tls}, {'with' if is_safe else 'without'} TLS at the server: as it should be")


if __name__ == "__main__":
    main(sys.argv[1])
