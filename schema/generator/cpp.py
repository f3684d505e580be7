"""What all C++ emitters share: text with indentation, doc comments, spelling of types."""

import textwrap

from . import names
from .model import Array, Builtin, Command, Union

WIDTH = 110


class Text:
    """Lines of a generated file."""

    def __init__(self, *lines):
        self.lines = list(lines)

    def add(self, *lines):
        self.lines.extend(lines)
        return self

    def blank(self):
        if self.lines and self.lines[-1] != "":
            self.lines.append("")

    def comment(self, text, indent=""):
        """A `///` comment, wrapped; nothing if there is nothing to say."""
        prefix = indent + "/// "
        for number, paragraph in enumerate(text.split("\n\n") if text else []):
            if number > 0:
                self.lines.append(prefix.rstrip())
            self.lines.extend(textwrap.wrap(plain(paragraph), WIDTH, initial_indent=prefix, subsequent_indent=prefix,
                                            break_long_words=False, break_on_hyphens=False))

    def documented(self, line, doc, indent="  "):
        """A declaration with its documentation: behind it where that fits, else above."""
        behind = f"{indent}{line}  ///< {plain(doc)}"
        if doc and len(behind) <= WIDTH and "\n" not in doc:
            self.lines.append(behind)
        else:
            self.comment(doc, indent)
            self.lines.append(indent + line)

    def __str__(self):
        return "\n".join(self.lines).rstrip("\n") + "\n"


def header(purpose):
    return Text(f"// {purpose}", "// Generated from schema/*.json: change it there.", "#pragma once", "")


def source(purpose):
    return Text(f"// {purpose}", "// Generated from schema/*.json: change it there.")


def plain(text):
    """Documentation text as it is read in a comment: references lose their mark."""
    return text.replace("@", "")


def type_name(type_):
    """How C++ spells a type of the schema."""
    if isinstance(type_, Builtin):
        return type_.cpp
    if isinstance(type_, Array):
        return f"std::vector<{type_name(type_.element)}>"
    return type_.name


def member_type(member):
    return f"std::optional<{type_name(member.type)}>" if member.optional else type_name(member.type)


def branch_types(union: Union):
    """The alternatives of a union's variant: one for each value of the discriminator, in their order."""
    return [(value.name, union.branches.get(value.name)) for value in union.discriminator.type.values]


def arguments_name(command: Command):
    if command.arguments is None:
        return "Nothing"
    return type_name(command.arguments) if command.gen else "boost::json::object"


def returns_name(command: Command):
    if command.returns is None:
        return "Nothing"
    return type_name(command.returns) if command.gen else "boost::json::value"


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def enumerator(enum, value_name):
    return f"{enum.name}::{names.snake(value_name)}"
