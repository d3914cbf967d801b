#!/usr/bin/env python3
"""A learning Ethernet switch with slow wires and a mirror port.

Linux has a bridge, netem and tc mirror for this, but many virtual machines
have kernels without netem; this one file works on all that have TAP devices.

usage: switch.py [--dup] [--vlan ID] [--rate MBIT] MIRROR SEGMENT:PORT:MICROSECONDS...

Every PORT is a TAP device that this program makes; the caller moves it into
the namespace of a host. Ports of one SEGMENT see each other. A frame reaches
the switch after the delay of the wire it came by, and its receiver after that
of the wire it leaves by (each with up to a tenth of jitter, never reordered,
at most MBIT/s). Frames of the segment "inside" are copied to MIRROR at the
moment they reach the switch: once, or with --dup a second time as they leave,
as mirror ports do that watch both directions. --vlan puts an 802.1Q tag on
the copies, as on the mirror of a trunk. Prints "ready", then runs until killed.
"""
import argparse
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
QUEUE_SECONDS = 0.25  # a wire further behind than this drops
MAX_FRAME = 65535


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


class Port:
    """One wire: its TAP device, its delay, and the MAC addresses behind it."""

    def __init__(self, segment, name, delay, rate):
        self.fd = tap(name)
        self.segment = segment
        self.delay = delay
        self.rate = rate
        self.free = {"in": 0.0, "out": 0.0}  # when each direction is idle again

    def passage(self, direction, now, length):
        """When a frame that enters the wire now leaves it; None if dropped."""
        start = max(now, self.free[direction])
        if start - now > QUEUE_SECONDS:
            return None
        self.free[direction] = start + length * 8 / self.rate
        jitter = random.uniform(0, 0.1) * self.delay
        return self.free[direction] + self.delay + jitter


class Switch:
    def __init__(self, args):
        self.mirror = tap(args.mirror)
        self.dup = args.dup
        self.tag = struct.pack("!HH", 0x8100, args.vlan) if args.vlan else b""
        self.ports = {}
        for spec in args.port:
            segment, name, micros = spec.split(":")
            port = Port(segment, name, float(micros) / 1e6, args.rate * 1e6)
            self.ports[port.fd] = port
        self.macs = {}   # (segment, address) -> port
        self.events = []  # (time, number, function, arguments)
        self.last = {}   # (fd or direction) -> time of the latest event, to keep order
        self.number = 0

    def at(self, when, lane, function, *arguments):
        when = max(when, self.last.get(lane, 0.0))
        self.last[lane] = when
        self.number += 1
        heapq.heappush(self.events, (when, self.number, function, arguments))

    def copy(self, frame):
        if self.tag:
            frame = frame[:12] + self.tag + frame[12:]
        send(self.mirror, frame)

    def forward(self, now, port, frame):
        """A frame has reached the switch."""
        watched = port.segment == "inside"
        if watched:
            self.copy(frame)
        self.macs[port.segment, frame[6:12]] = port
        target = self.macs.get((port.segment, frame[:6]))
        targets = [target] if target else [
            p for p in self.ports.values() if p.segment == port.segment and p is not port]
        for out in targets:
            if out is port:
                continue
            when = out.passage("out", now, len(frame))
            if when is not None:
                self.at(when, ("out", out.fd), lambda _, fd, f: send(fd, f), out.fd, frame)
        if watched and self.dup:
            self.at(now + 20e-6, "mirror", lambda _, f: self.copy(f), frame)

    def receive(self, port):
        for _ in range(64):
            try:
                frame = os.read(port.fd, MAX_FRAME)
            except OSError:
                return
            now = time.monotonic()
            when = port.passage("in", now, len(frame))
            if when is not None:
                self.at(when, ("in", port.fd), self.forward, port, frame)

    def run(self):
        poll = select.epoll()
        for fd in self.ports:
            poll.register(fd, select.EPOLLIN)
        while True:
            now = time.monotonic()
            while self.events and self.events[0][0] <= now:
                when, _, function, arguments = heapq.heappop(self.events)
                function(when, *arguments)
            wait = -1 if not self.events else max(0.0, self.events[0][0] - time.monotonic())
            if 0 <= wait < 0.001:  # epoll counts in milliseconds
                select.select(list(self.ports), [], [], wait)
                wait = 0
            elif wait > 0:
                wait = int(wait * 1000) / 1000
            for fd, _ in poll.poll(wait):
                self.receive(self.ports[fd])


def send(fd, frame):
    try:
        os.write(fd, frame)
    except OSError:
        pass  # the device is down or its host is gone: the frame is lost, as on a wire


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dup", action="store_true")
    parser.add_argument("--vlan", type=int, default=0)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("mirror")
    parser.add_argument("port", nargs="+")
    switch = Switch(parser.parse_args())
    print("ready", flush=True)
    sys.stdout.close()
    switch.run()


if __name__ == "__main__":
    main()
