"""bioimage.io packages: descriptions of format 0.4 and 0.5 read with our own small reader, packages of 0.5 written.

Reading opens no address, imports no code and needs none of the format's own libraries; writing uses them.
"""
