// A matte as a PNG with one channel, like the API's: a canvas would make it of four, with four times the memory.

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
// Each value minus the one above it: a matte is mostly flat.
const FILTER_UP = 2;

// Of a block that is not compressed (RFC 1951), and of the checksum (RFC 1950).
const MOST_STORED = 65535;
const ADLER_BASE = 65521;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** The matte `{width, height, data}` as a Blob (PNG, 8 bits, grey). */
export async function encodeGrey({ width, height, data }) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  // 8 bits a sample; the other four zeros mean grey, deflate, filters by row, not interlaced.
  header[8] = 8;
  const compressed = await deflated(filtered(width, height, data));
  return new Blob([Uint8Array.from(SIGNATURE), chunk("IHDR", header), chunk("IDAT", compressed), chunk("IEND", new Uint8Array())], { type: "image/png" });
}

/** Bytes as a zlib stream (RFC 1950); not compressed where the browser cannot. */
async function deflated(bytes) {
  if (typeof CompressionStream === "undefined") return stored(bytes);
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function stored(bytes) {
  const blocks = Math.max(1, Math.ceil(bytes.length / MOST_STORED));
  const stream = new Uint8Array(2 + bytes.length + blocks * 5 + 4);
  const view = new DataView(stream.buffer);
  stream.set([0x78, 0x01]);
  let at = 2;
  for (let block = 0; block < blocks; block++) {
    const content = bytes.subarray(block * MOST_STORED, (block + 1) * MOST_STORED);
    stream[at] = Number(block === blocks - 1);
    view.setUint16(at + 1, content.length, true);
    view.setUint16(at + 3, ~content.length, true);
    stream.set(content, at + 5);
    at += 5 + content.length;
  }
  view.setUint32(at, adler(bytes));
  return stream;
}

function adler(bytes) {
  let [low, high] = [1, 0];
  for (const byte of bytes) {
    low = (low + byte) % ADLER_BASE;
    high = (high + low) % ADLER_BASE;
  }
  return ((high << 16) | low) >>> 0;
}

function filtered(width, height, data) {
  const rows = new Uint8Array((width + 1) * height);
  for (let row = 0, at = 0; row < height; row++) {
    rows[at++] = FILTER_UP;
    for (let pixel = row * width; pixel < (row + 1) * width; pixel++) rows[at++] = data[pixel] - (row ? data[pixel - width] : 0);
  }
  return rows;
}

function chunk(name, content) {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set([...name].map((letter) => letter.charCodeAt(0)), 4);
  bytes.set(content, 8);
  view.setUint32(content.length + 8, crc(bytes.subarray(4, content.length + 8)));
  return bytes;
}

function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return ~value >>> 0;
}
