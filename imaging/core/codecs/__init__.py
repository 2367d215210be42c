"""What each format's file says of itself, read in bounded time before any library sees it.

`walk` (one module per format) goes through a file's structure: markers, segments, chunks, scans. It never unpacks a pixel.
It gives the facts of the header, an estimate of what decoding costs, and the parts of the file that the decoder needs:
Pillow is shown those alone, so that metadata, further frames and repeated segments cost nothing. A file whose decoding would
cost far more than its pixels justify is refused here, with a text of its own.

`apart` decodes in a child process, where decoding may take long: C code that runs can only be ended with its process.
"""
