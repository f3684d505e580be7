"""Turns the QAPI schema of the control interface into C++, introspection and documentation."""
