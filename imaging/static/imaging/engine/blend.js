// Lays pixels behind others, with Pillow's arithmetic (ImagingAlphaComposite).

const PRECISION = 7;
const HALF = 0x80 << PRECISION;

/** Composite the pixel of `data` at `at` over a colour (each 0-255), in place. */
export function under(data, at, red, green, blue, alpha) {
  const own = data[at + 3];
  if (own === 255) return;
  if (own === 0) {
    data[at] = red;
    data[at + 1] = green;
    data[at + 2] = blue;
    data[at + 3] = alpha;
    return;
  }
  const total = own * 255 + alpha * (255 - own);
  const first = Math.floor((own * 255 * 255 * (1 << PRECISION)) / total);
  const second = 255 * (1 << PRECISION) - first;
  data[at] = by255(data[at] * first + red * second + HALF) >> PRECISION;
  data[at + 1] = by255(data[at + 1] * first + green * second + HALF) >> PRECISION;
  data[at + 2] = by255(data[at + 2] * first + blue * second + HALF) >> PRECISION;
  data[at + 3] = by255(total + 0x80);
}

/** Composite a raster over a colour [red, green, blue, alpha], in place. */
export function fillBehind({ data }, [red, green, blue, alpha]) {
  for (let at = 0; at < data.length; at += 4) under(data, at, red, green, blue, alpha);
}

/** A number up to 65,025 divided by 255, rounded if 128 was added. */
export function by255(value) {
  return ((value >> 8) + value) >> 8;
}
