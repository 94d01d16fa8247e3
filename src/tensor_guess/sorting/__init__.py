"""Folders of pictures, sorted by a classifier.

In: a folder and a classifier. Out: its pictures in another folder, named by what they show, and a
manifest of what was done.
"""
