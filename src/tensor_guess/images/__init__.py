"""A stranger's pictures, made into pixels.

In: a folder, files or URLs. Out: images with their category and split, and upright RGB pixels of
the size that a network takes; or the reason why one was left out.
"""
