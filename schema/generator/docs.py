"""Documentation blocks: `# @name:` for the definition and for each member, then sections such as `Returns:`."""

import re
from dataclasses import dataclass, field

from .errors import Place, SchemaError

_MEMBER = re.compile(r"@([A-Za-z0-9_-]+):\s*(.*)$")
_SECTION = re.compile(r"(Returns|Errors|Since|Note|Default|Unit):\s*(.*)$")


@dataclass
class DocBlock:
    """What is written about one definition. Texts are paragraphs joined by an empty line."""

    place: Place
    name: str = ""
    title: str | None = None  # set instead of the rest by a block of the form `# = Title`
    text: str = ""
    members: dict[str, str] = field(default_factory=dict)
    member_places: dict[str, Place] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)


def parse_doc_block(lines, place):
    """Turns the comment lines between two `##` into a DocBlock."""
    block = DocBlock(place)
    if not lines:
        raise SchemaError(place, "empty documentation block")
    if lines[0][0].startswith("= "):
        block.title = lines[0][0][2:].strip()
        return block
    first = _MEMBER.match(lines[0][0])
    if first is None:
        raise SchemaError(lines[0][1], "documentation begins with '@NAME:' of the definition, or with '= TITLE'")
    block.name = first.group(1)
    current = _Text()
    if first.group(2):
        current.add(first.group(2))
    store = _store_text(block)
    for text, line_place in lines[1:]:
        member, section = _MEMBER.match(text), _SECTION.match(text)
        if member is None and section is None:
            current.add(text.strip())
            continue
        store(current.joined())
        current = _Text()
        if member is not None:
            name = member.group(1)
            if name in block.members:
                raise SchemaError(line_place, f"member '{name}' of '{block.name}' is documented twice")
            block.members[name] = ""
            block.member_places[name] = line_place
            store = _store_in(block.members, name)
            current.add(member.group(2))
        else:
            store = _store_in(block.sections, section.group(1))
            current.add(section.group(2))
    store(current.joined())
    return block


class _Text:
    """Collects lines into paragraphs."""

    def __init__(self):
        self.paragraphs = [[]]

    def add(self, line):
        if line:
            self.paragraphs[-1].append(line)
        elif self.paragraphs[-1]:
            self.paragraphs.append([])

    def joined(self):
        return "\n\n".join(" ".join(lines) for lines in self.paragraphs if lines)


def _store_text(block):
    def store(text):
        block.text = text

    return store


def _store_in(target, key):
    def store(text):
        target[key] = text

    return store
