"""Reads QAPI notation: objects in JSON form with single quotes, `#` comments and `##` documentation blocks."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from .docs import DocBlock, parse_doc_block
from .errors import Place, SchemaError

_TOKEN = re.compile(r"""(?P<space>[ \t\r]+)|(?P<newline>\n)|(?P<comment>\#[^\n]*)|(?P<string>'[^'\n]*')
                        |(?P<word>true|false)|(?P<mark>[{}\[\]:,])""", re.VERBOSE)


class Located(dict):
    """A schema object that remembers where it was written, and where each of its keys was."""

    def __init__(self, place):
        super().__init__()
        self.place = place
        self.key_places = {}


@dataclass
class Definition:
    """One top-level object with the documentation in front of it."""

    body: Located
    doc: DocBlock | None
    place: Place


@dataclass
class SchemaText:
    """Everything a schema says, in order: includes are already followed."""

    definitions: list[Definition] = field(default_factory=list)
    sections: list[tuple[str, int]] = field(default_factory=list)  # title, index of the first definition below it
    files: list[Path] = field(default_factory=list)


@dataclass
class _Token:
    kind: str
    text: str
    place: Place


def _tokens(path, text):
    """All tokens of a file; comments are kept, as documentation lives in them."""
    result, line, position = [], 1, 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise SchemaError(Place(path, line), f"stray character {text[position]!r}")
        if match.lastgroup == "newline":
            line += 1
        elif match.lastgroup != "space":
            result.append(_Token(match.lastgroup, match.group(), Place(path, line)))
        position = match.end()
    result.append(_Token("end", "end of file", Place(path, line)))
    return result


class _FileParser:
    """Parses one file; an include is handed to `on_include` where it stands."""

    def __init__(self, path, schema, on_include):
        self.path = path
        self.schema = schema
        self.on_include = on_include
        self.tokens = _tokens(path, path.read_text(encoding="utf-8"))
        self.index = 0

    def parse(self):
        doc = None
        while self._peek().kind != "end":
            token = self._peek()
            if token.kind == "comment":
                doc = self._comment(doc)
                continue
            body = self._object()
            if "include" in body:
                self._include(body, doc)
            else:
                self.schema.definitions.append(Definition(body, doc, token.place))
            doc = None
        if doc is not None:
            raise SchemaError(doc.place, f"documentation of '{doc.name}' is not followed by a definition")

    def _peek(self):
        return self.tokens[self.index]

    def _next(self):
        token = self.tokens[self.index]
        self.index += 1
        return token

    def _skip_comments(self):
        while self._peek().kind == "comment":
            self._next()

    def _expect(self, text):
        self._skip_comments()
        token = self._next()
        if token.text != text or token.kind == "string":
            raise SchemaError(token.place, f"expected {text!r}, found {token.text}")
        return token

    def _comment(self, doc):
        """Skips a plain comment, or returns the documentation block that begins here."""
        first = self._next()
        if first.text.strip() != "##":
            return doc
        if doc is not None:
            raise SchemaError(doc.place, f"documentation of '{doc.name}' is not followed by a definition")
        lines = []
        while True:
            token = self._next()
            if token.kind != "comment":
                raise SchemaError(first.place, "documentation block is not closed by '##'")
            if token.text.strip() == "##":
                break
            lines.append((token.text[1:].removeprefix(" ").rstrip(), token.place))
        block = parse_doc_block(lines, first.place)
        if block.title is not None:
            self.schema.sections.append((block.title, len(self.schema.definitions)))
            return None
        return block

    def _include(self, body, doc):
        if doc is not None or len(body) != 1 or not isinstance(body["include"], str):
            raise SchemaError(body.place, "an include has a file name, no documentation and nothing else")
        self.on_include(self.path.parent / body["include"], body.place)

    def _object(self):
        body = Located(self._expect("{").place)
        self._skip_comments()
        if self._peek().text == "}" and self._peek().kind == "mark":
            self._next()
            return body
        while True:
            self._skip_comments()
            key = self._next()
            if key.kind != "string":
                raise SchemaError(key.place, f"expected a name in quotes, found {key.text}")
            name = key.text[1:-1]
            if name in body:
                raise SchemaError(key.place, f"'{name}' is given twice")
            self._expect(":")
            body[name] = self._value()
            body.key_places[name] = key.place
            if not self._comma_or("}"):
                return body

    def _list(self):
        self._expect("[")
        self._skip_comments()
        if self._peek().text == "]" and self._peek().kind == "mark":
            self._next()
            return []
        values = []
        while True:
            values.append(self._value())
            if not self._comma_or("]"):
                return values

    def _comma_or(self, closing):
        self._skip_comments()
        token = self._next()
        if token.kind == "mark" and token.text in (",", closing):
            return token.text == ","
        raise SchemaError(token.place, f"expected ',' or '{closing}', found {token.text}")

    def _value(self):
        self._skip_comments()
        token = self._peek()
        if token.kind == "mark" and token.text == "{":
            return self._object()
        if token.kind == "mark" and token.text == "[":
            return self._list()
        self._next()
        if token.kind == "string":
            return token.text[1:-1]
        if token.kind == "word":
            return token.text == "true"
        raise SchemaError(token.place, f"expected a value, found {token.text}")


def parse_schema(path):
    """Reads `path` and everything it includes, each file once."""
    schema = SchemaText()
    seen = set()

    def read(file, included_from):
        if file.resolve() in seen:
            return
        seen.add(file.resolve())
        if not file.is_file():
            raise SchemaError(included_from or file, f"cannot read {file}: no such file")
        schema.files.append(file)
        _FileParser(file, schema, read).parse()

    read(Path(path), None)
    return schema
