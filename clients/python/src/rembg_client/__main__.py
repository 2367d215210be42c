"""`python -m rembg_client`: the same as `rmbg`."""

import sys

from rembg_client.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
