"""`make image-test` collects these tests. `make test` does not: they build an image, which takes minutes."""

import os

collect_ignore_glob = [] if os.environ.get("IMAGE_TEST") == "1" else ["test_*.py"]
