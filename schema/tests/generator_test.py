#!/usr/bin/env python3
"""The generator: what it makes of a schema, what it refuses, and whether the schema holds all of its seed."""

import contextlib
import io
import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parent
SCHEMA = TESTS.parent
sys.path.insert(0, str(SCHEMA))

import generate  # noqa: E402
from generator import builder, emit_introspection, parser  # noqa: E402
from generator.errors import SchemaError  # noqa: E402
from generator.model import Enum, Struct  # noqa: E402

POINT = """
##
# @Point:
#
# A place.
#
# @x: to the right.
##
{ 'struct': 'Point', 'data': { 'x': 'int' } }
"""


def documented(name, members, body):
    lines = [f"# @{name}: text"] + [f"#\n# @{member}: text" for member in members]
    return "\n".join(["##", *lines, "##", body, ""])


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, text, name="test.json"):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def build(self, text):
        return builder.build(parser.parse_schema(self.write(text)))

    def run_generator(self, *arguments):
        """Runs the program itself; gives what it complained about, or None."""
        before, sys.argv = sys.argv, ["generate.py", *map(str, arguments)]
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                generate.main()
        except SystemExit as error:
            return error.code
        finally:
            sys.argv = before
        return None

    def output(self, schema):
        out = self.folder / "out"
        complaint = self.run_generator(schema, "--output", out, "--reference", out / "reference.md")
        self.assertIsNone(complaint)
        return {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()}


class Output(Folder):
    def test_a_member_added_to_the_schema_is_all_it_takes(self):
        for path in SCHEMA.glob("*.json"):
            shutil.copy(path, self.folder)
        before = self.output(self.folder / "schema.json")
        path = self.folder / "migration.json"
        text = path.read_text(encoding="utf-8")
        text = text.replace("# @capability: which switch.", "# @colour-of-it: why.\n#\n# @capability: which switch.", 1)
        text = text.replace("{ 'capability': 'MigrationCapability',", "{ '*colour-of-it': 'str', 'capability': "
                            "'MigrationCapability',", 1)
        path.write_text(text, encoding="utf-8")
        after = self.output(self.folder / "schema.json")
        for name, line in {
            "types.h": "  std::optional<std::string> colour_of_it{};  ///< why.",
            "members.h": '  visitor("colour-of-it", value.colour_of_it);',
            "json.cpp": '  writer.member("colour-of-it", value.colour_of_it);',
            "introspection.cpp": '{"name":"colour-of-it","type":"str","default":null}',
            "reference.md": "| `colour-of-it` | string, optional | Why. |",
        }.items():
            self.assertTrue(line not in before[name], name)
            self.assertTrue(line in after[name], name)
        self.assertTrue('  GODWIT_TRY(reader.optional("colour-of-it", value.colour_of_it));' in after["json.cpp"])

    def test_files_that_stay_the_same_are_left_alone(self):
        schema = self.write(POINT)
        self.output(schema)
        times = {path: path.stat().st_mtime_ns for path in (self.folder / "out").iterdir()}
        self.output(schema)
        self.assertEqual(times, {path: path.stat().st_mtime_ns for path in times})

    def test_reference_check_notices_a_difference(self):
        schema = self.write(POINT)
        page = self.folder / "page.md"
        self.assertIsNone(self.run_generator(schema, "--reference", page))
        self.assertIsNone(self.run_generator(schema, "--reference", page, "--check"))
        page.write_text(page.read_text(encoding="utf-8") + "more", encoding="utf-8")
        self.assertIn("does not say what the schema says", self.run_generator(schema, "--reference", page, "--check"))

    def test_a_keyword_of_cpp_gets_a_mark(self):
        out = self.output(self.write(documented("E", ["default", "pre-switch"],
                                                "{ 'enum': 'E', 'data': [ 'default', 'pre-switch' ] }")))
        self.assertIn("  default_,", out["types.h"])
        self.assertIn('"default",', out["types.cpp"])
        self.assertIn("  pre_switch,", out["types.h"])

    def test_types_are_defined_before_they_are_used(self):
        text = documented("Outer", ["p"], "{ 'struct': 'Outer', 'data': { 'p': ['Point'] } }") + POINT
        types = self.output(self.write(text))["types.h"]
        self.assertLess(types.index("struct Point {"), types.index("struct Outer {"))

    def test_json_of_any_shape_stays_out_of_types(self):
        text = documented("Holder", ["v"], "{ 'struct': 'Holder', 'data': { 'v': 'any' } }") + \
            documented("Outer", ["h"], "{ 'struct': 'Outer', 'data': { '*h': 'Holder' } }") + POINT
        out = self.output(self.write(text))
        self.assertNotIn("json", out["types.h"].split("namespace", 1)[1].replace("In JSON", "").lower())
        self.assertIn("struct Holder {", out["raw_types.h"])
        self.assertIn("struct Outer {", out["raw_types.h"])
        self.assertIn("struct Point {", out["types.h"])

    def test_an_included_file_is_read_once(self):
        self.write(POINT, "point.json")
        self.write("{ 'include': 'point.json' }\n", "middle.json")
        schema = self.build("{ 'include': 'point.json' }\n{ 'include': 'middle.json' }\n")
        self.assertEqual([type_.name for type_ in schema.types], ["Point"])

    def test_integers_of_all_sizes_are_one_to_clients(self):
        entries = emit_introspection.entries(self.build(
            documented("c", ["a", "b"], "{ 'command': 'c', 'data': { 'a': 'uint8', '*b': 'size' } }")))
        described = next(entry for entry in entries if entry["meta-type"] == "object" and entry["members"])
        self.assertEqual(described["members"], [{"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": None}])


class Mistakes(Folder):
    def refused(self, text, line, message):
        """`line` counts from 1; documented() takes 4 lines, and 2 more for each member."""
        with self.assertRaises(SchemaError) as caught:
            self.build(text)
        place, _, rest = str(caught.exception).partition(": ")
        self.assertEqual(place, f"{self.folder / 'test.json'}:{line}")
        self.assertIn(message, rest)

    def test_syntax(self):
        self.refused("{ 'struct': 'A'\n  'data': {} }", 2, "expected ',' or '}', found 'data'")
        self.refused("{ 'struct': 'A',\n\n  'data': [ 'x' }", 3, "expected ',' or ']', found }")
        self.refused("{ 'struct' 'A' }", 1, "expected ':', found 'A'")
        self.refused("\n{ \"struct\": 'A' }", 2, "stray character")
        self.refused("{ 'a': 'b',\n 'a': 'c' }", 2, "'a' is given twice")
        self.refused("{ 'a':\n", 2, "expected a value, found end of file")
        self.refused("'a'\n", 1, "expected '{', found 'a'")

    def test_documentation(self):
        self.refused("{ 'struct': 'A', 'data': {} }", 1, "struct 'A' is not documented")
        self.refused("##\n# @A: text\n", 1, "documentation block is not closed")
        self.refused("##\n# A: text\n##\n{ 'struct': 'A', 'data': {} }", 2, "documentation begins with '@NAME:'")
        self.refused("##\n##\n", 1, "empty documentation block")
        self.refused(documented("B", [], "{ 'struct': 'A', 'data': {} }"), 1, "documentation is for 'B'")
        self.refused(documented("A", [], "\n{ 'struct': 'A', 'data': { 'x': 'int' } }"), 5, "'x' of 'A' is not documented")
        self.refused(documented("A", ["x"], "{ 'struct': 'A', 'data': {} }"), 4, "names 'x', which it does not have")
        self.refused("##\n# @A: text\n# @x: a\n# @x: b\n##\n", 4, "member 'x' of 'A' is documented twice")
        self.refused(documented("A", [], "") + POINT, 1, "documentation of 'A' is not followed by a definition")
        self.refused(documented("A", [], ""), 1, "documentation of 'A' is not followed by a definition")

    def test_names(self):
        self.refused(POINT + POINT, 18, "'Point' is defined twice")
        self.refused(documented("A", ["x"], "{ 'struct': 'A', 'data': { 'x': 'Nope' } }"), 6, "there is no type 'Nope'")
        self.refused(documented("A", ["x"], "{ 'struct': 'A',\n  'data': { 'x': ['Nope'] } }"), 7, "there is no type 'Nope'")
        self.refused(documented("A", ["a-b", "a_b"], "{ 'enum': 'A', 'data': [ 'a-b', 'a_b' ] }"), 8,
                     "value 'a_b' clashes with 'a-b'")
        self.refused(documented("str", [], "{ 'struct': 'str', 'data': {} }"), 4, "'str' is a built-in type")
        self.refused(documented("A", ["!"], "{ 'struct': 'A', 'data': { '!': 'int' } }"), 6, "'!' is not a name for a member")
        self.refused(documented("PointArguments", [], "{ 'struct': 'PointArguments', 'data': {} }") +
                     documented("point", ["x"], "{ 'command': 'point', 'data': { 'x': 'int' } }"), 10,
                     "would be defined twice")

    def test_shapes(self):
        self.refused(documented("A", [], "{ 'struct': 'A', 'data': {},\n  'colour': 'red' }"), 5, "unknown key 'colour'")
        self.refused(documented("A", [], "{ 'struct': 'A', 'data': 'x' }"), 4, "'data' of struct 'A' is of the wrong kind")
        self.refused(documented("c", [], "{ 'command': 'c',\n 'gen': 'no' }"), 5, "'gen' of command 'c' is of the wrong kind")
        self.refused(documented("A", [], "{ 'enum': 'A', 'data': [ true ] }"), 4, "'True' is not a name for a value")
        self.refused(documented("A", [], "{ 'struct': 'A' }"), 4, "struct 'A' lacks 'data'")
        self.refused(documented("A", [], "{ 'data': {} }"), 4, "exactly one of the keys")
        self.refused(documented("A", ["x"], "{ 'struct': 'A', 'data': { '*x': 'A' } }"), 6, "contains itself: A -> A")
        self.refused(documented("A", [], "{ 'enum': 'A', 'data': [] }"), 4, "needs a list of values")
        self.refused(documented("c", [], "{ 'command': 'c', 'data': 'int' }"), 4, "'int' is not a struct")
        self.refused(documented("c", [], "{ 'command': 'c', 'boxed': true,\n 'data': { 'x': 'int' } }"), 4, "'boxed' needs")
        self.refused(documented("A", [], "{ 'alternate': 'A', 'data': { 'a': 'str', 'b': 'int' } }"), 4, "a type or 'null'")
        self.refused(POINT + documented("U", ["t"], "{ 'union': 'U', 'base': { 't': 'int' }, 'discriminator': 't',\n"
                                                    " 'data': { 'a': 'Point' } }"), 15, "discriminator of 'U'")
        self.refused(POINT + documented("E", ["a"], "{ 'enum': 'E', 'data': [ 'a' ] }") +
                     documented("U", ["t"], "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 't',\n"
                                            " 'data': { 'b': 'Point' } }"), 22, "'b' is no value of 'E'")

    def test_a_missing_include_names_the_line(self):
        self.refused("\n{ 'include': 'nope.json' }", 2, "no such file")

    def test_the_program_says_so_and_fails(self):
        path = self.write("{ 'struct': 'A', 'data': {} }")
        self.assertEqual(self.run_generator(path), f"{path}:1: struct 'A' is not documented")


class Seed(unittest.TestCase):
    """Every name of the seed is in the schema, as it was there."""

    NEWER = {"*channels", "*exit-on-error"}  # members of later versions

    @classmethod
    def setUpClass(cls):
        cls.schema = builder.build(parser.parse_schema(SCHEMA / "schema.json"))
        cls.seed = json.loads((TESTS / "data" / "seed_inventory.json").read_text(encoding="utf-8"))
        cls.types = {type_.name: type_ for type_ in cls.schema.types}

    def assert_in_order(self, wanted, found, what):
        self.assertEqual(wanted, [name for name in found if name in wanted], what)

    @staticmethod
    def spelled(type_):
        return [("*" if member.optional else "") + member.name for member in type_.members] if type_ else []

    def test_counts(self):
        self.assertEqual({kind: len(names) for kind, names in self.seed.items()},
                         {"commands": 23, "events": 3, "enums": 7, "structs": 9})

    def test_commands(self):
        commands = {command.name: command for command in self.schema.commands}
        for name, seed in self.seed["commands"].items():
            command = commands[name]
            arguments = command.arguments
            if isinstance(seed["arguments"], str):
                self.assertEqual(arguments.name, seed["arguments"])
            else:
                spelled = [member for member in self.spelled(arguments) if member not in self.NEWER]
                self.assertEqual(spelled, seed["arguments"], name)
            self.assertEqual(command.allow_oob, seed["oob"], name)
            returns = seed["returns"]
            if isinstance(returns, list):
                self.assertEqual(command.returns.element.name, returns[0], name)
            else:
                self.assertEqual(command.returns.name if command.returns else None, returns, name)

    def test_events(self):
        events = {event.name: event for event in self.schema.events}
        for name, members in self.seed["events"].items():
            self.assertEqual(self.spelled(events[name].data), members, name)

    def test_enums(self):
        for name, values in self.seed["enums"].items():
            self.assertIsInstance(self.types[name], Enum)
            self.assert_in_order(values, [value.name for value in self.types[name].values], name)

    def test_structs(self):
        for name, members in self.seed["structs"].items():
            self.assertIsInstance(self.types[name], Struct)
            self.assert_in_order(members, self.spelled(self.types[name]), name)


if __name__ == "__main__":
    unittest.main()
