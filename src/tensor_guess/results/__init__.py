"""What was sorted, for other programs.

In: a sorted folder and its manifest. Out: a table, and the forms that researchers exchange.
"""
