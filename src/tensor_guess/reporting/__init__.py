"""Show what training found, in one page.

In: findings, as plain values and arrays. Out: report.html, which loads nothing.
"""
