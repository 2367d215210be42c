// Answers each line of JSON, a stroke with its bytes in base64, with the matte after it: see bench_stroke_edge.py.

import { createInterface } from "node:readline";
import { painted, refineStroke } from "../../imaging/static/imaging/engine/refine.js";

const bytes = (text) => new Uint8ClampedArray(Buffer.from(text, "base64"));
const text = (values) => Buffer.from(values.buffer).toString("base64");

for await (const line of createInterface({ input: process.stdin })) {
  const { width, height, keeps, reach, ...sent } = JSON.parse(line);
  const [rgba, before, stroke] = [sent.rgba, sent.before, sent.stroke].map(bytes);
  const began = performance.now();
  const refined = refineStroke(rgba, before, stroke, width, height, { keeps, reach });
  const milliseconds = performance.now() - began;
  console.log(JSON.stringify({ refined: text(refined), plain: text(painted(before, stroke, keeps)), milliseconds }));
}
