"""Images that anybody can make or has, to try a method on."""
