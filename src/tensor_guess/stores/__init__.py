"""Object stores, such as S3: a folder that is on no disk.

In: a URL. Out: a path that lists and reads objects, and puts new ones there that overwrite none.
"""
