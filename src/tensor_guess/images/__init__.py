"""Strangers' pictures, turned into pixels.

In: a folder, files or URLs. Out: images with their category and split, and upright RGB pixels in
the size that a network needs; or the reason why a picture was left out.
"""
