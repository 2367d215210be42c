// A matte as a PNG with one channel, like the API's: a canvas would make it of four, with four times the memory.

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
// Each value minus the one above it: a matte is mostly flat.
const FILTER_UP = 2;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** The matte `{width, height, data}` as a Blob (PNG, 8 bits, grey). The browser needs CompressionStream. */
export async function encodeGrey({ width, height, data }) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  // 8 bits a sample; the other four zeros mean grey, deflate, filters by row, not interlaced.
  header[8] = 8;
  const stream = new Blob([filtered(width, height, data)]).stream().pipeThrough(new CompressionStream("deflate"));
  const compressed = new Uint8Array(await new Response(stream).arrayBuffer());
  return new Blob([Uint8Array.from(SIGNATURE), chunk("IHDR", header), chunk("IDAT", compressed), chunk("IEND", new Uint8Array())], { type: "image/png" });
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
