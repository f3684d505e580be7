#!/usr/bin/env python3
"""Generates from a schema: `generate.py SCHEMA --output FOLDER` the C++, `--reference FILE` the reference page."""

import argparse
import sys
from pathlib import Path

from generator import (builder, emit_commands, emit_introspection, emit_json, emit_members, emit_reference, emit_types,
                       parser)
from generator.errors import SchemaError

_CPP_EMITTERS = (emit_types, emit_members, emit_json, emit_commands, emit_introspection)


def write(path, content):
    """Leaves a file alone that is up to date, so that nothing is compiled again for nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != content:
        path.write_text(content, encoding="utf-8")


def check(path, content):
    if not path.is_file() or path.read_text(encoding="utf-8") != content:
        sys.exit(f"{path} does not say what the schema says: build the target `reference` and commit the result")


def generate_cpp(schema, folder, depfile):
    files = {name: content for emitter in _CPP_EMITTERS for name, content in emitter.emit(schema).items()}
    for name, content in files.items():
        write(folder / name, content)
    if depfile:
        own = sorted(Path(__file__).resolve().parent.glob("generator/*.py"))
        needed = [file.resolve() for file in schema.files] + own + [Path(__file__).resolve()]
        depfile.write_text(f"{folder / next(iter(files))}: " + " \\\n  ".join(map(str, needed)) + "\n", encoding="utf-8")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("schema", type=Path)
    arguments.add_argument("--output", type=Path, help="folder for the C++ files")
    arguments.add_argument("--depfile", type=Path, help="file that tells the build what the C++ files depend on")
    arguments.add_argument("--reference", type=Path, help="file for the reference page")
    arguments.add_argument("--check", action="store_true", help="only say whether the reference page is up to date")
    options = arguments.parse_args()
    try:
        schema = builder.build(parser.parse_schema(options.schema))
    except SchemaError as error:
        sys.exit(str(error))
    if options.output:
        generate_cpp(schema, options.output, options.depfile)
    if options.reference and options.check:
        check(options.reference, emit_reference.emit(schema))
    elif options.reference:
        write(options.reference, emit_reference.emit(schema))


if __name__ == "__main__":
    main()
