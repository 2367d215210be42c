"""Pictures in, cutouts out. Knows nothing of HTTP, Django, accounts or credits."""
