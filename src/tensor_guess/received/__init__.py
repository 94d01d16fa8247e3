"""Take somebody else's classifier, and trust nothing of it.

In: an address, or a shared zip. Out: its graph and labels, verified.
"""
