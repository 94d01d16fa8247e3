"""Heaps of unlabelled pictures, grouped by likeness.

In: a folder and a backbone. Out: its pictures in a folder for each group, a contact sheet, and a
manifest of what was done.
"""
