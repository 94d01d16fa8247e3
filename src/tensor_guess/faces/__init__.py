"""Faces in a stranger's pictures and videos, and from a camera.

In: a folder of pictures, a video or a camera; upright RGB pixels. Out: the frames of a video with
their times, crops of faces, and pictures of a person's face in the folder of a category.
"""
