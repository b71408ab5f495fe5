# SPDX-License-Identifier: Apache-2.0
"""Mail servers for tests of what goes out."""
import socket
import threading


class Listener(threading.Thread):
    """Accepts on loopback; each connection has a thread that calls serve(connection). Its end, however it comes, is no error."""

    def __init__(self, address="127.0.0.1", port=0, backlog=None):
        super().__init__(daemon=True)
        self.listener = socket.create_server((address, port), backlog=backlog)
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.guard, args=(connection,), daemon=True).start()

    def guard(self, connection):
        try:
            with connection:
                self.serve(connection)
        except OSError:  # ssl.SSLError is one
            pass

    def close(self):
        self.listener.close()


class Remote(Listener):
    """A mail server on loopback that takes everything, or answers every RCPT with `answer`. messages: who it came from (the
    address of the connection), what they said at EHLO, MAIL and RCPT, and the text."""

    def __init__(self, answer=None):
        self.answer, self.messages = answer, []
        super().__init__()

    def serve(self, connection):
        said = {"from": connection.getpeername()[0]}
        with connection.makefile("rwb") as f:
            def say(text):
                f.write(text.encode() + b"\r\n")
                f.flush()
            say("220 remote.test")
            for line in f:
                word = line[:4].upper()
                said[word.decode()] = line.decode().strip()
                if word == b"RCPT" and self.answer:
                    say(self.answer)
                elif word == b"DATA" and self.answer:
                    say("554 nobody")
                elif word == b"DATA":
                    say("354 go on")
                    text = b""
                    for part in f:
                        if part == b".\r\n":
                            break
                        text += part
                    self.messages.append(dict(said, text=text))
                    say("250 taken")
                elif word == b"QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 ok")

    @property
    def taken(self):
        return len(self.messages)
