# SPDX-License-Identifier: Apache-2.0
"""Mail programs as people have them, on one account: each reads what is there, changes it, and another client sees the change. (mbsync: test_changes.py.)"""
import email
import imaplib
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import time

import pytest
from imap_dialog import PASSWORD, literal

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
TEXT = b"From: Ann <ann@example.net>\r\nTo: bob@example.test\r\nSubject: message %d\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <n%d@example.net>\r\n\r\nbody %d\r\n"


def run(*words, cwd=None, env=None, ok=(0,), input=None, timeout=90):
    r = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=timeout, cwd=cwd, env={**os.environ, **(env or {})}, input=input)
    assert r.returncode in ok, f"{words}: {r.returncode}\n{r.stdout[-3000:]}{r.stderr[-3000:]}"
    return r.stdout


@pytest.fixture
def filled(connect, account):
    """A client of an account with five messages in INBOX and one in Work; .user is its address."""
    c = connect(account)
    c.user = account
    for i in range(1, 6):
        c.append(TEXT % (i, i, i))
    c.ok("CREATE Work")
    c.append(TEXT % (9, 9, 9), "Work")
    c.ok("SELECT INBOX")
    return c


def flags(c, number):
    c.ok("NOOP")
    return re.search(rb"FLAGS \(([^)]*)\)", c.fetch(f"FETCH {number} FLAGS")[number])[1].split()


def test_offlineimap(server, filled, tmp_path):
    user = filled.user
    (tmp_path / "rc").write_text(f"""[general]
accounts = a
ui = basic
metadata = {tmp_path}/meta
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/mail
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {server.port('imap')}
remoteuser = {user}
remotepass = {PASSWORD}
ssl = no
starttls = no
auth_mechanisms = PLAIN, LOGIN
""")

    def sync():
        return run("offlineimap", "-c", tmp_path / "rc", "-o", "-1", env={"HOME": str(tmp_path)}, timeout=120)

    sync()
    files = sorted(p for d in ("new", "cur") for p in (tmp_path / "mail/INBOX" / d).iterdir())
    assert len(files) == 5 and len(list((tmp_path / "mail/Work/new").iterdir())) + len(list((tmp_path / "mail/Work/cur").iterdir())) == 1
    by_body = {p.read_bytes().split(b"\n\n", 1)[1].strip(): p for p in files}
    seen, gone = by_body[b"body 2"], by_body[b"body 4"]
    seen.rename(tmp_path / "mail/INBOX/cur" / (re.sub(r":2,.*", ":2,FS", seen.name) if ":2," in seen.name else seen.name + ":2,FS"))
    gone.unlink()
    (tmp_path / "mail/INBOX/new/1.2.local").write_bytes((TEXT % (7, 7, 7)).replace(b"\r\n", b"\n"))
    filled.ok("STORE 1 +FLAGS (\\Answered)")
    sync()
    sync()
    filled.ok("NOOP")
    assert set(flags(filled, 2)) >= {b"\\Seen", b"\\Flagged"}
    subjects = [m for u in filled.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]").untagged for m in re.findall(rb"Subject: message (\d)", u)]
    assert sorted(subjects) == [b"1", b"2", b"3", b"5", b"7"]
    first = next(p for d in ("new", "cur") for p in (tmp_path / "mail/INBOX" / d).iterdir() if b"body 1" in p.read_bytes())
    assert "R" in first.name.split(":2,")[1]


def test_neomutt(server, filled, tmp_path):
    """Under a terminal: flags the first message, deletes the second, copies the third into Work, and leaves."""
    rc = tmp_path / "rc"
    rc.write_text(f"""set imap_pass="{PASSWORD}" ssl_starttls=no ssl_force_tls=no tunnel="" folder="imap://127.0.0.1:{server.port('imap')}/"
set imap_user="{filled.user}" spoolfile="imap://127.0.0.1:{server.port('imap')}/INBOX"
set header_cache="" wait_key=no confirmappend=no delete=yes mark_old=no move=no quit=yes sort=mailbox-order imap_condstore=yes imap_qresync=yes imap_idle=yes
set mail_check=1 timeout=1 copy=no sleep_time=0 help=no imap_authenticators="plain:login"
push "<first-entry><flag-message><first-entry><next-entry><delete-message><first-entry><next-entry><next-entry><copy-message>=Work<enter><sync-mailbox><quit>"
""")
    main, terminal = pty.openpty()
    p = subprocess.Popen(["neomutt", "-n", "-F", rc], stdin=terminal, stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm", "HOME": str(tmp_path), "LINES": "40", "COLUMNS": "120"}, start_new_session=True)
    os.close(terminal)
    shown, end = b"", time.time() + 60
    while p.poll() is None and time.time() < end:
        if select.select([main], [], [], .2)[0]:
            try:
                shown += os.read(main, 65536)
            except OSError:
                break
    try:
        p.wait(max(end - time.time(), 1))
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
        raise AssertionError(shown[-3000:].decode("latin-1"))
    finally:
        os.close(main)
    assert p.returncode == 0, shown[-3000:]
    assert b"\\Flagged" in flags(filled, 1)
    r = filled.ok("FETCH 1:* BODY.PEEK[TEXT]")
    assert [literal(u, b"BODY[TEXT]") for u in r.of(rb"FETCH \(")] == [b"body 1\r\n", b"body 3\r\n", b"body 4\r\n", b"body 5\r\n"]
    assert b"MESSAGES 2" in filled.ok("STATUS Work (MESSAGES)").untagged[0]


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_fetchmail(server, filled, tmp_path, protocol):
    """Takes all mail away, by IMAP and by POP3, and gives it to a program."""
    out = tmp_path / "out"
    rc = tmp_path / "rc"
    rc.write_text(f"""set no bouncemail
poll 127.0.0.1 service {server.port(protocol)} protocol {protocol} user "{filled.user}" password "{PASSWORD}" no rewrite fetchall sslproto "" mda "cat >> {out}"
""")
    rc.chmod(0o600)
    run("fetchmail", "-f", rc, "--nosyslog", "--pidfile", tmp_path / "pid", "-i", tmp_path / "ids", env={"HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)})
    text = out.read_bytes()
    assert [text.count(b"body %d" % i) for i in range(1, 6)] == [1] * 5
    filled.ok("NOOP")
    assert b"MESSAGES 0" in filled.ok("STATUS INBOX (MESSAGES)").untagged[0]


@pytest.mark.parametrize("retriever, kind", [("SimpleIMAPRetriever", "imap"), ("SimplePOP3Retriever", "pop3"), ("SimpleIMAPSSLRetriever", "imaps"), ("SimplePOP3SSLRetriever", "pop3s")])
def test_getmail(server, filled, tmp_path, retriever, kind):
    """What it took once it does not take again (by UIDVALIDITY and UID, or UIDL), and what it reads stays."""
    (tmp_path / "state").mkdir()
    (tmp_path / "rc").write_text(f"""[retriever]
type = {retriever}
server = 127.0.0.1
port = {server.port(kind)}
username = {filled.user}
password = {PASSWORD}
[destination]
type = MDA_external
path = /usr/bin/tee
arguments = ("-a", "{tmp_path}/out")
allow_root_commands = true
[options]
read_all = false
delete = false
""")

    def get():
        run("getmail", "--getmaildir", tmp_path / "state", "--rcfile", tmp_path / "rc", env={"HOME": str(tmp_path)})
        return (tmp_path / "out").read_bytes().count(b"Subject: message ")

    assert get() == 5
    assert get() == 5
    filled.append(TEXT % (6, 6, 6))
    assert get() == 6
    assert b"MESSAGES 6" in filled.ok("STATUS INBOX (MESSAGES)").untagged[0]


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_imaplib(server, filled, tls):
    """Python's own client, all its commands that a server answers."""
    import ssl
    context = ssl._create_unverified_context()
    c = imaplib.IMAP4_SSL("127.0.0.1", server.port("imaps"), ssl_context=context) if tls == "tls" else imaplib.IMAP4("127.0.0.1", server.port("imap"))
    if tls == "starttls":
        c.starttls(context)

    def ok(answer):
        assert answer[0] == "OK", answer
        return answer[1]

    ok(c.authenticate("PLAIN", lambda _: b"\0" + filled.user.encode() + b"\0" + PASSWORD.encode()))
    ok(c.enable("CONDSTORE"))
    assert ok(c.namespace())[0].startswith(b'(("" "/"))')
    assert any(b"Work" in line for line in ok(c.list()))
    ok(c.create("Round"))
    ok(c.subscribe("Round"))
    assert any(b"Round" in line for line in ok(c.lsub()))
    ok(c.rename("Round", "Trip"))
    assert ok(c.select("INBOX")) == [b"5"]
    assert ok(c.search(None, "SUBJECT", '"message 3"')) == [b"3"]
    assert ok(c.sort("(REVERSE ARRIVAL)", "UTF-8", "ALL"))[0].split()[-1:] != []
    assert len(ok(c.thread("REFERENCES", "UTF-8", "ALL"))[0]) > 0
    message = email.message_from_bytes(ok(c.fetch("3", "(RFC822)"))[0][1])
    assert message["Subject"] == "message 3"
    assert b"\\Seen" in flags(filled, 3)
    ok(c.store("2", "+FLAGS", "(\\Flagged custom)"))
    assert {b"\\Flagged", b"custom"} <= set(flags(filled, 2))
    ok(c.copy("1:2", "Trip"))
    ok(c.append("Trip", "(\\Draft)", imaplib.Time2Internaldate(time.time()), TEXT % (8, 8, 8)))
    assert b"MESSAGES 3" in ok(c.status("Trip", "(MESSAGES UIDNEXT)"))[0]
    ok(c.uid("MOVE", "5", "Trip"))
    ok(c.store("1", "+FLAGS", "\\Deleted"))
    ok(c.expunge())
    filled.ok("NOOP")
    assert b"MESSAGES 3" in filled.ok("STATUS INBOX (MESSAGES)").untagged[0]
    ok(c.check())
    ok(c.noop())
    ok(c.close())
    ok(c.unsubscribe("Round"))
    ok(c.delete("Trip"))
    assert c.logout()[0] == "BYE"


IMAPFLOW = "imapflow@1.0.188"
SCRIPT = """
const { ImapFlow } = require('imapflow');
const [port, user, pass] = process.argv.slice(2);
const make = () => new ImapFlow({ host: '127.0.0.1', port: +port, secure: false, doSTARTTLS: false, auth: { user, pass }, logger: false, qresync: true });
(async () => {
  const out = {};
  const a = make();
  await a.connect();
  out.capabilities = [...a.capabilities.keys()];
  out.enabled = [...a.enabled];
  out.mailboxes = (await a.list()).map(m => m.path);
  let lock = await a.getMailboxLock('INBOX');
  out.exists = a.mailbox.exists;
  out.subjects = [];
  for await (const m of a.fetch('1:*', { uid: true, flags: true, envelope: true, bodyStructure: true, source: true })) out.subjects.push([m.envelope.subject, m.source.toString().includes('body')]);
  out.found = await a.search({ subject: 'message 2' }, { uid: true });
  await a.messageFlagsAdd({ uid: String(out.found[0]) }, ['\\\\Flagged', 'flowed'], { uid: true });
  const kept = { validity: a.mailbox.uidValidity, modseq: a.mailbox.highestModseq };
  lock.release();
  const heard = [];
  a.on('exists', e => heard.push(['exists', e.count]));
  a.on('expunge', e => heard.push(['expunge', e.uid || e.seq]));
  a.on('flags', e => heard.push(['flags', e.uid, [...e.flags]]));
  const idling = a.idle();
  const b = make();
  await b.connect();
  lock = await b.getMailboxLock('INBOX');
  await new Promise(r => setTimeout(r, 300));
  await b.append('INBOX', 'Subject: pushed\\r\\n\\r\\nbody pushed\\r\\n', ['\\\\Seen']);
  await b.messageFlagsAdd('1', ['\\\\Answered']);
  await b.messageDelete('3');
  await b.messageMove('2', 'Work');
  lock.release();
  const end = Date.now() + 10000;
  while (Date.now() < end && !(heard.some(h => h[0] === 'exists') && heard.filter(h => h[0] === 'expunge').length >= 2 && heard.some(h => h[0] === 'flags'))) await new Promise(r => setTimeout(r, 20));
  out.heard = heard;
  out.changed = [];
  lock = await b.getMailboxLock('INBOX');
  for await (const m of b.fetch('1:*', { uid: true, flags: true }, { changedSince: kept.modseq })) out.changed.push(m.uid);
  lock.release();
  out.status = await b.status('Work', { messages: true });
  await a.logout(); await b.logout();
  await idling.catch(() => {});
  console.log(JSON.stringify(out, (k, v) => typeof v === 'bigint' ? String(v) : v));
})().catch(e => { console.error(e); process.exit(1); });
"""


def imapflow():
    """The folder with the package, fetched by name when it is not there."""
    folder = TOP / ".cache/imapflow"
    if not (folder / "node_modules/imapflow/package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, IMAPFLOW, timeout=120)
    return folder


def test_imapflow(server, filled, tmp_path):
    """Node's client, with QRESYNC, IDLE and (when it is offered) COMPRESS: a second connection changes what the first one hears of."""
    folder = imapflow()
    script = folder / "round.js"
    script.write_text(SCRIPT)
    out = json.loads(run("node", script, server.port("imap"), filled.user, PASSWORD))
    assert out["exists"] == 5 and set(out["mailboxes"]) >= {"INBOX", "Work"}
    assert out["subjects"] == [[f"message {i}", True] for i in range(1, 6)]
    assert {"CONDSTORE", "QRESYNC"} & set(out["enabled"]), out["enabled"]
    kinds = [h[0] for h in out["heard"]]
    assert "exists" in kinds and kinds.count("expunge") == 2 and "flags" in kinds, out["heard"]
    assert len(out["changed"]) >= 2 and out["status"]["messages"] == 2
    filled.ok("NOOP")
    assert b"MESSAGES 4" in filled.ok("STATUS INBOX (MESSAGES)").untagged[0]


@pytest.mark.parametrize("scheme", ["imap", "imaps", "pop3", "pop3s"])
def test_curl(server, filled, tmp_path, scheme):
    """curl reads a message, and by IMAP puts one and changes flags."""
    base = f"{scheme}://127.0.0.1:{server.port(scheme)}"
    curl = ("curl", "-sS", "-k", "-u", f"{filled.user}:{PASSWORD}")
    if scheme.startswith("pop3"):
        assert "body 2" in run(*curl, f"{base}/2")
        assert len(run(*curl, f"{base}/").splitlines()) == 5
        return
    assert "body 2" in run(*curl, f"{base}/INBOX;MAILINDEX=2")
    run(*curl, f"{base}/INBOX", "-X", "STORE 1 +FLAGS (\\Flagged)")
    assert b"\\Flagged" in flags(filled, 1)
    (tmp_path / "put").write_bytes(b"Subject: put\r\n\r\nput by curl\r\n")
    run(*curl, f"{base}/INBOX", "-T", tmp_path / "put")
    assert filled.ok("NOOP") and b"6" in filled.ok("SEARCH SUBJECT put").untagged[0]
