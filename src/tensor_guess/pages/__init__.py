"""The pages that take pictures and show scores: what they look like, and what they have in common.

In: a page's own template and script. Out: one file, with all that it needs in it.
"""
