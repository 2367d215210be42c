"""The command line: `rmbg`, or `python -m rembg_client`."""
