#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills a store at every write, sync and rename that it makes, loses what was not synced, and looks what is left.

    run.py [--driver build-test/crash_driver] [--disk build-test/crash_disk.so] [--seconds 90 | --minutes M] [--steps 12] [--seed S]

For each workload (a seed) the operations on the disk are counted, then the workload is run again and killed at
operation N: without loss (a killed process), with all that was not synced lost, or with a random part of it lost (torn
sectors). What was answered before is compared with what the store then holds: each answered change is there and
byte-identical, nothing is there twice, changes under way are there whole or not at all, UIDVALIDITY, UID and MODSEQ did
not go back, and fsck finds nothing. Some runs are killed once more while the store recovers, some go on working
afterwards. Runs until the time is up or every N was tried; ends with "N passed, N failed"."""
import argparse
import collections
import concurrent.futures
import itertools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LOSE_NOTHING, LOSE_ALL, LOSE_SOME = 0, 1, 2
OWN_NAMES = ("Box", "Lists")  # mailboxes that only the workload makes
NOTHING = frozenset()  # annotations of a message: ("0:/name" (private) or "1:/name" (shared), value)


class Mailbox:
    def __init__(self, uidvalidity=None):
        self.uidvalidity, self.messages, self.new, self.modseq, self.uid_max = uidvalidity, {}, [], 0, 0

    def copy(self):
        other = Mailbox(self.uidvalidity)
        other.messages, other.new, other.modseq, other.uid_max = dict(self.messages), list(self.new), self.modseq, self.uid_max
        return other

    def add(self, uid, message):
        if uid is None:
            self.new.append(message)
        else:
            self.messages[uid] = message
            self.uid_max = max(self.uid_max, uid)


class Model:
    """What should be in the store. Answers that never came are None: then uids are not known."""

    def __init__(self):
        self.users, self.queue, self.memos, self.sent, self.ready, self.problems = {}, {}, {}, [0, 0], False, []

    def copy(self):
        other = Model()
        other.users = {u: {n: m.copy() for n, m in boxes.items()} for u, boxes in self.users.items()}
        other.queue, other.memos, other.sent = {a: dict(row) for a, row in self.queue.items()}, dict(self.memos), list(self.sent)
        other.ready, other.problems = self.ready, self.problems
        return other

    def box(self, user, name, uidvalidity=None):
        box = self.users.setdefault(user, {}).setdefault(name, Mailbox(uidvalidity))
        if box.uidvalidity is None:
            box.uidvalidity = uidvalidity
        elif uidvalidity is not None and uidvalidity != box.uidvalidity:
            self.problems.append(f"mailbox {name} changed its UIDVALIDITY from {box.uidvalidity} to {uidvalidity}")
        return box

    def apply(self, words, answer):
        getattr(self, "do_" + words[0])(words[1:], answer)

    def do_deliver(self, words, answer):
        number, queued, targets = int(words[0]), int(words[1]), words[2:]
        for i, target in enumerate(targets):
            user, name = target.split(":")
            uidvalidity, uid = map(int, answer[i].split(".")) if answer is not None else (None, None)
            self.box(user, name, uidvalidity).add(uid, (number, 0, NOTHING))
        if queued:  # 2: its sender's account counts it
            self.queue[f"r{number}@remote.test"] = {"tries": 0, "held": 0, "reroute": "-", "due": None}
        self.sent[0] += queued == 2

    def do_append(self, words, answer):
        user, name, numbers = words[0], words[1], words[2].split(",")
        uids = answer[1].split(",") if answer is not None else [None] * len(numbers)
        for number, uid in zip(numbers, uids):
            self.box(user, name, int(answer[0]) if answer else None).add(uid and int(uid), (int(number), 0, NOTHING))

    def do_store(self, words, answer):
        user, name, op, flags = words[0], words[1], int(words[2]), int(words[3])
        box = self.box(user, name)
        for uid in map(int, words[4].split(",")):
            if uid in box.messages:
                number, old, annotations = box.messages[uid]
                box.messages[uid] = (number, (flags, old | flags, old & ~flags)[op], annotations)
        if answer:
            box.modseq = max(box.modseq, int(answer[0]))

    def do_annotate(self, words, answer):
        box = self.box(words[0], words[1])
        for uid in map(int, words[2].split(",")):
            if uid in box.messages:
                number, flags, old = box.messages[uid]
                new = dict(old) | dict(w.split("=") for w in words[3:])
                box.messages[uid] = (number, flags, frozenset(a for a in new.items() if a[1] != "-"))
        if answer:
            box.modseq = max(box.modseq, int(answer[0]))

    def do_copy(self, words, answer, move=False):
        user, name, to, uids = words[0], words[1], words[2], [int(u) for u in words[3].split(",")]
        into = [int(u) for u in answer[1].split(",")] if answer is not None else [None] * len(uids)
        source, target = self.box(user, name), self.box(user, to, int(answer[0]) if answer else None)
        for uid, new in zip(uids, into):
            if uid in source.messages:
                target.add(new, source.messages[uid])
                if move:
                    del source.messages[uid]

    def do_move(self, words, answer):
        self.do_copy(words, answer, move=True)

    def do_expunge(self, words, answer):
        box = self.box(words[0], words[1])
        for uid in map(int, words[2].split(",")):
            box.messages.pop(uid, None)
        if answer:
            box.modseq = max(box.modseq, int(answer[0]))

    def do_replace(self, words, answer):
        user, name, uid, to, number = words
        self.box(user, name).messages.pop(int(uid), None)
        self.box(user, to, int(answer[0]) if answer else None).add(int(answer[1]) if answer else None, (int(number), 0, NOTHING))

    def do_create(self, words, answer):
        self.users.setdefault(words[0], {})[words[1]] = Mailbox(int(answer[0]) if answer else None)

    def do_delete(self, words, answer):
        self.users.setdefault(words[0], {}).pop(words[1], None)

    def do_rename(self, words, answer):
        boxes = self.users.setdefault(words[0], {})
        if words[1] in boxes:
            boxes[words[2]] = boxes.pop(words[1])
            boxes[words[2]].uidvalidity = None  # RFC 9051 6.3.6 lets it change

    def do_settle(self, words, answer):
        if words[1] == "1":
            self.queue.pop(words[0], None)
        elif words[0] in self.queue:
            self.queue[words[0]].update(tries=int(words[2]), due=None)
        self.sent[1] += int(words[3])
        if words[3] == "1":  # the address does not exist: suppressed in the same transaction
            self.memos["suppress", f"example.test/{words[0]}"] = "hard"

    def do_change(self, words, answer):
        row = self.queue.get(words[0], {})
        op, due, text = words[1:]
        if op == "hold":
            row["held"] = 1
        elif op == "release":
            row.update(held=0)
        elif op == "reroute":
            row["reroute"] = text
        row["due"] = int(due) if op == "due" else None

    def do_memos(self, words, answer):
        for name, value in ((words[1], words[2]), (words[3], words[4])):
            if value == "-":
                self.memos.pop((words[0], name), None)
            else:
                self.memos[words[0], name] = value


def read_acks(path):
    """The model of what was answered, and what was asked and not answered."""
    model, asked = Model(), {}
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines():
        words = line.split()
        if words[0] == "S":
            model.ready = True
        elif words[0] == "I":
            asked[words[1]] = words[2:]
        elif words[0] == "A":
            model.apply(asked.pop(words[1]), words[2:])
        else:
            asked.pop(words[1])
    return model, list(asked.values())


def compare(model, users, rest):
    """The first difference, or None."""
    queue, memos, sent = rest
    if set(queue) != set(model.queue):
        return f"queue: missing {sorted(set(model.queue) - set(queue))}, unexpected {sorted(set(queue) - set(model.queue))}"
    for address, want in model.queue.items():
        if any(want[k] is not None and want[k] != queue[address][k] for k in want):
            return f"queue row of {address}: should be {want} and is {queue[address]}"
    if memos != model.memos:
        return f"memos: {memos} instead of {model.memos}"
    if sent != model.sent:
        return f"messages sent, refused: {sent} instead of {model.sent}"
    for user, want in model.users.items():
        have = users.get(user, {})
        for name in set(want) | {n for n in have if n.startswith(OWN_NAMES)}:
            if name not in have or name not in want:
                return f"user {user}: mailbox {name} is {'missing' if name in want else 'unexpected'}"
            difference = compare_box(want[name], have[name])
            if difference:
                return f"user {user}, mailbox {name}: {difference}"
    for user, have in users.items():
        for name, box in have.items():
            if name not in model.users.get(user, {}) and box["messages"]:
                return f"user {user}, mailbox {name}: unexpected messages"
    return None


def compare_box(want, have):
    if want.uidvalidity is not None and want.uidvalidity != have["uidvalidity"]:
        return f"UIDVALIDITY was {want.uidvalidity} and is {have['uidvalidity']}"
    if have["uidnext"] <= want.uid_max:
        return f"UIDNEXT is {have['uidnext']}, and {want.uid_max} was given"
    if have["modseq"] < want.modseq:
        return f"MODSEQ went back from {want.modseq} to {have['modseq']}"
    rest = dict(have["messages"])
    for uid, message in want.messages.items():
        if rest.pop(uid, None) != message:
            return f"message {uid} should be {message} and is {have['messages'].get(uid)}"
    if collections.Counter(rest.values()) != collections.Counter(want.new):
        return f"besides, there are {rest} instead of {want.new}"
    return None


def explain(model, pending, users, rest):
    """None when the answered changes and some of those under way (each whole or not at all) give what is there."""
    first = None
    for some in itertools.product((False, True), repeat=len(pending)):
        for order in itertools.permutations([p for p, yes in zip(pending, some) if yes]):
            attempt = model.copy()
            for words in order:
                attempt.apply(words, None)
            difference = compare(attempt, users, rest)
            if difference is None:
                return None
            first = first or difference
    return f"{first} (under way: {pending})"


class Runner:
    def __init__(self, args):
        self.args = args
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-crash-", dir=args.folder)).resolve()

    def driver(self, words, folder, at=0, mode=0, seed=0, count=None, preload=True):
        env = dict(os.environ)
        env.update(CRASH_DIR=str(folder), CRASH_AT=str(at), CRASH_MODE=str(mode), CRASH_SEED=str(seed))
        env["ASAN_OPTIONS"] = "detect_leaks=0:verify_asan_link_order=0"
        if preload:
            env["LD_PRELOAD"] = str(self.args.disk)
        if count:
            env["CRASH_COUNT"] = str(count)
        return subprocess.run([str(self.args.driver)] + [str(w) for w in words], env=env, capture_output=True, text=True, timeout=300)

    def count(self, seed):
        folder = self.top / f"count-{seed}"
        trash = self.fresh(folder)
        count = self.top / f"count-{seed}.txt"
        run = self.driver(["run", folder, self.top / f"count-{seed}.acks", seed, self.args.steps], folder, count=count)
        if run.returncode:
            sys.exit(f"the workload fails without being killed:\n{run.stderr[-3000:]}")
        shutil.rmtree(folder)
        shutil.rmtree(trash)
        return int(count.read_text())

    @staticmethod
    def fresh(folder):
        trash = folder.with_name(folder.name + ".trash")
        folder.mkdir()
        trash.mkdir()
        return trash

    def one(self, seed, at, mode):
        """None, or what is wrong."""
        name = f"{seed}-{at}-{mode}"
        folder, acks, dice = self.top / name, self.top / (name + ".acks"), random.Random(name)
        trash = self.fresh(folder)
        run = self.driver(["run", folder, acks, seed, self.args.steps], folder, at, mode, dice.getrandbits(30))
        if run.returncode not in (0, -signal.SIGKILL):
            return f"{name}: the workload ended with {run.returncode}\n{run.stderr[-3000:]}"
        again = dice.random() < 0.25  # it dies again while it recovers
        if again:
            self.driver(["verify", folder], folder, dice.randrange(1, 40), mode, dice.getrandbits(30))
        wrong = self.look(folder, acks)
        if not wrong and dice.random() < 0.1:
            wrong = self.go_on(folder, seed + 1)
        if wrong:
            return f"{name}{' (killed again while recovering)' if again else ''}: {wrong}\nkept in {folder}"
        shutil.rmtree(folder)
        shutil.rmtree(trash)
        acks.unlink(missing_ok=True)
        return None

    def look(self, folder, acks):
        run = self.driver(["verify", folder], folder, preload=False)
        if run.returncode:
            return f"the store cannot be read afterwards: {run.returncode}\n{run.stderr[-3000:]}"
        users, queue, memos, sent = {}, {}, {}, [0, 0]
        for line in run.stdout.splitlines():
            words = line.split()
            if words[0] == "account":
                users[words[1]] = {}
            elif words[0] == "mailbox":
                users[words[1]][words[2]] = {"uidvalidity": int(words[3]), "uidnext": int(words[4]), "modseq": int(words[5]), "messages": {}}
            elif words[0] == "message":
                if words[4] == "0":
                    return f"the body of a message is not what was given: {line}"
                users[words[1]][words[2]]["messages"][int(words[3])] = (int(words[4]), int(words[5]), NOTHING)
            elif words[0] == "annotation":
                messages, uid = users[words[1]][words[2]]["messages"], int(words[3])
                messages[uid] = messages[uid][:2] + (messages[uid][2] | {(words[4], words[5])},)
            elif words[0] == "queue":
                queue[words[1]] = {"tries": int(words[2]), "held": int(words[3]), "reroute": words[4], "due": int(words[5])}
            elif words[0] == "memo":
                memos[words[1], words[2]] = words[3]
            elif words[0] == "sent":
                sent = [int(words[1]), int(words[2])]
            elif words[0] == "failed":
                return line
            elif words[0] == "fsck" and words[1] != "0":
                return "fsck:\n" + run.stdout[-3000:]
        if "fsck 0" not in run.stdout:
            return "fsck did not end"
        model, pending = read_acks(acks)
        if model.problems:
            return model.problems[0]
        if model.ready and len(users) < 2:
            return "an account is missing"
        return explain(model, pending, users, (queue, memos, sent))

    def go_on(self, folder, seed):
        run = self.driver(["run", folder, os.devnull, seed, 4], folder, preload=False)
        if run.returncode:
            return f"it does not work any more: {run.returncode}\n{run.stderr[-3000:]}"
        run = self.driver(["verify", folder], folder, preload=False)
        return None if "fsck 0" in run.stdout else f"after going on:\n{run.stdout[-3000:]}"


def plan(runner, args, until):
    """(seed, at, mode) in an order that reaches everywhere early; new workloads as long as there is time."""
    for seed in itertools.count(args.seed):
        count = runner.count(seed)
        cases = [(seed, at, mode) for at in range(1, count + 1) for mode in (LOSE_ALL, LOSE_SOME, LOSE_NOTHING)]
        random.Random(seed).shuffle(cases)
        print(f"workload {seed}: {count} operations on the disk, {len(cases)} ways to die", flush=True)
        for case in cases:
            if time.monotonic() > until:
                return
            yield case
        if not args.minutes:
            return


def main():
    parser = argparse.ArgumentParser()
    build = pathlib.Path(__file__).resolve().parents[2] / "build-test"
    parser.add_argument("--driver", default=build / "crash_driver", type=pathlib.Path)
    parser.add_argument("--disk", default=build / "crash_disk.so", type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="SEED-AT-MODE: this one, as a failure names it")
    parser.add_argument("--folder", default="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    args = parser.parse_args()
    runner = Runner(args)
    until = time.monotonic() + (args.minutes * 60 or args.seconds)
    passed, failed = 0, 0
    cases = [tuple(map(int, args.only.split("-")))] if args.only else plan(runner, args, until)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = set()
        for case in itertools.chain(cases, [None]):
            if case:
                waiting.add(pool.submit(runner.one, *case))
            while waiting and (not case or len(waiting) > 2 * os.cpu_count()):
                done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
                for result in done:
                    wrong = result.result()
                    passed, failed = passed + (wrong is None), failed + (wrong is not None)
                    if wrong and failed <= 20:
                        print(wrong, flush=True)
    if not failed:
        shutil.rmtree(runner.top)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
