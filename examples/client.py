#!/usr/bin/env python3
"""A client of qdemo's queues in Python, with nothing but the standard library.

It speaks the protocol that docs/PROTOCOL.md describes. As a command:

    client.py put QUEUE ITEM...      put items
    client.py get QUEUE              get items until the queue ends

As a module:

    with Client("jobs", "producer") as queue:
        queue.put({"page": 1})
"""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import select
import stat
import subprocess
import sys


class Gone(Exception):
    """The keeper has gone."""


class Refused(Exception):
    """The keeper said no."""


def base():
    """The folder in which the queues lie."""
    if os.environ.get("QDEMO_DIR"):
        return os.environ["QDEMO_DIR"]
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "qdemo")


def born():
    """When this process started: the field behind the name, which is in brackets, and 19 more.

    (In a time namespace the offset of its boot clock would have to be taken off.)
    """
    with open("/proc/self/stat", encoding="utf-8") as file:
        tick = int(file.read().rsplit(")", 1)[1].split()[19])
    return {"tick": tick, "pid": os.getpid(), "ns": os.stat("/proc/self/ns/pid").st_ino}


class Client:
    """A connection to the keeper of a queue."""

    def __init__(self, name, role):
        self.name = name
        self.dir = os.path.join(base(), name)
        self.sent = 0
        self.unread = b""
        while True:
            try:
                return self.enter(role)
            except Gone:
                self.close()  # It went just as we came. Try again.

    def enter(self, role):
        """Find the keeper or start one, say hello, be welcomed."""
        self.inbox = self.mailbox = self.end = self.path = starting = None
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        self.check_dir()
        self.inbox = self.open_inbox()
        if self.inbox is None:
            starting = self.start_keeper()
            self.inbox = self.open_inbox()
            if self.inbox is None:
                raise Gone
        self.key = secrets.token_hex(8)
        path = os.path.join(self.dir, f"mailbox.{os.getpid()}.{self.key}")
        try:
            os.mkfifo(path, 0o600)
            self.path = path
            self.mailbox = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            self.end = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            raise Gone from None  # The directory, or the mailbox, has gone together with the keeper.
        hello = {"version": 1, "role": role, "pid": os.getpid(), "born": born()}
        self.write(f"hello {self.key} {json.dumps(hello)}\n".encode())
        if starting:
            starting.close()
        self.expect("welcome")

    def check_dir(self):
        """Nobody else may be able to reach into the directory."""
        found = os.lstat(self.dir)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"{self.dir} must be a directory of yours alone")

    def open_inbox(self):
        """The inbox, or None when nobody reads it."""
        try:
            return os.open(os.path.join(self.dir, "inbox"), os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENXIO):
                return None
            raise

    def start_keeper(self):
        """Start a keeper, unless somebody else is quicker. It waits while the result is open."""
        directory = os.open(self.dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            if not self.is_still_there(directory):
                raise Gone  # A keeper that left has removed it.
            other = self.open_inbox()
            if other is not None:
                os.close(other)
                return None
            keeper = subprocess.Popen(
                ["qdemo", "keeper", "--queue", self.name],
                env={**os.environ, "QDEMO_DIR": os.path.abspath(base())},
                stdin=directory,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
            keeper.returncode = 0  # It is not ours to wait for.
            said = keeper.stdout.readline()
            if said != b"ready\n":
                raise Refused(said.decode().strip() or "the keeper died")
            return keeper.stdout
        finally:
            os.close(directory)

    def is_still_there(self, directory):
        """Whether the queue's directory is still the one that was opened."""
        try:
            return os.path.samestat(os.fstat(directory), os.lstat(self.dir))
        except FileNotFoundError:
            return False

    def write(self, message):
        """One write, at a line start whatever another writer left behind."""
        message = b"\n\n" + message
        assert len(message) <= select.PIPE_BUF
        while True:
            try:
                os.write(self.inbox, message)
                return
            except BlockingIOError:
                self.wait_for_room()
            except BrokenPipeError:
                raise Gone from None

    def wait_for_room(self):
        poll = select.poll()
        poll.register(self.inbox, select.POLLOUT)
        poll.poll()

    def line(self):
        """The next line in the mailbox."""
        poll = select.poll()
        poll.register(self.mailbox, select.POLLIN)
        poll.register(self.inbox, 0)  # Nothing but the keeper's death.
        while b"\n" not in self.unread:
            dead = any(fd == self.inbox for fd, _ in poll.poll())
            try:
                read = os.read(self.mailbox, 65536)
            except BlockingIOError:
                read = b""
            if not read and dead:
                raise Gone
            self.unread += read
        line, self.unread = self.unread.split(b"\n", 1)
        return line

    def expect(self, *verbs):
        """The next reply, which must be one of these."""
        verb, _, rest = self.line().decode().partition(" ")
        if verb not in verbs:
            raise Refused(f"{verb} {rest}")
        return verb, rest.split()

    def put(self, value):
        """Put a value; it is in the queue when this returns."""
        item = json.dumps(value, ensure_ascii=False).encode()
        self.sent += 1
        room = select.PIPE_BUF - 100
        while len(item) > room:
            self.write(f"part {self.key}\n".encode() + item[:room] + b"\n")
            item = item[room:]
        self.write(f"put {self.key} {self.sent} 1\n".encode() + item + b"\n")
        self.expect("ok")

    def __iter__(self):
        """The values in the queue, until it ends. Each is done when the next one is asked for."""
        done = ""
        while True:
            self.write(f"{done}get {self.key} 1\n".encode())
            verb, fields = self.expect("run", "ended")
            if verb == "ended":
                return
            yield json.loads(self.line())
            done = f"done {self.key} {fields[0]} 1\n"

    def close(self):
        """Leave without a word: the keeper sees it. It removes the mailbox, unless it is gone itself."""
        if self.path is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        for fd in (self.inbox, self.mailbox, self.end):
            if fd is not None:
                os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.write(f"bye {self.key}\n".encode())
            self.expect("bye")
        self.close()


def main():
    match sys.argv[1:]:
        case ["put", name, *items]:
            with Client(name, "producer") as queue:
                for item in items:
                    queue.put(item)
        case ["get", name]:
            with Client(name, "consumer") as queue:
                for value in queue:
                    print(value if isinstance(value, str) else json.dumps(value), flush=True)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
