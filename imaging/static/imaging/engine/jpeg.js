// Writes JPEG with colours at full resolution and the tables of libjpeg, as the API does: browsers halve the resolution of colours,
// which shows at the subject's edge on a plain background.
//
// ITU-T T.81, baseline. The discrete cosine transform is that of Arai, Agui and Nakajima, 1988.

import { Refusal } from "./refusal.js";

// In the order of the file: diagonal by diagonal.
const ZIGZAG = Uint8Array.of(
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
);
// T.81, K.1 and K.2.
const LUMINANCE = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
  18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMINANCE = [
  17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
  ...Array(32).fill(99),
];
// T.81, K.3 to K.6: how many codes there are of each length, and what they stand for.
const SIZES = Array.from({ length: 12 }, (_, size) => size);
const DC = [
  { counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], values: SIZES },
  { counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], values: SIZES },
];
const bytes = (text) => text.match(/../g).map((pair) => Number.parseInt(pair, 16));
const AC = [
  {
    counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
    values: bytes(
      "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a43444546474849" +
      "4a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5" +
      "c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa",
    ),
  },
  {
    counts: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
    values: bytes(
      "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748" +
      "494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3" +
      "c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa",
    ),
  },
];
const END_OF_BLOCK = 0x00;
const SIXTEEN_ZEROS = 0xf0;
const MAX_SIDE = 65535;
// The scale of each row and column of the transform.
const SCALES = [1, 1.387039845, 1.306562965, 1.175875602, 1, 0.785694958, 0.541196100, 0.275899379];

/** A raster as a JPEG file; its alpha is not looked at. `quality` is 1-100, as libjpeg's; `dpi` null for none. */
export function jpegFile(raster, quality, dpi) {
  const { width, height } = raster;
  if (Math.max(width, height) > MAX_SIDE) throw new Refusal("cannot_write", { format: "jpeg" });
  const tables = [LUMINANCE, CHROMINANCE].map((table) => scaledTable(table, quality));
  const writer = new BitWriter();
  encodeBlocks(raster, tables, writer);
  return new Blob([headers(width, height, tables, dpi), ...writer.finish(), new Uint8Array([0xff, 0xd9])], { type: "image/jpeg" });
}

/** As libjpeg scales: 50 is the table itself. */
function scaledTable(table, quality) {
  const scale = quality < 50 ? Math.trunc(5000 / quality) : 200 - 2 * quality;
  return table.map((value) => Math.min(255, Math.max(1, Math.trunc((value * scale + 50) / 100))));
}

function headers(width, height, tables, dpi) {
  const two = (value) => [value >> 8, value & 255];
  const segment = (marker, content) => [0xff, marker, ...two(content.length + 2), ...content];
  const jfif = [0x4a, 0x46, 0x49, 0x46, 0, 1, 1, dpi ? 1 : 0, ...two(dpi ?? 1), ...two(dpi ?? 1), 0, 0];
  const frame = [8, ...two(height), ...two(width), 3, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1];
  const codes = [[0x00, DC[0]], [0x10, AC[0]], [0x01, DC[1]], [0x11, AC[1]]];
  return new Uint8Array([
    0xff, 0xd8, ...segment(0xe0, jfif),
    ...tables.flatMap((table, index) => segment(0xdb, [index, ...Array.from(ZIGZAG, (at) => table[at])])),
    ...segment(0xc0, frame),
    ...codes.flatMap(([id, { counts, values }]) => segment(0xc4, [id, ...counts, ...values])),
    ...segment(0xda, [3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]),
  ]);
}

function encodeBlocks(raster, tables, writer) {
  const codes = [[codesOf(DC[0]), codesOf(AC[0])], [codesOf(DC[1]), codesOf(AC[1])]];
  const factors = tables.map((table) => Float32Array.from(table, (value, at) => 1 / (value * SCALES[at >> 3] * SCALES[at & 7] * 8)));
  const block = [new Float32Array(64), new Float32Array(64), new Float32Array(64)];
  const quantized = new Int32Array(64);
  const last = [0, 0, 0];
  for (let top = 0; top < raster.height; top += 8) {
    for (let left = 0; left < raster.width; left += 8) {
      const isFlat = readBlock(raster, left, top, ...block);
      for (let band = 0; band < 3; band++) {
        const kind = band ? 1 : 0;
        quantize(block[band], factors[kind], isFlat, quantized);
        last[band] = writeBlock(quantized, last[band], isFlat ? 0 : 63, codes[kind], writer);
      }
    }
  }
}

/** The block's values by diagonals, divided and rounded; of a block of one colour the first alone. */
function quantize(block, factors, isFlat, quantized) {
  if (isFlat) {
    quantized[0] = rounded(64 * block[0] * factors[0]);
    return;
  }
  transform(block);
  for (let at = 0; at < 64; at++) quantized[at] = rounded(block[ZIGZAG[at]] * factors[ZIGZAG[at]]);
}

// Quicker than Math.round.
function rounded(value) {
  return ((value + 16384.5) | 0) - 16384;
}

/** Eight by eight pixels as Y, Cb and Cr; beyond the rim its pixels are repeated. Returns whether all of them are the same. */
function readBlock({ width, height, data }, left, top, luma, blue, red) {
  let differences = 0;
  const first = 4 * (top * width + left);
  for (let row = 0, to = 0; row < 8; row++) {
    const start = Math.min(top + row, height - 1) * width;
    for (let column = 0; column < 8; column++, to++) {
      const at = 4 * (start + Math.min(left + column, width - 1));
      const r = data[at];
      const g = data[at + 1];
      const b = data[at + 2];
      differences |= (r ^ data[first]) | (g ^ data[first + 1]) | (b ^ data[first + 2]);
      // Rounded, as libjpeg does.
      luma[to] = rounded(0.299 * r + 0.587 * g + 0.114 * b - 128);
      blue[to] = rounded(-0.168735892 * r - 0.331264108 * g + 0.5 * b);
      red[to] = rounded(0.5 * r - 0.418687589 * g - 0.081312411 * b);
    }
  }
  return differences === 0;
}

function transform(block) {
  for (let at = 0; at < 64; at += 8) transformLine(block, at, 1);
  for (let at = 0; at < 8; at++) transformLine(block, at, 8);
}

function transformLine(data, at, step) {
  const one = at + step;
  const two = one + step;
  const three = two + step;
  const four = three + step;
  const five = four + step;
  const six = five + step;
  const seven = six + step;
  const sum0 = data[at] + data[seven];
  const difference0 = data[at] - data[seven];
  const sum1 = data[one] + data[six];
  const difference1 = data[one] - data[six];
  const sum2 = data[two] + data[five];
  const difference2 = data[two] - data[five];
  const sum3 = data[three] + data[four];
  const difference3 = data[three] - data[four];
  // The even part.
  const even0 = sum0 + sum3;
  const even3 = sum0 - sum3;
  const even1 = sum1 + sum2;
  const even2 = (sum1 - sum2 + even3) * Math.SQRT1_2;
  data[at] = even0 + even1;
  data[four] = even0 - even1;
  data[two] = even3 + even2;
  data[six] = even3 - even2;
  // The odd part.
  const odd0 = difference3 + difference2;
  const odd1 = (difference2 + difference1) * Math.SQRT1_2;
  const odd2 = difference1 + difference0;
  const turn = (odd0 - odd2) * 0.382683433;
  const low = 0.541196100 * odd0 + turn;
  const high = 1.306562965 * odd2 + turn;
  const inner = difference0 + odd1;
  const outer = difference0 - odd1;
  data[five] = outer + low;
  data[three] = outer - low;
  data[one] = inner + high;
  data[seven] = inner - high;
}

/** Codes by value: their bits, and how many these are. */
function codesOf({ counts, values }) {
  const [bits, lengths] = [new Uint16Array(256), new Uint8Array(256)];
  let [code, at] = [0, 0];
  counts.forEach((count, index) => {
    for (let left = count; left > 0; left--, code++, at++) {
      bits[values[at]] = code;
      lengths[values[at]] = index + 1;
    }
    code <<= 1;
  });
  return { bits, lengths };
}

/** Write a block, of which only the values up to `end` can be other than 0. Returns the first, from which the next block's is counted. */
function writeBlock(block, before, end, [first, others], writer) {
  const step = block[0] - before;
  const size = sizeOf(step);
  writer.put(first.bits[size], first.lengths[size]);
  writer.putNumber(step, size);
  let final = end;
  while (final > 0 && block[final] === 0) final--;
  let zeros = 0;
  for (let at = 1; at <= final; at++) {
    const value = block[at];
    if (value === 0) {
      zeros++;
      continue;
    }
    for (; zeros > 15; zeros -= 16) writer.put(others.bits[SIXTEEN_ZEROS], others.lengths[SIXTEEN_ZEROS]);
    const bits = sizeOf(value);
    const symbol = (zeros << 4) | bits;
    writer.put(others.bits[symbol], others.lengths[symbol]);
    writer.putNumber(value, bits);
    zeros = 0;
  }
  if (final < 63) writer.put(others.bits[END_OF_BLOCK], others.lengths[END_OF_BLOCK]);
  return block[0];
}

function sizeOf(value) {
  return 32 - Math.clz32(Math.abs(value));
}

const CHUNK_BYTES = 1 << 20;

class BitWriter {
  constructor() {
    Object.assign(this, { chunks: [], chunk: new Uint8Array(CHUNK_BYTES), at: 0, held: 0, count: 0 });
  }

  /** Up to 16 bits. */
  put(bits, length) {
    this.held = (this.held << length) | bits;
    this.count += length;
    while (this.count >= 8) {
      this.count -= 8;
      this.putByte((this.held >> this.count) & 255);
    }
    this.held &= (1 << this.count) - 1;
  }

  /** A number of `size` bits; negative ones are one less. */
  putNumber(value, size) {
    if (size) this.put(value < 0 ? value + (1 << size) - 1 : value, size);
  }

  putByte(byte) {
    if (this.at + 2 > CHUNK_BYTES) this.next();
    this.chunk[this.at++] = byte;
    // What would look like a marker.
    if (byte === 255) this.chunk[this.at++] = 0;
  }

  next() {
    this.chunks.push(this.chunk.subarray(0, this.at));
    Object.assign(this, { chunk: new Uint8Array(CHUNK_BYTES), at: 0 });
  }

  /** The bytes; the last one is filled with ones. */
  finish() {
    if (this.count) this.put((1 << (8 - this.count)) - 1, 8 - this.count);
    this.next();
    return this.chunks;
  }
}
