"""The command line: each command parses, calls one function and prints.

In: arguments. Out: lines on stdout and stderr, and an exit code.
"""
