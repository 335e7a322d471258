"""Replaced internals of libraries: one module for each, with one function that puts it in.

Each module says in its docstring what it replaces, why, what was gained, and with which versions of
the library it was tested. `requirements/run.in` allows no others; tests/server/patches/ fails when
a library no longer has the form that its patch expects.
"""
