#!/usr/bin/env python3
"""A client of the sample, written from protocol.md alone: it logs in, talks, loses its socket in the middle, and goes on.

    protocol_client.py HOST PORT NAME SECRET
"""
import json
import socket
import struct
import sys

HELLO, WELCOME, ERROR, CLOSE, PING, PONG = range(1, 7)
LOGIN, SAY, HEARD, BROWSE = 101, 1101, 1102, 5101


class Client:
    def __init__(self, host, port):
        self.address = (host, port)
        self.session = self.token = None
        self.seq = self.received = self.sent = self.acked = self.since_ping = 0
        self.kept = []  # frames that were sent and not acknowledged
        self.connect()

    def connect(self):
        """Lines 1 to 4 of the algorithm; reports whether the session went on."""
        self.socket = socket.create_connection(self.address, 20)
        self.inbox = self.socket.makefile("rb")
        hello = {"version": 2, "client": "python/1.0"}
        if self.session:
            hello["resume"] = {"session": self.session, "token": self.token, "received": self.received}
        self.write(HELLO, 1, hello)
        number, _, _, welcome = self.read()
        if number != WELCOME:
            raise SystemExit(f"refused: {welcome}")
        self.session, self.token = welcome["session"], welcome["token"]
        if welcome["resumed"]:
            self.acknowledge(welcome["received"])
            for frame in self.kept:
                self.socket.sendall(frame)
        else:
            self.received = self.sent = self.acked = 0
            self.kept = []
        return welcome["resumed"]

    def write(self, number, seq, body):
        body = json.dumps(body).encode()
        frame = struct.pack(">III", len(body), number, seq) + body
        if number >= 100:
            self.sent += 1
            self.kept.append(frame)
        self.socket.sendall(frame)

    def read(self):
        header = self.inbox.read(12)
        if len(header) < 12:
            raise ConnectionError("the socket died")
        head, number, seq = struct.unpack(">III", header)
        body = self.inbox.read(head & 0xFFFFFF)
        return number, seq, head >> 24 & 1, json.loads(body) if body else None

    def acknowledge(self, upto):
        del self.kept[: upto - self.acked]
        self.acked = upto

    def send(self, number, body):
        """Sends a request and returns its seq. Sixteen frames are little: this client never has to wait."""
        self.seq += 1
        self.write(number, self.seq, body)
        self.since_ping += 1
        if self.since_ping == 64:
            self.since_ping = 0
            self.write(PING, 0, {"received": self.received})
        return self.seq

    def next(self):
        """The next frame of the game's."""
        while True:
            number, seq, failed, body = self.read()
            if number in (PING, PONG):
                self.acknowledge(body["received"])
            if number == PING:
                self.write(PONG, seq, {"received": self.received})
            if number == CLOSE:
                raise SystemExit(f"closed: {body}")
            if number >= 100:
                self.received += 1
                return number, seq, failed, body

    def await_(self, wanted):
        """Reads until wanted(number, seq, body) holds; other frames of the game are not this client's business."""
        while True:
            number, seq, failed, body = self.next()
            if wanted(number, seq, body):
                if failed:
                    raise SystemExit(f"refused: {body}")
                return body

    def call(self, number, body):
        asked = self.send(number, body)
        return self.await_(lambda _, seq, body: seq == asked)

    def hear(self, text):
        return self.await_(lambda number, _, body: number == HEARD and body["text"] == text)["text"]


def main():
    host, port, name, secret = sys.argv[1:]
    client = Client(host, int(port))
    print("logged in as", client.call(LOGIN, {"name": name, "secret": secret})["name"])
    client.send(SAY, {"text": "one"})
    print("heard", client.hear("one"))
    print("the shop sells", len(client.call(BROWSE, {})["wares"]), "things")
    asked = client.send(SAY, {"text": "two"})
    client.socket.shutdown(socket.SHUT_RDWR)  # whether it has arrived, nobody knows
    client.socket.close()
    print("resumed", client.connect())
    answered = heard = 0
    while not (answered and heard):
        number, seq, failed, body = client.next()
        if failed:
            raise SystemExit(f"refused: {body}")
        answered += seq == asked
        heard += number == HEARD and body["text"] == "two"
    client.send(SAY, {"text": "three"})
    print("answered", answered, "and heard", heard, "and then", client.hear("three"))


main()
