"""Images in, cutouts out. Independent of HTTP, Django, accounts and credits."""
