"""Folders of pictures, sorted by a classifier or grouped by likeness.

In: a folder, and a classifier or a backbone. Out: its pictures in another folder, named by what
they show or beside those like them, and a manifest of what was done.
"""
