"""
Scale to zero on one machine: this process only holds the listening socket. It starts the server with the first
connection, which waits in the kernel's queue, and waits again when the server has ended for lack of requests.

Runs by itself as `python -I -S idle.py URL COMMAND...`, so it imports next to nothing: it is all that stays in memory.
The socket is file descriptor 3, and is handed on as systemd does it.
"""

import os
import select
import signal
import sys
import time

LISTENER, AWAKE = 3, 4  # file descriptors of the server: the socket, and where it says that it is ready
NAMES = "snooze-idle:snooze-awake"  # as `listener.KEEPER` has it, which is not imported here
SHORTEST_BREAK, LONGEST_BREAK = 1.0, 30.0
MARGIN = 2.0  # a server that has not ended so long after its grace does not end by itself
REFUSAL = b'{"error":"the server does not start; its log says why"}'
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Keeper:
    """Holds the socket and starts the server when somebody is waiting."""

    def __init__(self, url: str, command: list[str]) -> None:
        self._url = url
        self._command = command
        self._child = 0
        self._stopping = False
        self._was_ready = False

    def run(self) -> int:
        """Wait and serve until told to stop; return the exit code."""
        for number in SIGNALS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # they were blocked when this program was begun
        poll = select.poll()
        poll.register(LISTENER, select.POLLIN)
        pause = SHORTEST_BREAK
        while True:
            say(f"asleep, waiting on {self._url}")
            poll.poll()
            code = self._serve()
            if code is None:
                say("stopped")
                return 0
            if code == 0 or self._was_ready:
                if code:
                    say(f"the server ended with exit code {code}; whoever connects starts it again")
                pause = SHORTEST_BREAK
                continue
            say(f"the server ended with exit code {code}; trying again in {pause:.0f} s at the earliest")
            refuse(pause)
            pause = min(2 * pause, LONGEST_BREAK)

    def _serve(self) -> int | None:
        """Run the server until it ends; return its exit code, negative for a signal, or None if we are to stop."""
        # A signal between the fork and the note of the child would not reach the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        heard, told = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                os.dup2(told, AWAKE)
                os.set_inheritable(AWAKE, True)  # dup2 leaves that alone where both are the same
                environ = {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": NAMES}
                os.execve(self._command[0], self._command, environ)  # noqa: S606
            finally:
                os._exit(127)
        self._child = child
        os.close(told)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        status = os.waitpid(child, 0)[1]
        self._child = 0
        self._was_ready = os.read(heard, 1) != b""
        os.close(heard)
        return None if self._stopping else os.waitstatus_to_exitcode(status)

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True
        if not self._child:
            say("stopped")
            os._exit(0)
        try:
            os.close(LISTENER)  # the child takes what is queued on it, and nothing new is queued once it has closed it
        except OSError:
            pass  # it is the second signal
        self._send(signal.SIGTERM)
        self._send(signal.SIGCONT)  # one that was halted would not hear it
        signal.setitimer(signal.ITIMER_REAL, float(os.environ.get("SNOOZE_GRACE", "30")) + MARGIN)

    def _kill(self, number: int, frame: object) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        try:
            if self._child:
                os.kill(self._child, number)
        except ProcessLookupError:
            pass  # it has ended, and is waited for


def refuse(seconds: float) -> None:
    """Answer 503 for `seconds` to whoever waits: a client that hears nothing would wait for ever."""
    import socket

    end = time.monotonic() + seconds
    with socket.socket(fileno=os.dup(LISTENER)) as listener:
        head = f"HTTP/1.1 503 Service Unavailable\r\nretry-after: {seconds:.0f}\r\ncontent-type: application/json\r\n"
        answer = f"{head}connection: close\r\ncontent-length: {len(REFUSAL)}\r\n\r\n".encode() + REFUSAL
        while (left := end - time.monotonic()) > 0:
            if not select.select([listener], [], [], left)[0]:
                return
            try:
                connection = listener.accept()[0]
                with connection:
                    connection.settimeout(0.2)
                    connection.recv(65536)
                    connection.sendall(answer)
            except OSError:
                continue  # the client is gone or slow; the next one waits


def say(message: str) -> None:
    """Write one line to stderr, for whoever reads it."""
    try:
        print(f"snooze: {message}", file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody reads it any more


if __name__ == "__main__":
    sys.exit(Keeper(sys.argv[1], sys.argv[2:]).run())
