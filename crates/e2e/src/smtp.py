"""A mail server for tests: asks for STARTTLS and a login, and writes every mail to a file of its own."""

import asyncio
import pathlib
import ssl
import sys

from aiosmtpd.handlers import Message
from aiosmtpd.smtp import SMTP, AuthResult

folder, port, certificate, key, user, password = sys.argv[1:]


class Keep(Message):
    count = 0

    def handle_message(self, message):
        Keep.count += 1
        path = pathlib.Path(folder) / f"{Keep.count}.eml"
        # Whoever sees the file sees all of it.
        half = path.with_suffix(".half")
        body = message.get_payload(decode=True).decode().replace("\r\n", "\n")
        heads = "".join(f"{name}: {value}\n" for name, value in message.items())
        half.write_text(f"{heads}\n{body}")
        half.rename(path)


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login.decode(), data.password.decode()) == (user, password)
    return AuthResult(success=good)


async def serve():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()

    def session():
        return SMTP(
            Keep(), hostname="localhost", tls_context=tls, require_starttls=True,
            auth_required=True, authenticator=authenticate, loop=loop,
        )

    server = await loop.create_server(session, "127.0.0.1", int(port))
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(serve())
