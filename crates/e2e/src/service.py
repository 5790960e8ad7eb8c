"""An HTTP service for tests: bodies of any size both ways, redirects, cookies, WebSockets, and answers that break off."""

import base64
import hashlib
import http.server
import json
import ssl
import sys
import threading

PIECE = bytes(256 * 1024)

PAGE = b"""<!doctype html><title>A service</title><link rel=icon href="data:,"><p id=said>waiting</p><p id=told>waiting</p>
<p id=kept>waiting</p>
<script src="script.js"></script>"""

SCRIPT = b"""
const address = new URL("ws", location.href);
address.protocol = "wss:";
const socket = new WebSocket(address);
socket.onopen = () => socket.send("is anybody there?");
socket.onmessage = (event) => (document.getElementById("said").textContent = event.data);
socket.onerror = () => (document.getElementById("said").textContent = "the WebSocket failed");
fetch("headers", { method: "POST", headers: { "X-Asked": "1" }, body: "x" })
  .then((answer) => answer.json())
  .then((heard) => (document.getElementById("told").textContent = `${heard["x-api-key"]} ${heard["x-asked"]}`))
  .catch((error) => (document.getElementById("told").textContent = String(error)));
let kept;
try {
  kept = document.cookie + localStorage.length;
} catch (error) {
  kept = error.name;
}
fetch("/api/v1/me", { credentials: "include" })
  .then((answer) => answer.text())
  .catch((error) => error.name)
  .then((console) => (document.getElementById("kept").textContent = `${kept} ${console}`));
"""


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="text/plain", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def pieces(self):
        """The request's body, whatever its length."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left and (piece := self.rfile.read(min(left, len(PIECE)))):
            left -= len(piece)
            yield piece

    def count(self):
        sha, length = hashlib.sha256(), 0
        for piece in self.pieces():
            sha.update(piece)
            length += len(piece)
        said = {"length": length, "sha256": sha.hexdigest(), "chunked": "Transfer-Encoding" in self.headers}
        self.answer(200, json.dumps(said).encode(), "application/json")

    def zeros(self, length, chunked):
        self.send_response(200)
        self.send_header("Transfer-Encoding" if chunked else "Content-Length", "chunked" if chunked else str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        while length:
            piece = PIECE[:length]
            length -= len(piece)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def websocket(self):
        accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode())
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept.digest()).decode())
        self.end_headers()
        self.close_connection = True
        while head := self.rfile.read(2):
            length = head[1] & 127
            if length > 125:
                length = int.from_bytes(self.rfile.read(2 if length == 126 else 8), "big")
            mask = self.rfile.read(4)
            body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(length)))
            size = bytes([length]) if length < 126 else bytes([126]) + length.to_bytes(2, "big")
            self.wfile.write(head[:1] + size + body)
            if head[0] & 15 == 8:
                return

    def serve(self):
        path, _, query = self.path.partition("?")
        word, _, rest = path.removeprefix("/base").lstrip("/").partition("/")
        if word == "headers":
            for _ in self.pieces():
                pass
            heard = {name.lower(): value for name, value in self.headers.items()}
            self.answer(200, json.dumps(heard | {"path": self.path}).encode(), "application/json")
        elif word == "count":
            self.count()
        elif word in ("zeros", "chunks"):
            self.zeros(int(rest), word == "chunks")
        elif word == "ws":
            self.websocket()
        elif word == "page":
            self.answer(200, PAGE, "text/html")
        elif word == "script.js":
            self.answer(200, SCRIPT, "text/javascript")
        elif word == "redirect":
            self.answer(302, Location=query, Set_Cookie="id=1; Path=/; Domain=service.site")
        elif word == "steal":
            self.answer(200, Set_Cookie="sallyport_login=stolen; Path=/", Clear_Site_Data='"*"')
        elif word == "half":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(PIECE[:500_000])
            threading.Event().wait()
        elif word == "hang":
            threading.Event().wait()
        elif word == "refuse":
            # Before the body was read.
            self.close_connection = True
            self.answer(413, b"too much")
        elif word == "locked":
            self.answer(401, b"no", WWW_Authenticate='Basic realm="service"')
        elif word == "":
            self.answer(200, b"the base")
        else:
            self.answer(404, b"nothing here")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        # Connections that break are what the tests are about.
        pass


port, *pair = sys.argv[1:]
server = Server(("127.0.0.1", int(port)), Service)
if pair:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print("ready", flush=True)
server.serve_forever()
