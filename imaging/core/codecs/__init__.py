"""Reads the structure of each file format in bounded time, before any library sees the file.

`walk` (one module per format) goes through a file's structure: markers, segments, chunks, scans. It never unpacks a pixel.
It returns the header's facts, an estimate of the decoding cost, and the parts of the file that the decoder needs: Pillow
sees only those, so metadata, further frames and repeated segments cost nothing. A file whose decoding would cost far more
than its pixels justify is refused here, with a specific message.

`apart` decodes in a child process when decoding may take long: running C code can only be stopped by ending its process.
"""
