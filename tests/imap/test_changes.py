# SPDX-License-Identifier: Apache-2.0
"""Two sessions on one mailbox, IDLE, restarts of the store (RFC 3501 5.2, 7.4.1; RFC 2177)."""
import time

from imap_dialog import PLAIN, Client, literal


def test_flags_of_others_are_told(inbox, connect):
    inbox.append(PLAIN)
    other = connect(inbox.user)
    other.ok("SELECT INBOX")
    other.ok("STORE 1 +FLAGS (\\Answered $New)")
    r = inbox.ok("NOOP")
    assert r.of(rb"^\* 1 FETCH \(FLAGS \(\\Answered \\Recent \$New\)\)$") and r.of(rb"^\* FLAGS \(.*\$New")
    assert inbox.ok("NOOP").untagged == []


def test_new_mail_is_told_once(inbox, connect):
    other = connect(inbox.user)
    other.append(PLAIN)
    r = inbox.ok("NOOP")
    assert r.untagged == [b"* 1 EXISTS", b"* 1 RECENT"]
    assert inbox.ok("NOOP").untagged == []
    assert b"* 0 RECENT" in other.ok("SELECT INBOX").untagged


def test_expunge_waits_for_commands_that_allow_it(inbox, connect):
    for _ in range(3):
        inbox.append(PLAIN)
    other = connect(inbox.user)
    other.ok("SELECT INBOX")
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    time.sleep(0.2)
    for command in ("FETCH 1 FLAGS", "STORE 1 +FLAGS (\\Seen)", "SEARCH ALL"):
        assert inbox.ok(command).of(rb"EXPUNGE") == []
    assert inbox.fetch("FETCH 3 UID")[3] == b"* 3 FETCH (UID 3)"
    assert inbox.ok("UID FETCH 1 FLAGS").of(rb"EXPUNGE") == [b"* 2 EXPUNGE"]
    assert inbox.fetch("FETCH 2 UID")[2] == b"* 2 FETCH (UID 3)"


def test_idle_pushes(inbox, connect):
    other = connect(inbox.user)
    other.ok("SELECT INBOX")
    tag = inbox.start("IDLE")
    assert inbox.line().startswith(b"+ ")
    start = time.time()
    other.append(PLAIN)
    assert inbox.line() == b"* 1 EXISTS"
    assert time.time() - start < 5
    other.ok("STORE 1 +FLAGS (\\Flagged)")
    line = inbox.line()
    while b"FETCH" not in line:  # "1 RECENT" where this session was the first to hear of it
        line = inbox.line()
    assert b"\\Flagged" in line
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert b"\\Deleted" in inbox.line()
    other.ok("EXPUNGE")
    assert inbox.line() == b"* 1 EXPUNGE"
    inbox.send(b"DONE\r\n")
    assert inbox.wait(tag).status == "OK"
    inbox.ok("NOOP")


def test_idle_ends_with_done_only(inbox):
    tag = inbox.start("IDLE")
    inbox.line()
    inbox.send(b"x NOOP\r\n")
    assert inbox.wait(tag).status == "BAD"
    inbox.ok("NOOP")


def test_idle_without_a_mailbox(connect, account):
    c = connect(account)
    tag = c.start("IDLE")
    assert c.line().startswith(b"+ ")
    c.send(b"done\r\n")
    assert c.wait(tag).status == "OK"


def test_pipelined(inbox):
    for _ in range(3):
        inbox.append(PLAIN)
    inbox.send(b"a FETCH 1 FLAGS\r\nb STORE 2 +FLAGS (\\Seen)\r\nc SEARCH SEEN\r\nd NOOP\r\ne LIST \"\" INBOX\r\n")
    for tag in "abcde":
        assert inbox.wait(tag).status == "OK"


def test_store_restarted(new_server, connect):
    s = new_server(accounts=("alice",))
    c = connect("alice@example.test", on=s)
    c.append(PLAIN)
    c.ok("SELECT INBOX")
    idle = connect("alice@example.test", on=s)
    idle.ok("SELECT INBOX")
    tag = idle.start("IDLE")
    idle.line()
    mark = len(s.log())
    s.kill_role("store")
    end = time.time() + 15
    while True:
        r = c.do("FETCH 1 BODY.PEEK[]")
        if r.status == "OK":
            break
        assert r.status == "NO" and r.text.startswith("[UNAVAILABLE]") and time.time() < end, r
    assert literal(r.untagged[0], b"BODY[]") == PLAIN
    while c.do(b"APPEND INBOX {%d+}\r\n" % len(PLAIN) + PLAIN).status != "OK":
        assert time.time() < end
    c.ok("STORE 1 +FLAGS (\\Seen)")
    assert c.ok("NOOP") and mark >= 0
    idle.send(b"DONE\r\n")
    r = idle.wait(tag)
    assert r.status == "OK"
    if not r.of(rb"EXISTS"):
        assert idle.ok("NOOP").of(rb"EXISTS")


def test_handles_do_not_reach_other_accounts_after_a_restart(new_server):
    s = new_server("sessions = 1", accounts=("alice", "bob"))
    a = Client(s.port("imap")).login("alice@example.test")
    b = Client(s.port("imap")).login("bob@example.test")
    a.ok("CREATE of-alice")
    b.ok("CREATE of-bob")
    for _ in range(2):
        s.kill_role("store")
        time.sleep(0.5)
        for c, mine, other in ((b, b"of-bob", b"of-alice"), (a, b"of-alice", b"of-bob")):
            r = c.do('LIST "" *')
            while r.status != "OK":
                r = c.do('LIST "" *')
            assert r.of(mine) and not r.of(other)


def test_auth_restarted(new_server):
    s = new_server(accounts=("alice",))
    c = Client(s.port("imap")).login("alice@example.test")
    s.kill_role("auth")
    c.ok("SELECT INBOX")
    end = time.time() + 15
    while Client(s.port("imap")).do("LOGIN alice@example.test Pass-word-1").status != "OK":
        assert time.time() < end


def test_password_change_ends_sessions(connect, account, server):
    c = connect(account)
    server.command("account", "password", account, "--password-stdin", input="Another-1\n")
    assert c.closed()


def test_mbsync(server, account, connect, tmp_path):
    import subprocess
    c = connect(account)
    for i in range(20):
        c.append(PLAIN + b"%d\r\n" % i)
    c.ok("CREATE deep/er")
    c.append(PLAIN, "deep/er")
    (tmp_path / "mail").mkdir()
    rc = tmp_path / "rc"
    rc.write_text(f"""IMAPStore far
Host 127.0.0.1
Port {server.port('imap')}
User {account}
Pass Pass-word-1
SSLType None
AuthMechs LOGIN

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/inbox
SubFolders Verbatim

Channel both
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
""")

    def sync():
        r = subprocess.run(["mbsync", "-c", rc, "-a"], capture_output=True, text=True, timeout=120)
        assert r.returncode == 0, r.stdout + r.stderr

    sync()
    files = [p for d in ("new", "cur") for p in (tmp_path / "mail/inbox" / d).iterdir()]
    assert len(files) == 20
    assert (tmp_path / "mail/deep/er").is_dir()
    files[0].rename(tmp_path / "mail/inbox/cur" / (files[0].name.split(":")[0] + ":2,FS"))
    (tmp_path / "mail/inbox/new/1.local").write_bytes(PLAIN.replace(b"\r\n", b"\n"))
    sync()
    r = c.ok("SELECT INBOX")
    assert b"* 21 EXISTS" in r.untagged
    assert len(c.ok("SEARCH FLAGGED SEEN").of(rb"SEARCH \d+$")) == 1
