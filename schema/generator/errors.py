"""The one exception of the generator: something is wrong in a schema file."""


class SchemaError(Exception):
    """A mistake in a schema, with the place where its author has to look."""

    def __init__(self, place, message):
        super().__init__(f"{place}: {message}")
        self.place = place


class Place:
    """A line in a schema file."""

    def __init__(self, file, line):
        self.file = file
        self.line = line

    def __str__(self):
        return f"{self.file}:{self.line}"
