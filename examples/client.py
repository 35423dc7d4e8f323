#!/usr/bin/env python3
"""Shows a client of qdemo's queues in Python, with only the standard library.

The client speaks the protocol that docs/PROTOCOL.md describes. As a command:

    client.py                        a producer and a consumer, in two processes
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
import pathlib
import secrets
import select
import shutil
import stat
import subprocess
import sys


class KeeperGone(Exception):
    """The keeper has exited."""


class Refused(Exception):
    """The keeper has refused a request."""


def queues_folder():
    """The folder of all queues."""
    if os.environ.get("QDEMO_DIR"):
        return os.environ["QDEMO_DIR"]
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "qdemo")


def birth():
    """The birth of this process: the start tick is the 20th field after the name in brackets.

    In a time namespace, a client must subtract the offset of the namespace's boot clock.
    """
    with open("/proc/self/stat", encoding="utf-8") as file:
        tick = int(file.read().rsplit(")", 1)[1].split()[19])
    return {"tick": tick, "pid": os.getpid(), "ns": os.stat("/proc/self/ns/pid").st_ino}


class Client:
    """A connection to the keeper of a queue."""

    def __init__(self, name, role):
        self.name = name
        self.dir = os.path.join(queues_folder(), name)
        self.sent = 0
        while True:
            try:
                return self.connect(role)
            except KeeperGone:
                self.close()  # The keeper exited during the connect: try again.

    def connect(self, role):
        """Find the keeper or start one, make the pipes, send `hello`, and wait for `welcome`."""
        self.paths, self.fds, self.unread, starting = [], [], b"", None
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        self.check_dir()
        inbox = self.open_inbox()
        if inbox is None:
            starting = self.start_keeper()
            inbox = self.open_inbox()
            if inbox is None:
                raise KeeperGone
        self.fds.append(inbox)
        key = secrets.token_hex(8)
        self.mailbox = self.make_pipe(f"mailbox.{os.getpid()}.{key}", os.O_RDWR | os.O_NONBLOCK)
        name = f"requests.{os.getpid()}.{key}"
        own_end = self.make_pipe(name, os.O_RDONLY | os.O_NONBLOCK)
        self.requests = os.open(os.path.join(self.dir, name), os.O_WRONLY)
        self.fds.append(self.requests)
        hello = {"version": 2, "role": role, "pid": os.getpid(), "birth": birth()}
        self.keeper = inbox
        self.announce(f"\nhello {key} {json.dumps(hello)}\n".encode())
        if starting:
            starting.close()
        self.expect("welcome")
        # Without this end, the pipe for requests shows the keeper's death.
        self.keeper = self.requests
        for fd in (own_end, inbox):
            self.fds.remove(fd)
            os.close(fd)

    def make_pipe(self, name, flags):
        """Make a named pipe for the user alone, and open it."""
        path = os.path.join(self.dir, name)
        try:
            os.mkfifo(path, 0o600)
            self.paths.append(path)
            self.fds.append(os.open(path, flags))
        except FileNotFoundError:
            raise KeeperGone from None  # The keeper has removed the directory, or the pipe.
        return self.fds[-1]

    def check_dir(self):
        """Refuse a directory that another user owns or can write to."""
        found = os.lstat(self.dir)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"{self.dir} must be a directory of yours alone")

    def open_inbox(self):
        """The inbox, or None if no keeper reads the inbox."""
        try:
            return os.open(os.path.join(self.dir, "inbox"), os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENXIO):
                return None
            raise

    def start_keeper(self):
        """Start a keeper, unless another client has started one. The keeper stays while the result is open."""
        directory = os.open(self.dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            if not self.is_still_there(directory):
                raise KeeperGone  # A keeper has removed the directory and exited.
            other = self.open_inbox()
            if other is not None:
                os.close(other)
                return None
            keeper = subprocess.Popen(
                ["qdemo", "keeper", "--queue", self.name],
                env={**os.environ, "QDEMO_DIR": os.path.abspath(queues_folder())},
                stdin=directory,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
            keeper.returncode = 0  # The keeper outlives this client: do not wait for it.
            line = keeper.stdout.readline()
            if line != b"ready\n":
                raise Refused(line.decode().strip() or "the keeper died")
            return keeper.stdout
        finally:
            os.close(directory)

    def is_still_there(self, directory):
        """Whether the path still names the opened directory."""
        try:
            return os.path.samestat(os.fstat(directory), os.lstat(self.dir))
        except FileNotFoundError:
            return False

    def announce(self, line):
        """One atomic write to the inbox. The newline in front ends a line that another writer left unfinished."""
        assert len(line) <= select.PIPE_BUF
        poll = select.poll()
        poll.register(self.keeper, select.POLLOUT)
        while True:
            poll.poll()
            try:
                os.write(self.keeper, line)
                return
            except BlockingIOError:
                pass  # The inbox is full: wait for room.
            except BrokenPipeError:
                raise KeeperGone from None

    def write(self, request):
        """Write a request of any length."""
        while request:
            try:
                request = request[os.write(self.requests, request) :]
            except BrokenPipeError:
                raise KeeperGone from None

    def line(self):
        """The next line in the mailbox."""
        poll = select.poll()
        poll.register(self.mailbox, select.POLLIN)
        poll.register(self.keeper, 0)  # Reports only the keeper's death.
        while b"\n" not in self.unread:
            dead = any(fd == self.keeper for fd, _ in poll.poll())
            try:
                read = os.read(self.mailbox, 65536)
            except BlockingIOError:
                read = b""
            if not read and dead:
                raise KeeperGone
            self.unread += read
        line, self.unread = self.unread.split(b"\n", 1)
        return line

    def expect(self, *verbs):
        """The next reply, which must start with one of `verbs`."""
        verb, _, rest = self.line().decode().partition(" ")
        if verb not in verbs:
            raise Refused(f"{verb} {rest}")
        return verb, rest.split()

    def put(self, value):
        """Put a value. The value is in the queue when this method returns."""
        item = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        self.sent += 1
        self.write(f"put {self.sent} 1 {len(item)}\n".encode() + item)
        self.expect("ok")

    def __iter__(self):
        """The values in the queue, until the queue ends. The request for the next value makes a value done."""
        done = ""
        while True:
            self.write(f"{done}get 1\n".encode())
            verb, fields = self.expect("batch", "ended")
            if verb == "ended":
                return
            yield json.loads(self.line())
            done = f"done {fields[0]} 1\n"

    def close(self):
        """Close all pipes, which the keeper notices. Remove their names, in case no keeper does."""
        for path in self.paths:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        for fd in self.fds:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.write(b"bye\n")
            self.expect("bye")
        self.close()


def find_qdemo():
    """Puts the folder of qdemo into PATH: a client starts the keeper of its queue."""
    if shutil.which("qdemo"):
        return
    root = pathlib.Path(__file__).resolve().parent.parent
    print("building qdemo, once", file=sys.stderr)
    build = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", root / "Cargo.toml"]
    subprocess.run(build, check=True)
    os.environ["PATH"] = f"{root / 'target/release'}:{os.environ['PATH']}"


def show():
    """A producer and a consumer, in two processes."""
    producer = subprocess.Popen([sys.executable, __file__, "put", "python", "one", "two", "三"])
    with Client("python", "consumer") as queue:
        for value in queue:
            print(f"got {value}")
    sys.exit(producer.wait())


def main():
    find_qdemo()
    match sys.argv[1:]:
        case []:
            show()
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
