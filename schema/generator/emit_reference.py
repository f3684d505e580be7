"""docs/reference.md: the control interface for people who use it."""

import re

from .model import Array, Builtin, Command, Enum, Event, Struct, Union

_DEFAULT = re.compile(r"\s*Default: (?P<value>[^.(]+?)(?=\s*\(|\.)")
_SINCE = re.compile(r"\s*\(since (?P<value>[0-9.]+)\)")

_PREFACE = """# The control interface

Every command, event and type of the monitor, generated from `schema/` (target `reference`): change it there.

A request is `{"execute": COMMAND, "arguments": {...}}`, an answer `{"return": VALUE}` or `{"error": {...}}`; the rules are
those of QMP. "Since" names the version of QEMU that brought something, so that one can see what an older peer knows. What
is optional may be left out; for answers that means it may be missing. Whether a capability or parameter is already put to
use by this program, the status table says, not this page.
"""


def emit(schema):
    lines = [_PREFACE, "## Contents", ""]
    for section in schema.sections:
        entries = [_link(entry) for entry in _in_order(section.entries) if isinstance(entry, (Command, Event))]
        lines.append(f"- [{section.title}](#{_anchor(section.title)})" + (": " if entries else "") + ", ".join(entries))
    for section in schema.sections:
        lines += ["", f'<a id="{_anchor(section.title)}"></a>', "", f"## {section.title}"]
        for entry in _in_order(section.entries):
            lines += ["", f'<a id="{_id(entry)}"></a>', ""] + _describe(entry)
    return "\n".join(lines) + "\n"


def _in_order(entries):
    """What a reader looks for first comes first."""
    kinds = (Command, Event)
    return sorted(entries, key=lambda entry: next((place for place, kind in enumerate(kinds) if isinstance(entry, kind)),
                                                  len(kinds)))


def _anchor(title):
    return "section-" + re.sub(r"[^a-z]+", "-", title.lower())


def _id(entry):
    kind = "command" if isinstance(entry, Command) else "event" if isinstance(entry, Event) else "type"
    return f"{kind}-{entry.name}"


def _link(entry):
    return f"[`{entry.name}`](#{_id(entry)})"


def _describe(entry):
    if isinstance(entry, Command):
        return _command(entry)
    if isinstance(entry, Event):
        return _event(entry)
    return _type(entry)


def _command(command):
    lines = [f"### {command.name} (command)", "", *_paragraphs(command.doc.text)]
    lines += _arguments(command.arguments, "Argument")
    facts = []
    if command.returns is not None:
        returns = f"Returns {_spell(command.returns)}"
        text = command.doc.sections.get("Returns")
        facts.append(returns + (f": {_text(text)}" if text else "."))
    if command.allow_oob:
        facts.append("May be run out of band.")
    return lines + _facts(facts, command)


def _event(event):
    return [f"### {event.name} (event)", "", *_paragraphs(event.doc.text), *_arguments(event.data, "Data"),
            *_facts([], event)]


def _arguments(type_, title):
    if type_ is None:
        return []
    if isinstance(type_, Struct) and type_.implicit:
        return ["", *_member_table(type_.members, title)]
    return ["", f"{title}: the members of {_spell(type_)}."]


def _type(type_):
    kind = "enum" if isinstance(type_, Enum) else "object" if isinstance(type_, (Struct, Union)) else "value or null"
    lines = [f"### {type_.name} ({kind})", "", *_paragraphs(type_.doc.text)]
    if isinstance(type_, Enum):
        lines += ["", *_value_table(type_.values)]
    elif isinstance(type_, Struct) and type_.members:
        lines += ["", *_member_table(type_.members, "Member")]
    elif isinstance(type_, Union):
        lines += ["", *_member_table(type_.base, "Member"), "",
                  f"Further members depend on `{type_.discriminator.name}`:", ""]
        for value in type_.discriminator.type.values:
            branch = type_.branches.get(value.name)
            lines.append(f"- `{value.name}`: {f'those of {_spell(branch)}' if branch else 'none'}")
    return lines + _facts([], type_)


def _facts(facts, entry):
    if "Note" in entry.doc.sections:
        facts.append(_text(entry.doc.sections["Note"]))
    if "unstable" in getattr(entry, "features", []):
        facts.append("May change without notice.")
    if "Since" in entry.doc.sections:
        facts.append(f"Since {entry.doc.sections['Since']}.")
    return ["", " ".join(facts)] if facts else []


def _member_table(members, title):
    rows = [(f"`{member.name}`", _spell(member.type) + (", optional" if member.optional else ""), *_facts_of(member))
            for member in members]
    return _table((title, "Type", "Default", "Since", "Meaning"), rows)


def _value_table(values):
    return _table(("Value", "Default", "Since", "Meaning"), [(f"`{value.name}`", *_facts_of(value)) for value in values])


def _facts_of(item):
    """What stands in columns of its own: default, version; and the text without them."""
    doc = item.doc
    found = []
    for pattern in (_DEFAULT, _SINCE):
        match = pattern.search(doc)
        found.append(match.group("value") if match else "")
        doc = doc[:match.start()] + doc[match.end():] if match else doc
    unstable = " May change without notice." if "unstable" in item.features else ""
    return *found, _text(doc.replace("..", ".")) + unstable


def _table(titles, rows):
    """A table without the columns nobody uses."""
    used = [index for index in range(len(titles)) if any(row[index] for row in rows)]
    lines = ["| " + " | ".join(titles[index] for index in used) + " |", "|" + " --- |" * len(used)]
    return lines + ["| " + " | ".join(row[index].replace("|", "\\|") for index in used) + " |" for row in rows]


def _spell(type_):
    if isinstance(type_, Array):
        return f"array of {_spell(type_.element)}"
    if isinstance(type_, Builtin):
        return {"str": "string", "bool": "boolean", "any": "any JSON value"}.get(type_.name, type_.name)
    return _link(type_)


def _paragraphs(text):
    lines = []
    for paragraph in text.split("\n\n"):
        lines += ["", _text(paragraph)]
    return lines[1:]


def _text(text):
    """References in running text lose their mark; sentences begin with a capital."""
    plain = re.sub(r"@([\w-]+)", r"`\1`", text)
    return plain[:1].upper() + plain[1:]
