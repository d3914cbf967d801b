#!/usr/bin/env python3
"""Behind nginx: POST /login tells right from wrong passwords, POST /upload takes files.

usage: login.py ADDRESS PORT
"""
import http.server
import sys
import urllib.parse

FORM = b"<form method=post action=/login><input name=user><input name=pass type=password></form>"


class Login(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, FORM)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/upload":
            self.answer(200, b"stored")
            return
        form = urllib.parse.parse_qs(body.decode("ascii", "replace"))
        if form.get("user") == ["alice"] and form.get("pass") == ["correct-horse-7"]:
            self.answer(200, b"welcome")
        else:
            self.answer(200, b"wrong user name or password" + FORM)


http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Login).serve_forever()
