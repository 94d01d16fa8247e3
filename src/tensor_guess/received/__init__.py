"""Take somebody else's classifier, and trust nothing of it.

In: a shared zip. Out: its graph and labels, verified.
"""
