"""Labels for other programs to read: keywords in sidecars beside the pictures.

In: a folder and a classifier. Out: XMP files in it with what its pictures show, and a journal of
what was added to them.
"""
