"""Results to look at: a page in the browser, served on this machine or written as one file. Nothing is altered here."""
