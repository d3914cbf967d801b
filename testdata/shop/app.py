"""The shop of the laboratory, and the payment API that it asks; see make.sh.

usage: app.py shop ADDRESS PORT FAULT PAYMENT-URL LOG
       app.py pay  ADDRESS PORT FAULT LOG

Visitors are numbered, and what goes wrong for whom follows from the number, so
that the log and the script agree: with a fault, three visitors of ten meet it
when they pay. LOG gets a line of JSON for each answer, which is what reports of
the capture are held to.
"""

import json
import socket
import struct
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PATIENCE = 1.5  # seconds that the shop waits for the payment API

PAGE = "<!doctype html><title>{0}</title><link rel=stylesheet href=/static/style.css><h1>{0}</h1>{1}"


def unlucky(visitor):
    return visitor % 10 in (2, 5, 8)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fault = "none"
    log = None
    lock = threading.Lock()

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def answer(self, body):
        begin = time.monotonic()
        status, kind, text, headers = self.page(urlsplit(self.path).path, body)
        if status:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
        line = {"time": time.time(), "visitor": self.visitor(), "method": self.command,
                "path": self.path, "status": status, "seconds": round(time.monotonic() - begin, 6)}
        with self.lock:
            print(json.dumps(line), file=self.log, flush=True)

    def visitor(self):
        for part in self.headers.get("Cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == "session":
                return int(value.partition("-")[0])
        return int(self.headers.get("X-Visitor", 0))


class Shop(Handler):
    payment = ""

    def page(self, path, body):
        html, js = "text/html; charset=utf-8", "application/json"
        no_store = {"Cache-Control": "no-store"}
        if path == "/":
            cookie = "session=%d-%s; Path=/; HttpOnly" % (self.visitor(), "5ca1ab1e")
            return 200, html, PAGE.format("Shop", "<p>Shells and teeth." * 60), {"Set-Cookie": cookie, **no_store}
        if path.startswith("/product/"):
            return 200, html, PAGE.format(path, "<p>A fine thing." * 80), no_store
        if path.startswith("/api/stock/"):
            return 200, js, json.dumps({"item": path, "left": 7}), no_store
        if path == "/api/recommendations":
            self.healthy() or time.sleep(0.55 + 0.05 * (self.visitor() % 7))
            return 200, js, json.dumps({"also": list(range(40))}), no_store
        if path in ("/cart", "/cart/add", "/checkout", "/order/confirmation"):
            return 200, html, PAGE.format(path, "<p>Yours." * 40), no_store
        if path == "/checkout/payment":
            return self.pay()
        return 404, html, PAGE.format("Not here", ""), no_store

    def healthy(self):
        return self.fault == "none"

    def pay(self):
        js = "application/json"
        if self.fault == "error" and unlucky(self.visitor()):
            return 500, js, json.dumps({"error": "no such column: price"}), {}
        request = urllib.request.Request(self.payment + "/v1/charges", method="POST",
                                         data=b"amount=4900&currency=EUR&visitor=%d" % self.visitor())
        request.add_header("X-Visitor", str(self.visitor()))
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                answer.read()
        except OSError as err:
            late = isinstance(getattr(err, "reason", err), TimeoutError)
            return 504 if late else 502, js, json.dumps({"error": "payment: %s" % err}), {}
        return 200, js, json.dumps({"paid": True}), {}


class Pay(Handler):
    def page(self, path, body):
        visitor = int(parse_qs(body.decode())["visitor"][0])
        time.sleep(4 if self.fault == "timeout" and unlucky(visitor) else 0.08)
        if self.fault == "reset" and unlucky(visitor):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return 0, "", "", {}
        return 200, "application/json", json.dumps({"charged": 4900}), {}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # visitors who went away


def main():
    role, address, port, Handler.fault = sys.argv[1:5]
    Handler.log = open(sys.argv[-1], "a", encoding="utf-8")
    if role == "shop":
        Shop.payment = sys.argv[5]
    Server((address, int(port)), Shop if role == "shop" else Pay).serve_forever()


main()
