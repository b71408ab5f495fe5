#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many clients change one mailbox at once; each keeps a model of what it may believe, and every response is held against it:

- sequence numbers and UIDs by EXISTS, EXPUNGE and VANISHED; no EXPUNGE while FETCH, STORE or SEARCH is answered or no command is under way (RFC 9051 7.5.1);
- UIDs rise, are never used again, and always mean the same bytes (each body carries its own checksum);
- MODSEQ of a message never goes back, HIGHESTMODSEQ covers what anybody was told (RFC 7162 3.1.2);
- tagged answers come in the order of the commands; no command of a well-behaved client is BAD;
- flags are those last told; at the end, after NOOP, all clients believe what a new session sees, those that came back with QRESYNC, too.

Run by itself: tests/imap/stress.py --port N --user A --password P [--clients 50] [--seconds 60] [--seed N]; test_stress.py runs it for a short time. Each client draws
from a generator of its own (seed and number), so that a run can be repeated as far as the order of events allows."""
import argparse
import asyncio
import random
import re
import sys
import zlib

MAIN, SIDES = "Stress", ["Side/one", "Side/two", "Side/three"]
SYSTEM = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft"]
KEEPS = ("FETCH", "STORE", "SEARCH")  # no EXPUNGE while these are answered
FETCH = re.compile(rb"\* (\d+) FETCH \(")


class Violation(Exception):
    pass


class World:
    """What all clients together know."""

    def __init__(self, args):
        self.args = args
        self.bodies, self.validity, self.top_modseq, self.top_uid = {}, None, 0, 0
        self.commands = self.reconnects = self.refused = self.resyncs = 0
        self.forgiving = args.forgiving  # the store is killed now and then: NO [UNAVAILABLE] and BYE are no faults
        self.end = None


def message(rng):
    body = b"".join(b"%08x line of a message\r\n" % rng.getrandbits(32) for _ in range(rng.choice([1, 3, 20, 200])))
    return b"From: a@b.example\r\nSubject: stress %d\r\nX-Sum: %08x\r\n\r\n" % (rng.getrandbits(30), zlib.crc32(body)) + body


def ranges(text):
    for part in text.split(","):
        low, _, high = part.partition(":")
        yield from range(min(int(low), int(high or low)), max(int(low), int(high or low)) + 1)


def set_of(numbers):
    return ",".join(map(str, sorted(numbers)))


class Client:
    def __init__(self, world, number):
        self.world, self.number = world, number
        self.rng = random.Random(f"{world.args.seed}.{number}")
        self.own = f"$c{number}"  # a keyword that nobody else touches
        self.reader = self.writer = None
        self.tag = 0
        self.pending = []  # (tag, word, may expunge)
        self.log = []
        self.forget()

    def forget(self):
        self.uids, self.flags, self.modseqs = [], {}, {}
        self.gone, self.highest, self.selected, self.read_only, self.qresync, self.idling = set(), 0, False, False, False, False

    def fail(self, why):
        raise Violation(f"client {self.number}: {why}\n  " + "\n  ".join(self.log[-30:]))

    # ---- the wire

    async def connect(self, qresync=False):
        """Logs in; what is believed of the mailbox stays."""
        self.pending = []
        self.idling = self.selected = False
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.world.args.port, limit=1 << 22)
        await self.line()
        status, text, _ = await self.run(f'LOGIN "{self.world.args.user}" "{self.world.args.password}"')
        if status != "OK":  # the store is away: as if the server were
            raise ConnectionError(f"no login: {text}")
        self.qresync = qresync
        if qresync:
            await self.run("ENABLE QRESYNC")

    def cut(self):
        if self.writer:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def line(self):
        whole = b""
        while True:
            part = await asyncio.wait_for(self.reader.readline(), 120)
            if not part:
                raise ConnectionError("closed")
            whole += part
            m = re.search(rb"\{(\d+)\}\r\n$", part)
            if not m:
                self.log.append("S " + whole[:200].decode("latin-1").strip())
                del self.log[:-200]
                return whole[:-2]
            whole += await asyncio.wait_for(self.reader.readexactly(int(m[1])), 120)

    def send(self, command, literal=None):
        self.tag += 1
        self.world.commands += 1
        tag = f"c{self.tag}"
        self.log.append(f"C {tag} {command[:200]}")
        words = command.split()
        word = words[1] if words[0] == "UID" else words[0]
        self.pending.append((tag, word, words[0] == "UID" or word not in KEEPS))
        data = f"{tag} {command}".encode() + (b" {%d+}\r\n" % len(literal) + literal if literal is not None else b"") + b"\r\n"
        self.writer.write(data)
        return tag

    async def answers(self, wanted):
        """Reads up to the tagged answers of all tags in wanted: [(status, text, untagged)]."""
        results, untagged = [], []
        for tag in wanted:
            while True:
                line = await self.line()
                if line.startswith(b"* "):
                    self.hear(line)
                    untagged.append(line)
                    continue
                if line.startswith(b"+ "):
                    if self.pending[0][1] != "IDLE":
                        self.fail("a continuation that nobody asked for")
                    return results
                first = self.pending.pop(0)
                if not line.startswith(first[0].encode() + b" ") or first[0] != tag:
                    self.fail(f"{line!r} is not the answer to {first}")
                status, _, text = line[len(tag) + 1:].decode("latin-1").partition(" ")
                if status == "BAD":
                    self.fail(f"BAD: {text}")
                if status == "NO":
                    self.world.refused += 1
                    if "UNAVAILABLE" in text and not self.world.forgiving:
                        self.fail(text)
                self.code(text)
                results.append((status, text, untagged))
                untagged = []
                break
        return results

    async def run(self, command, literal=None):
        return (await self.answers([self.send(command, literal)]))[0]

    # ---- what is heard

    def hear(self, line):
        now = self.pending[0] if self.pending else None
        if m := FETCH.match(line):
            self.hear_fetch(int(m[1]), line)
        elif m := re.match(rb"\* (\d+) EXISTS$", line):
            n = int(m[1])
            if now and now[1] in ("SELECT", "EXAMINE"):
                self.exists = n
            elif n < len(self.uids):
                self.fail(f"EXISTS {n} of {len(self.uids)}: only EXPUNGE takes away")
            else:
                self.uids += [None] * (n - len(self.uids))
        elif m := re.match(rb"\* (\d+) EXPUNGE$", line):
            self.may_expunge(now)
            n = int(m[1])
            if self.qresync:
                self.fail("EXPUNGE after ENABLE QRESYNC (RFC 7162 3.2.10)")
            if now[1] in ("SELECT", "EXAMINE"):
                self.exists -= 1
                self.shifted = True
                return
            if not 1 <= n <= len(self.uids):
                self.fail(f"EXPUNGE {n} of {len(self.uids)}")
            self.drop(self.uids.pop(n - 1))
        elif m := re.match(rb"\* VANISHED (\(EARLIER\) )?([\d:,]+)$", line):
            self.hear_vanished(now, bool(m[1]), m[2].decode())
        elif m := re.match(rb"\* (?:SEARCH|ESEARCH .*ALL) ([\d ]+)", line):
            if now[1] == "SEARCH" and not now[2]:
                for n in m[1].split():
                    if not 1 <= int(n) <= len(self.uids):
                        self.fail(f"SEARCH found number {int(n)} of {len(self.uids)}")
        elif line.startswith(b"* OK ["):
            self.code(line[5:].decode("latin-1"))
        elif line.startswith(b"* BYE") and not self.world.forgiving:
            self.fail(line.decode("latin-1"))

    def may_expunge(self, now):
        if not now or not now[2]:
            self.fail(f"EXPUNGE while {now} (RFC 9051 7.5.1)")

    def drop(self, uid):
        if uid is not None:
            self.gone.add(uid)
            self.flags.pop(uid, None)

    def hear_vanished(self, now, earlier, text):
        if not self.qresync:
            self.fail("VANISHED without ENABLE QRESYNC")
        if earlier:
            for uid in ranges(text):
                self.vanished_earlier.add(uid)
            return
        self.may_expunge(now)
        for uid in ranges(text):
            if now[1] in ("SELECT", "EXAMINE"):  # it went since EXISTS was told
                self.vanished_earlier.add(uid)
                self.exists -= 1
                self.shifted = True
            elif uid in self.uids:
                self.uids.remove(uid)
                self.drop(uid)
            else:
                self.uids.pop(self.untold(uid))
                self.gone.add(uid)

    def untold(self, uid):
        """Where a message stands that was told by EXISTS alone and has this UID."""
        before = 0
        for i, mine in enumerate(self.uids):
            if mine is None and before < uid < next((u for u in self.uids[i:] if u is not None), 1 << 33):
                return i
            before = mine or before
        self.fail(f"VANISHED {uid}, which was never told")

    def hear_fetch(self, n, line):
        selecting = self.pending and self.pending[0][1] in ("SELECT", "EXAMINE")
        if not selecting and not 1 <= n <= len(self.uids):
            self.fail(f"FETCH of number {n} of {len(self.uids)}")
        head = re.sub(rb"BODY\[[^\]]*\] \{\d+\}\r\n.*", b"", line, flags=re.S)
        m = re.search(rb"\bUID (\d+)", head)
        uid = int(m[1]) if m else (None if selecting else self.uids[n - 1])
        if m and selecting:
            if uid in self.gone:
                self.fail(f"UID {uid} is back")
            self.told_in_select[n] = uid
        elif m:
            self.place(n, uid)
        if uid is None:
            return
        if m := re.search(rb"MODSEQ \((\d+)\)", head):
            modseq = int(m[1])
            if modseq < self.modseqs.get(uid, 0):
                self.fail(f"MODSEQ of {uid} goes back from {self.modseqs[uid]} to {modseq}")
            self.modseqs[uid] = modseq
            self.seen_modseq = max(self.seen_modseq, modseq)
            self.world.top_modseq = max(self.world.top_modseq, modseq)
        if m := re.search(rb"FLAGS \(([^)]*)\)", head):
            self.flags[uid] = frozenset(m[1].decode().split()) - {"\\Recent"}
        if m := re.search(rb"BODY\[\] \{(\d+)\}\r\n", line):
            self.hear_body(uid, line[m.end():m.end() + int(m[1])])

    def place(self, n, uid):
        if uid in self.gone:
            self.fail(f"UID {uid} is back")
        mine = self.uids[n - 1]
        if mine is not None and mine != uid:
            self.fail(f"number {n} is UID {mine}, not {uid}")
        before = next((u for u in reversed(self.uids[:n - 1]) if u is not None), 0)
        after = next((u for u in self.uids[n:] if u is not None), 1 << 33)
        if not before < uid < after:
            self.fail(f"UID {uid} of number {n} is not between {before} and {after}")
        self.uids[n - 1] = uid
        self.world.top_uid = max(self.world.top_uid, uid)

    def hear_body(self, uid, body):
        m = re.search(rb"X-Sum: ([0-9a-f]{8})\r\n\r\n", body)
        if not m or int(m[1], 16) != zlib.crc32(body[m.end():]):
            self.fail(f"the body of {uid} is damaged: {body[:200]!r}")
        if self.world.bodies.setdefault(uid, zlib.crc32(body)) != zlib.crc32(body):
            self.fail(f"UID {uid} meant other bytes before")

    def code(self, text):
        if m := re.search(r"\[HIGHESTMODSEQ (\d+)\]", text):
            self.highest = int(m[1])
        if m := re.search(r"\[UIDVALIDITY (\d+)\]", text):
            if self.world.validity not in (None, int(m[1])):
                self.fail(f"UIDVALIDITY was {self.world.validity}: {text}")
            self.world.validity = int(m[1])
        if m := re.search(r"\[COPYUID \d+ ([\d:,]+) ([\d:,]+)\]", text):
            if len(list(ranges(m[1]))) != len(list(ranges(m[2]))):
                self.fail(text)

    # ---- selecting

    async def select(self, resync=False):
        """SELECT or EXAMINE; with resync what is believed is brought up to date, without it is asked for anew."""
        covers, next_uid = self.world.top_modseq, self.world.top_uid
        self.read_only = self.rng.random() < .1
        self.exists, self.vanished_earlier, self.told_in_select, self.seen_modseq, self.shifted = 0, set(), {}, 0, False
        self.selected = False
        old, known = dict(self.flags), [u for u in self.uids if u is not None]
        if not resync:
            self.uids, self.flags = [], {}
        more = f" (QRESYNC ({self.world.validity} {self.known_modseq}))" if resync else " (CONDSTORE)" if self.rng.random() < .5 else ""
        status, text, untagged = await self.run(f"{'EXAMINE' if self.read_only else 'SELECT'} {MAIN}{more}")
        if status != "OK":
            return
        self.selected = True
        if not resync:
            self.gone = set()
        for line in untagged:
            if m := re.match(rb"\* OK \[UIDNEXT (\d+)\]", line):
                if int(m[1]) <= next_uid:
                    self.fail(f"UIDNEXT {int(m[1])}, but {next_uid} is there")
        if self.highest < covers:
            self.fail(f"HIGHESTMODSEQ {self.highest}, but {covers} was told before (RFC 7162 3.1.2.1)")
        if resync:
            self.world.resyncs += 1
            self.resynced(known, old)
        else:
            self.uids = [None] * self.exists
        for n, uid in self.told_in_select.items():
            if not self.shifted:
                self.place(n, uid)
        await self.learn()

    def resynced(self, known, old):
        for uid in known:
            if uid in self.vanished_earlier:
                self.drop(uid)
        left = sorted({u for u in known if u not in self.vanished_earlier} | (set(self.told_in_select.values()) - self.vanished_earlier))
        if len(left) > self.exists:
            self.fail(f"after QRESYNC {len(left)} UIDs are left of {self.exists}: {set_of(left)}")
        self.uids = left + [None] * (self.exists - len(left))

    async def learn(self):
        """Asks for the UIDs and flags of messages of which only the number is known."""
        while self.selected and None in self.uids:
            first = self.uids.index(None) + 1
            await self.run(f"FETCH {first}:{len(self.uids)} (UID FLAGS MODSEQ)")
            if self.uids and first <= len(self.uids) and self.uids[first - 1] is None:
                await self.run("NOOP")  # it is gone: NOOP tells so

    @property
    def known_modseq(self):
        return max(self.highest, 1)

    # ---- what it does

    def some(self, by_uid):
        """A set of numbers or UIDs, and the UIDs that it means."""
        n = len(self.uids)
        if by_uid:
            known = [u for u in self.uids if u is not None] or [1]
            if self.rng.random() < .3:
                a, b = sorted((self.rng.choice(known), self.rng.choice(known)))
                return f"{a}:{min(b, a + 15)}"
            return set_of(set(self.rng.sample(known, min(len(known), self.rng.randint(1, 4)))))
        a = self.rng.randint(1, n)
        return f"{a}:{min(n, a + self.rng.randint(0, 10))}" if self.rng.random() < .5 else set_of({self.rng.randint(1, n) for _ in range(3)})

    def a_command(self, by_uid):
        """(command, literal) of one that may stand in a pipeline."""
        rng, uid = self.rng, "UID " if by_uid else ""
        what = rng.random()
        if what < .30:
            return f"{uid}FETCH {self.some(by_uid)} {rng.choice(['(FLAGS)', '(UID FLAGS MODSEQ)', '(UID BODY.PEEK[])', '(UID BODY[])', '(UID RFC822.SIZE ENVELOPE)', '(BODYSTRUCTURE INTERNALDATE)'])}", None
        if what < .40:
            return f"{uid}SEARCH {rng.choice(['ALL', 'DELETED', 'UNSEEN', 'FLAGGED', 'KEYWORD $one', 'SUBJECT 7', 'MODSEQ 1'])}", None
        if self.read_only or what < .45:
            return f"{uid}FETCH {self.some(by_uid)} (FLAGS)", None
        if what < .60:
            return f"{uid}STORE {self.some(by_uid)} {rng.choice(['+FLAGS', '-FLAGS'])}.SILENT ({self.own})", None
        op, flags = rng.choice(["+FLAGS", "-FLAGS", "FLAGS", "+FLAGS"]), rng.sample([*SYSTEM, "\\Deleted", "$one", "$two"], rng.randint(1, 3))
        if op == "FLAGS":  # what it sets whole must not take the keywords of others
            op = "+FLAGS"
        condition = f"(UNCHANGEDSINCE {max(self.world.top_modseq - rng.randint(0, 20), 1)}) " if rng.random() < .25 else ""
        return f"{uid}STORE {self.some(by_uid)} {condition}{op} ({' '.join(flags)})", None

    def silent(self, command, status, text):
        """Of a .SILENT STORE nothing but its success is told."""
        m = re.match(r"(UID )?STORE ([\d:,]+) ([+-])FLAGS.SILENT", command)
        if not m or status not in ("OK", "NO"):
            return
        numbers = set(ranges(m[2]))
        uids = numbers if m[1] else {self.meant[n] for n in numbers if n in self.meant}
        if status == "NO":  # some were gone; what became of the others must be asked for
            self.unsure |= uids
        for uid in uids & set(self.flags) if status == "OK" else ():
            self.flags[uid] = self.flags[uid] | {self.own} if m[3] == "+" else self.flags[uid] - {self.own}

    async def pipeline(self):
        """Numbers may be used as long as no command before may tell of an EXPUNGE (RFC 9051 5.5)."""
        commands, tags, numbers_ok = [], [], True
        self.meant, self.unsure = dict(enumerate(self.uids, 1)), set()
        for _ in range(self.rng.choice([1, 1, 1, 2, 5])):
            by_uid = not (numbers_ok and self.uids) or self.rng.random() < .5
            command, literal = self.a_command(by_uid)
            numbers_ok = numbers_ok and not by_uid
            commands.append(command)
            tags.append(self.send(command, literal))
        if self.rng.random() < .03:
            await asyncio.sleep(self.rng.random() * .05)
            return self.cut()  # in the middle
        for command, (status, text, _) in zip(commands, await self.answers(tags)):
            self.silent(command, status, text)
        if self.unsure:
            await self.run(f"UID FETCH {set_of(self.unsure)} (FLAGS)")

    async def idle(self):
        await self.answers([self.send("IDLE")])
        tag = self.pending[0][0]
        end = asyncio.get_running_loop().time() + self.rng.random() * .5
        while (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                byte = await asyncio.wait_for(self.reader.read(1), left)
            except asyncio.TimeoutError:
                break
            if not byte:
                raise ConnectionError("closed")
            self.reader._buffer[:0] = byte  # a line begins: it is read whole
            line = await self.line()
            self.hear(line)
        self.writer.write(b"DONE\r\n")
        await self.answers([tag])

    async def side(self):
        a, b = self.rng.sample(SIDES, 2)
        await self.run(self.rng.choice([f"CREATE {a}", f"DELETE {a}", f"RENAME {a} {b}", f"STATUS {MAIN} (MESSAGES UIDNEXT HIGHESTMODSEQ)", f"STATUS {a} (MESSAGES)", 'LIST "" *']))

    async def step(self):
        rng, what = self.rng, self.rng.random()
        if not self.writer:
            self.world.reconnects += 1
            resync = self.resumable and rng.random() < .7 and self.world.validity is not None
            await self.connect(resync or rng.random() < .3)
            await self.select(resync)
            return
        if not self.selected:
            return await self.select()
        small = len(self.uids) < 30
        if what < (.25 if small else .07):
            await self.run(f"APPEND {MAIN}{rng.choice(['', ' (' + chr(92) + 'Seen)', ' ($one)'])}", message(rng))
        elif what < .10:
            await self.run("NOOP")
        elif what < .14:
            await self.idle()
        elif what < .17:
            await self.side()
        elif what < .20 and self.uids and not self.read_only:
            await self.run(f"UID {rng.choice(['COPY', 'COPY', 'MOVE'])} {self.some(True)} {rng.choice([MAIN, rng.choice(SIDES)])}")
        elif what < .23 and not self.read_only:
            await self.run("EXPUNGE" if rng.random() < .4 else f"UID EXPUNGE {self.some(True)}")
        elif what < .24:
            self.resumable = False
            await self.run(rng.choice(["UNSELECT", "CLOSE"]))
            self.selected = False
        elif what < .25:
            await self.select()
        elif what < .27:
            self.resumable = self.qresync and None not in self.uids
            self.cut()
            return
        elif self.uids:
            await self.pipeline()
        if self.writer and self.selected:
            await self.learn()

    resumable = False

    async def live(self):
        loop = asyncio.get_running_loop()
        while loop.time() < self.world.end:
            try:
                await self.step()
            except (ConnectionError, asyncio.IncompleteReadError) as e:
                if not self.world.forgiving:
                    self.fail(f"the server closed: {e}")
                self.cut()
                self.resumable = False
                await asyncio.sleep(.1)
        return self

    async def settle(self):
        """At the end: all that there is to hear."""
        for _ in range(20):
            try:
                if not self.writer:
                    await self.connect()
                if not self.selected:
                    await self.select()
                await self.run("NOOP")
                await self.learn()
                return
            except (ConnectionError, asyncio.IncompleteReadError):
                self.cut()
                await asyncio.sleep(.3)
        self.fail("the server does not answer any more")


async def stress(args):
    world = World(args)
    loop = asyncio.get_running_loop()
    print(f"seed {args.seed}", flush=True)
    first = Client(world, "first")
    await first.connect()
    await first.run(f"CREATE {MAIN}")
    for name in SIDES[:2]:
        await first.run(f"CREATE {name}")
    for _ in range(20):
        await first.run(f"APPEND {MAIN}", message(first.rng))
    first.cut()
    world.end = loop.time() + args.seconds
    clients = [Client(world, i) for i in range(args.clients)]
    await asyncio.gather(*(c.live() for c in clients))
    await asyncio.gather(*(c.settle() for c in clients))
    await asyncio.gather(*(c.settle() for c in clients))  # now nobody changes anything
    fresh = Client(world, "fresh")
    await fresh.connect()
    await fresh.select()
    await fresh.run("UID FETCH 1:* (FLAGS MODSEQ BODY.PEEK[])")
    for c in clients:
        if c.uids != fresh.uids:
            c.fail(f"believes in {set_of(c.uids)}, there are {set_of(fresh.uids)}")
        for uid in c.uids:
            if c.flags.get(uid) != fresh.flags[uid]:
                c.fail(f"flags of {uid}: believes {sorted(c.flags.get(uid, ()))}, they are {sorted(fresh.flags[uid])}")
    for c in [*clients, fresh]:
        c.cut()
    print(f"{world.commands} commands, {world.reconnects} connections, {world.resyncs} with QRESYNC, {world.refused} answered NO, {len(fresh.uids)} messages at the end, UIDs up to {world.top_uid}, MODSEQ {world.top_modseq}")
    return world


def main(words=None):
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--user", required=True)
    p.add_argument("--password", required=True)
    p.add_argument("--clients", type=int, default=50)
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--seed", type=int, default=random.getrandbits(24))
    p.add_argument("--forgiving", action="store_true", help="roles are killed meanwhile: lost connections and NO [UNAVAILABLE] are no faults")
    args = p.parse_args(words)
    try:
        return asyncio.run(stress(args))
    except Violation as e:
        print(f"VIOLATION (seed {args.seed}) {e}", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
