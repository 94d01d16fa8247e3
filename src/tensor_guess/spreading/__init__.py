"""Work on pictures, spread over many machines by Dask.

In: files, and what a network is made from. Out: what workers found in each file, in order.
"""
