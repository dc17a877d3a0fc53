"""What people mend in a result: read, compared, kept with its history, made into a data set; and what to mend next.

Only `history` and `dataset` write, and neither into a result nor over a file of a person.
"""
