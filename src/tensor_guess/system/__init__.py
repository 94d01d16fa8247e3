"""What the machine offers, made safe: files, folders, processes and the internet.

In: paths, URLs and commands from a user or a stranger. Out: bytes read within limits, files that
appear whole or not at all, and processes that can do only what they need.
"""
