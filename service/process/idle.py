"""
Scale to zero on one machine: this process only holds the listening socket. It starts the server with the first
connection, which waits in the kernel's queue, and waits again when the server has ended for lack of requests.

It runs alone as `python -I -S idle.py URL COMMAND...` and imports next to nothing, because it stays in memory. The
socket is file descriptor 3, handed to the server as systemd does it, and never closed by anybody before the end: what
is queued when this process stops is answered 503.
"""

import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

LISTENER, READY = 3, 4  # file descriptors of the server: the socket, and a pipe on which it reports that it is ready
NAMES = "snooze-idle:snooze-ready"  # LISTEN_FDNAMES: how a server recognizes this parent
MIN_PAUSE, MAX_PAUSE = 1.0, 30.0  # seconds before a server that failed to start is started again
KILL_AFTER = 2.0  # seconds after its grace
REQUEST_WAIT = 1.0  # seconds in which a connection may send its request, to be refused
SO_ATTACH_FILTER = 26  # socket(7); Python has no name for it
FAILED = "the server does not start; its log says why"
STOPPING = "the server is stopping"
SIGNALS = (signal.SIGINT, signal.SIGTERM)  # they end the process
HANDLED = (*SIGNALS, signal.SIGHUP)


class SocketHolder:
    """Starts the server when a connection arrives."""

    def __init__(self, url: str, command: list[str]) -> None:
        self._url = url
        self._command = command
        self._child = 0
        self._was_ready = False
        self._signalled = -1
        self._on_terminal = os.isatty(2)
        self._refusal: Refusal | None = None

    def run(self) -> None:
        """Wait and serve until a signal ends the process."""
        for number in SIGNALS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        signal.signal(signal.SIGHUP, self._hang_up)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # only to wake up
        self._signalled, write = os.pipe()
        for end in (self._signalled, write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)  # the command blocked them before it became this program
        pause = MIN_PAUSE
        while True:
            write_log(f"asleep, waiting on {self._url}")
            while not self._wait(LISTENER):
                pass
            code = self._run_server()
            if code == 0 or self._was_ready:
                if code:
                    write_log(f"the server ended with exit code {code}; the next connection starts it again")
                pause = MIN_PAUSE
                continue
            write_log(f"the server ended with exit code {code}; trying again in {pause:.0f} s at the earliest")
            self._refusal = Refusal(open_listener(), FAILED, pause)
            self._refusal.answer(pause)
            self._refusal = None
            pause = min(2 * pause, MAX_PAUSE)

    def _run_server(self) -> int:
        """Run the server until it ends; return its exit code, negative for a signal."""
        # A signal between the fork and the assignment would not be passed on to the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_DFL)
                signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server has its handler
                signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
                os.dup2(write, READY)
                os.set_inheritable(READY, True)  # dup2 does not do so where both are the same
                environ = {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": NAMES}
                os.execve(self._command[0], self._command, environ)  # noqa: S606
            finally:
                os._exit(127)
        self._child = child
        os.close(write)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        while (status := os.waitpid(child, os.WNOHANG))[0] == 0:
            self._wait()
        self._child = 0
        self._was_ready = os.read(read, 1) != b""
        os.close(read)
        return os.waitstatus_to_exitcode(status[1])

    def _wait(self, *descriptors: int) -> bool:
        """
        Wait until a descriptor can be read or a signal has come; return whether it was a descriptor.

        A signal that came just before counts: its handler has not run yet, and a call that blocks would not notice it.
        """
        poll = select.poll()
        for descriptor in (self._signalled, *descriptors):
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        if self._signalled in ready:
            os.read(self._signalled, 4096)
        return bool(ready - {self._signalled})

    def _hang_up(self, number: int, frame: object) -> None:
        """Let the server reload, if there is one (the next one reads all anew), or stop if the terminal was closed."""
        if self._on_terminal and not os.isatty(2):
            self._stop(number, frame)
        elif self._child:
            self._send(number)

    def _stop(self, number: int, frame: object) -> None:
        """Stop the server, answer 503 to all that it does not take any more, and exit."""
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        refusal = self._refusal or Refusal(open_listener(), STOPPING)
        if self._child:
            self._send(signal.SIGTERM)
            self._send(signal.SIGCONT)  # a halted process would not notice
            signal.setitimer(signal.ITIMER_REAL, float(os.environ.get("SNOOZE_GRACE", "30")) + KILL_AFTER)
        while self._is_running():
            refusal.answer(0.02)
        refusal.finish()
        write_log("stopped")
        os._exit(0)

    def _is_running(self) -> bool:
        try:
            return bool(self._child) and os.waitpid(self._child, os.WNOHANG)[0] == 0
        except ChildProcessError:  # it was waited for just before the signal came
            return False

    def _kill(self, number: int, frame: object) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        try:
            os.kill(self._child, number)
        except ProcessLookupError:
            pass  # it has ended


class Refusal:
    """Answers 503 to the connections that are queued on a listening socket, when their requests have begun."""

    def __init__(self, listener: "socket.socket", problem: str, retry_after: float = 1.0) -> None:
        body = f'{{"error":"{problem}"}}'
        head = f"HTTP/1.1 503 Service Unavailable\r\nretry-after: {retry_after:.0f}\r\nconnection: close\r\n"
        length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._answer = (head + length + body).encode()
        self._listener = listener
        self._open: dict[int, tuple[socket.socket, float]] = {}  # by file descriptor, with the end of its time
        self._answered: set[int] = set()
        self._poll = select.poll()
        listener.setblocking(False)

    def answer(self, seconds: float) -> None:
        """Accept connections for so long and answer them, which takes `REQUEST_WAIT` longer at most."""
        end = time.monotonic() + seconds
        self._poll.register(self._listener, select.POLLIN)
        while self._open or time.monotonic() < end:
            for number, _ in self._poll.poll(20):
                if number == self._listener.fileno():
                    self._accept()
                else:
                    self._read(number)
            now = time.monotonic()
            if now >= end:
                self._poll.modify(self._listener, 0)
            for number, (_, until) in list(self._open.items()):
                if now > until:
                    self._close(number)

    def finish(self) -> None:
        """Let nobody connect any more, answer those who have, and close the socket."""
        reject_connections(self._listener)
        self._accept()
        self.answer(0.0)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:  # the queue is empty, or the client is gone
                return
            connection.setblocking(False)
            self._open[connection.fileno()] = connection, time.monotonic() + REQUEST_WAIT
            self._poll.register(connection, select.POLLIN)

    def _read(self, number: int) -> None:
        """Answer, and read until the client closes: a close with unread bytes would reset the connection."""
        try:
            if self._open[number][0].recv(65536):
                self._send(number)
                return
        except OSError:
            pass
        self._close(number)

    def _send(self, number: int) -> None:
        if number not in self._answered:
            self._answered.add(number)
            self._open[number][0].sendall(self._answer)
            self._open[number][0].shutdown(1)

    def _close(self, number: int) -> None:
        try:
            self._send(number)  # one that has sent nothing yet
        except OSError:
            pass
        self._answered.discard(number)
        self._poll.unregister(number)
        self._open.pop(number)[0].close()


def reject_connections(listener: "socket.socket") -> None:
    """
    Let nobody connect any more, while those who have can still be accepted.

    Closing the socket is not enough: a client that connects between the last `accept` and the close has been told
    that the connection is established. So the kernel gets a filter that drops each packet of a new connection; its
    client tries again after a second, and is refused.
    """
    import array
    import socket
    import struct

    drop_all = array.array("B", struct.pack("HBBI", 6, 0, 0, 0))  # one instruction of BPF: return 0 bytes
    try:
        program = struct.pack("HP", 1, drop_all.buffer_info()[0])
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    except OSError:
        pass  # a kernel without it: what is left is a window of microseconds


def open_listener() -> "socket.socket":
    """Return the socket as an object; closing it leaves the file descriptor open."""
    import socket

    return socket.socket(fileno=os.dup(LISTENER))


def write_log(message: str) -> None:
    """Write one line to stderr, if anybody reads it."""
    try:
        print(f"snooze: {message}", file=sys.stderr, flush=True)
    except OSError:
        pass


if __name__ == "__main__":
    SocketHolder(sys.argv[1], sys.argv[2:]).run()
