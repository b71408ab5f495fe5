# SPDX-License-Identifier: Apache-2.0
"""Real sockets: which of our addresses mail goes out from, and how many messages a new one may send on its first day."""
import smtplib
import time

from house import DOMAIN, PASSWORD, Server
from remote import Remote


def send(server, to, bulk=True):
    with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=30) as s:
        s.login(f"alice@{DOMAIN}", PASSWORD)
        precedence = "Precedence: bulk\r\n" if bulk else ""
        s.sendmail(f"alice@{DOMAIN}", [to], f"From: alice@{DOMAIN}\r\nTo: {to}\r\n{precedence}Subject: x\r\n\r\nhello\r\n")


def wait_until(what, server, seconds=30):
    end = time.time() + seconds
    while not what():
        assert time.time() < end, server.log()[-3000:]
        time.sleep(0.05)


def start(tmp_path, remote, lines):
    server = Server(tmp_path, f"route = good.test 127.0.0.1:{remote.port} tls=none\nrelay.retry = 1s 2s 1h\n{lines}")
    server.start()
    server.command("domain", "add", DOMAIN)
    server.add_account("alice")
    return server


def sources(server):
    return {s["source"]: s for s in server.json("reputation", "sources")}


def test_classes_have_pools_and_names(tmp_path):
    remote = Remote()
    server = start(tmp_path, remote, "source = 127.0.0.2 ehlo=letters.example.org\nsource = 127.0.0.3 pool=news ehlo=news.example.org\n"
                                     "pool = news bulk\n")
    try:
        send(server, "one@good.test", bulk=False)
        send(server, "two@good.test")
        wait_until(lambda: remote.taken == 2, server)
        seen = {m["RCPT"].split("<")[1].split("@")[0]: (m["from"], m["EHLO"]) for m in remote.messages}
        assert seen == {"one": ("127.0.0.2", "EHLO letters.example.org"), "two": ("127.0.0.3", "EHLO news.example.org")}
        wait_until(lambda: sources(server)["127.0.0.3"].get("accepted") == 1, server)
        assert sources(server)["127.0.0.3"]["pool"] == "news" and sources(server)["127.0.0.3"]["since"] is None
        text = server.command("reputation", "sources").stdout
        assert "127.0.0.2" in text and "news" in text and "warm" in text
    finally:
        server.stop()
        remote.close()


def test_warm_up(tmp_path):
    """Three a day from the new address, across a restart; a letter goes all the same; another address of the pool takes the rest."""
    remote, today = Remote(), time.strftime("%Y-%m-%d", time.gmtime())
    lines = f"source = 127.0.0.2 since={today}\nrelay.warm-up = 3 3 100\n"
    server = start(tmp_path, remote, lines)
    try:
        for i in range(5):
            send(server, f"bulk{i}@good.test")
        wait_until(lambda: remote.taken == 3, server)
        send(server, "letter@good.test", bulk=False)
        wait_until(lambda: remote.taken == 4, server)
        assert "letter@good.test" in remote.messages[-1]["RCPT"]
        wait_until(lambda: sources(server)["127.0.0.2"].get("accepted") == 4, server)
        assert sources(server)["127.0.0.2"]["since"] == today
        server.restart()
        server.command("queue", "retry", "--all")
        time.sleep(1)
        assert remote.taken == 4
        assert len(server.json("queue", "list")) == 2 and all(r["tries"] == 0 for r in server.json("queue", "list"))
        server.stop()
        with open(server.conf, "a") as f:
            f.write("source = 127.0.0.3\n")
        server.start()
        server.command("queue", "retry", "--all")
        wait_until(lambda: remote.taken == 6, server)
        assert {m["from"] for m in remote.messages[4:]} == {"127.0.0.3"}
    finally:
        server.stop()
        remote.close()
