"""Train the last blocks of a backbone too.

In: a backbone, a head that was trained on its bottlenecks, and the pictures. Out: the backbone and
the head, with other weights.
"""
