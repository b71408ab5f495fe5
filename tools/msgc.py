#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes C from a table of messages between roles.  msgc.py X.msg OUT.h OUT.c

A table has these lines (indentation is free, '#' comments above a thing become its documentation):

    protocol NAME VERSION
    struct NAME                      fields follow, one a line: NAME TYPE
    call NAME by CLASS... [retry]    'in' and 'out' sections of fields; retry: may be asked again after a reconnect
    notice NAME to client|server     fields; never answered, may be lost

Types: u8 u16 u32 u64 i64 bool, bytes MAX and text MAX (a struct slice; text holds no NUL), list STRUCT MAX (pointer
and count), STRUCT (embedded), fd (one open descriptor, at most one a message; the receiver owns it, -1: none).
"""
import pathlib
import sys

INTS = {"u8": ("uint8_t", 1), "u16": ("uint16_t", 2), "u32": ("uint32_t", 4), "u64": ("uint64_t", 8), "i64": ("int64_t", 8), "bool": ("bool", 1)}
CLASSES = ["mx", "user", "admin", "auth", "relay", "scan", "store", "supervisor", "indexer"]


class Group:
    def __init__(self, name, doc):
        self.name, self.doc, self.fields = name, doc, []


class Message(Group):
    def __init__(self, kind, name, doc, classes, retry):
        super().__init__(name, doc)
        self.kind, self.classes, self.retry = kind, classes, retry
        self.parts = {"in": Group(name + "_in", []), "out": Group(name + "_out", [])}


def die(path, number, text):
    sys.exit(f"{path}:{number}: {text}")


def parse(path):
    protocol, version, structs, messages, doc, target, message = None, 0, [], [], [], None, None
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            doc.append(line[1:].strip())
            continue
        if not line:
            doc = []
            continue
        text, _, note = line.partition("#")
        words = text.split()
        if words[0] == "protocol":
            protocol, version = words[1], int(words[2])
        elif words[0] == "struct":
            target, message = Group(words[1], doc), None
            structs.append(target)
        elif words[0] == "call":
            retry = words[-1] == "retry"
            classes = words[3:-1] if retry else words[3:]
            if words[2] != "by" or not classes or any(c not in CLASSES for c in classes):
                die(path, number, f"call {words[1]}: who may call it? by {' '.join(CLASSES)}")
            message = Message("call", words[1], doc, classes, retry)
            messages.append(message)
            target = None
        elif words[0] == "notice":
            if words[2] != "to" or words[3] not in ("client", "server"):
                die(path, number, "notice NAME to client|server")
            message = Message("notice_" + words[3], words[1], doc, CLASSES, False)
            messages.append(message)
            target = message.parts["in"]
        elif words[0] in ("in", "out") and len(words) == 1:
            if not message:
                die(path, number, f"{words[0]} outside a call")
            target = message.parts[words[0]]
        else:
            if target is None or len(words) < 2:
                die(path, number, f"'{line}' is not a field")
            target.fields.append((words[0], words[1:], (doc, note.strip()), number))
        doc = []
    names = {s.name for s in structs}
    for group in structs + [p for m in messages for p in m.parts.values()]:
        for name, kind, _, number in group.fields:
            base = kind[1] if kind[0] == "list" else kind[0]
            if base not in names and base not in INTS and base not in ("bytes", "text", "fd"):
                die(path, number, f"field {name}: there is no type '{base}'")
            if kind[0] in ("bytes", "text") and len(kind) != 2 or kind[0] == "list" and len(kind) != 3:
                die(path, number, f"field {name}: a maximum is missing")
    return protocol, version, structs, messages


def comment(lines, indent=""):
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/* {lines[0]} */\n"
    return f"{indent}/* " + f"\n{indent} * ".join(lines) + " */\n"


def c_struct(p, group):
    out = comment(group.doc) + f"struct {p}_{group.name} {{\n"
    for name, kind, (doc, note), _ in group.fields:
        out += comment(doc, "\t")
        tail = f" /* {note} */" if note else ""
        if kind[0] in INTS:
            out += f"\t{INTS[kind[0]][0]} {name};{tail}\n"
        elif kind[0] in ("bytes", "text"):
            out += f"\tstruct slice {name};{tail or f' /* at most {kind[1]} bytes */'}\n"
        elif kind[0] == "list":
            out += f"\tstruct {p}_{kind[1]} *{name};{tail or f' /* at most {kind[2]} */'}\n\tuint32_t n{name};\n"
        elif kind[0] == "fd":
            out += f"\tint {name};{tail}\n"
        else:
            out += f"\tstruct {p}_{kind[0]} {name};{tail}\n"
    if not group.fields:
        out += "\tchar none;\n"
    return out + "};\n"


def c_encode(p, group):
    out = f"static void\nput_{group.name}(struct ipc_writer *w, const struct {p}_{group.name} *m)\n{{\n"
    for name, kind, _, _ in group.fields:
        if kind[0] in INTS:
            out += f"\tbuf_put_le(w->to, (uint64_t)m->{name}, {INTS[kind[0]][1]});\n"
        elif kind[0] in ("bytes", "text"):
            out += f"\tipc_put_slice(w, m->{name}, {kind[1]});\n"
        elif kind[0] == "list":
            out += f"\tipc_put_count(w, m->n{name}, {kind[2]});\n\tfor (uint32_t i = 0; i < m->n{name}; i++)\n\t\tput_{kind[1]}(w, &m->{name}[i]);\n"
        elif kind[0] == "fd":
            out += f"\tipc_put_fd(w, m->{name});\n"
        else:
            out += f"\tput_{kind[0]}(w, &m->{name});\n"
    if not group.fields:
        out += "\t(void)w, (void)m;\n"
    return out + "}\n"


def c_decode(p, group):
    out = f"static bool\ntake_{group.name}(struct ipc_reader *r, struct {p}_{group.name} *m)\n{{\n"
    for name, kind, _, _ in group.fields:
        if kind[0] in INTS:
            out += f"\tuint64_t {name}_word;\n\tif (!ipc_take_le(r, &{name}_word, {INTS[kind[0]][1]}))\n\t\treturn false;\n"
            if kind[0] == "bool":
                out += f"\tif ({name}_word > 1)\n\t\treturn false;\n"
            out += f"\tm->{name} = ({INTS[kind[0]][0]}){name}_word;\n"
        elif kind[0] in ("bytes", "text"):
            out += f"\tif (!ipc_take_slice(r, &m->{name}, {kind[1]}, {'true' if kind[0] == 'text' else 'false'}))\n\t\treturn false;\n"
        elif kind[0] == "list":
            out += (f"\tif (!ipc_take_count(r, &m->n{name}, {kind[2]}))\n\t\treturn false;\n"
                    f"\tm->{name} = ARENA_ARRAY(r->arena, struct {p}_{kind[1]}, m->n{name} + 1);\n"
                    f"\tfor (uint32_t i = 0; i < m->n{name}; i++)\n\t\tif (!take_{kind[1]}(r, &m->{name}[i]))\n\t\t\treturn false;\n")
        elif kind[0] == "fd":
            out += f"\tif (!ipc_take_fd(r, &m->{name}))\n\t\treturn false;\n"
        else:
            out += f"\tif (!take_{kind[0]}(r, &m->{name}))\n\t\treturn false;\n"
    if not group.fields:
        out += "\t(void)r, (void)m;\n"
    return out + "\treturn true;\n}\n"


def c_print(p, group):
    out = f"static void\nprint_{group.name}(struct buf *to, const struct {p}_{group.name} *m)\n{{\n"
    for name, kind, _, _ in group.fields:
        if kind[0] in INTS:
            signed = kind[0] == "i64"
            out += f"\tbuf_printf(to, \" {name}=%ll{'d' if signed else 'u'}\", ({'long long' if signed else 'unsigned long long'})m->{name});\n"
        elif kind[0] in ("bytes", "text"):
            out += f"\tipc_print_slice(to, \"{name}\", m->{name}, {'true' if kind[0] == 'text' else 'false'});\n"
        elif kind[0] == "list":
            out += f"\tbuf_printf(to, \" {name}=[\");\n\tfor (uint32_t i = 0; i < m->n{name}; i++) {{\n\t\tbuf_put(to, S(\" {{\"));\n\t\tprint_{kind[1]}(to, &m->{name}[i]);\n\t\tbuf_put(to, S(\" }}\"));\n\t}}\n\tbuf_put(to, S(\" ]\"));\n"
        elif kind[0] == "fd":
            out += f"\tbuf_printf(to, \" {name}=%s\", m->{name} >= 0 ? \"fd\" : \"none\");\n"
        else:
            out += f"\tbuf_put(to, S(\" {name}={{\"));\n\tprint_{kind[0]}(to, &m->{name});\n\tbuf_put(to, S(\" }}\"));\n"
    if not group.fields:
        out += "\t(void)to, (void)m;\n"
    return out + "}\n"


def erased(p, name):
    """Functions with erased types, as struct ipc_message wants them."""
    return (f"static void\nput_{name}_any(struct ipc_writer *w, const void *m)\n{{\n\tput_{name}(w, m);\n}}\n"
            f"static bool\ntake_{name}_any(struct ipc_reader *r, void *m)\n{{\n\treturn take_{name}(r, m);\n}}\n"
            f"static void\nprint_{name}_any(struct buf *to, const void *m)\n{{\n\tprint_{name}(to, m);\n}}\n")


def header(p, version, structs, messages, source):
    guard = f"{p.upper()}_MSG_H"
    out = f"/* Made by tools/msgc.py from {source}: do not edit. */\n#ifndef {guard}\n#define {guard}\n\n#include \"ipc/ipc.h\"\n\n"
    out += f"#define {p.upper()}_PROTOCOL_VERSION {version}\nextern const struct ipc_protocol {p}_protocol;\n\n"
    for s in structs:
        out += c_struct(p, s) + "\n"
    for m in messages:
        m.parts["in"].doc = m.doc
        out += c_struct(p, m.parts["in"])
        if m.kind == "call":
            out += c_struct(p, m.parts["out"])
            out += f"/* Asks and waits. *out and what it points to live in the arena. May be called by: {', '.join(m.classes)}. */\n"
            out += f"enum err await_{p}_{m.name}(struct ipc_client *c, const struct {p}_{m.name}_in *in, struct arena *a, struct {p}_{m.name}_out *out);\n"
            out += f"void {p}_{m.name}_reply(struct ipc_call *call, const struct {p}_{m.name}_out *out);\n\n"
        elif m.kind == "notice_client":
            out += f"void {p}_{m.name}_notify(struct ipc_peer *peer, const struct {p}_{m.name}_in *in);\n\n"
        else:
            out += f"void {p}_{m.name}_notify(struct ipc_client *c, const struct {p}_{m.name}_in *in);\n\n"
    out += f"/* What a server of this protocol does: every call is answered once, by its reply function or ipc_fail. A call left NULL\n * is answered with ERR_UNSUPPORTED. in lives as long as the call. */\nstruct {p}_server {{\n"
    for m in messages:
        if m.kind != "notice_client":
            out += f"\tvoid (*{m.name})(struct ipc_call *call, const struct {p}_{m.name}_in *in);\n"
    out += "\tvoid (*closed)(struct ipc_peer *peer); /* the peer went away; its calls may still be answered */\n};\n"
    out += f"/* What a client hears. */\nstruct {p}_listener {{\n"
    for m in messages:
        if m.kind == "notice_client":
            out += f"\tvoid (*{m.name})(struct ipc_client *c, const struct {p}_{m.name}_in *in);\n"
    out += "\tvoid (*connected)(struct ipc_client *c); /* for the first time, or again */\n};\n\n#endif\n"
    return out


def source_file(p, version, structs, messages, source, header_name):
    out = f"/* Made by tools/msgc.py from {source}: do not edit. */\n#include \"{header_name}\"\n\n"
    for s in structs:
        out += c_encode(p, s) + c_decode(p, s) + c_print(p, s)
    for m in messages:
        for part in (["in", "out"] if m.kind == "call" else ["in"]):
            g = m.parts[part]
            out += c_encode(p, g) + c_decode(p, g) + c_print(p, g) + erased(p, g.name)
        if m.kind == "notice_client":
            out += (f"static void\ndispatch_{m.name}(const void *handlers, void *who, const void *in)\n{{\n\tconst struct {p}_listener *h = handlers;\n"
                    f"\tif (h->{m.name})\n\t\th->{m.name}(who, in);\n}}\n")
        else:
            fail = "ipc_fail(who, ERR_UNSUPPORTED)" if m.kind == "call" else "ipc_done(who)"
            for name, kind, _, _ in m.parts["in"].fields:
                if kind[0] == "fd":
                    fail = f"ipc_drop_fd(((const struct {p}_{m.name}_in *)in)->{name}), {fail}"
            out += (f"static void\ndispatch_{m.name}(const void *handlers, void *who, const void *in)\n{{\n\tconst struct {p}_server *h = handlers;\n"
                    f"\tif (h->{m.name})\n\t\th->{m.name}(who, in);\n\telse\n\t\t{fail};\n}}\n")
    out += "static const struct ipc_message messages[] = {\n"
    for m in messages:
        bits = " | ".join(f"IPC_CLASS_{c.upper()}" for c in m.classes)
        kind = {"call": "IPC_CALL", "notice_client": "IPC_NOTICE_TO_CLIENT", "notice_server": "IPC_NOTICE_TO_SERVER"}[m.kind]
        out += f"\t{{ \"{p}.{m.name}\", {kind}, {bits}, {'true' if m.retry else 'false'}, sizeof(struct {p}_{m.name}_in), "
        out += f"{f'sizeof(struct {p}_{m.name}_out)' if m.kind == 'call' else '0'}, put_{m.name}_in_any, take_{m.name}_in_any, print_{m.name}_in_any, "
        out += (f"put_{m.name}_out_any, take_{m.name}_out_any, print_{m.name}_out_any, " if m.kind == "call" else "NULL, NULL, NULL, ")
        out += f"dispatch_{m.name} }},\n"
    out += "};\n"
    out += f"static void\ndispatch_closed(const void *handlers, struct ipc_peer *peer)\n{{\n\tconst struct {p}_server *h = handlers;\n\tif (h->closed)\n\t\th->closed(peer);\n}}\n"
    out += f"static void\ndispatch_connected(const void *handlers, struct ipc_client *c)\n{{\n\tconst struct {p}_listener *h = handlers;\n\tif (h && h->connected)\n\t\th->connected(c);\n}}\n"
    out += f"const struct ipc_protocol {p}_protocol = {{ \"{p}\", {version}, COUNT_OF(messages), messages, dispatch_closed, dispatch_connected }};\n"
    for number, m in enumerate(messages):
        if m.kind == "call":
            out += (f"enum err\nawait_{p}_{m.name}(struct ipc_client *c, const struct {p}_{m.name}_in *in, struct arena *a, struct {p}_{m.name}_out *out)\n"
                    f"{{\n\treturn await_ipc_call(c, {number}, in, a, out);\n}}\n"
                    f"void\n{p}_{m.name}_reply(struct ipc_call *call, const struct {p}_{m.name}_out *out)\n{{\n\tipc_reply(call, out);\n}}\n")
        elif m.kind == "notice_client":
            out += f"void\n{p}_{m.name}_notify(struct ipc_peer *peer, const struct {p}_{m.name}_in *in)\n{{\n\tipc_notify_client(peer, {number}, in);\n}}\n"
        else:
            out += f"void\n{p}_{m.name}_notify(struct ipc_client *c, const struct {p}_{m.name}_in *in)\n{{\n\tipc_notify_server(c, {number}, in);\n}}\n"
    return out


def main():
    path, out_h, out_c = (pathlib.Path(a) for a in sys.argv[1:4])
    protocol, version, structs, messages = parse(path)
    out_h.write_text(header(protocol, version, structs, messages, path.name))
    out_c.write_text(source_file(protocol, version, structs, messages, path.name, out_h.name))


main()
