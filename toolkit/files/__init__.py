"""Bytes on disk: how a file or folder is read, held and written as a whole. Nothing here knows what is in it."""
