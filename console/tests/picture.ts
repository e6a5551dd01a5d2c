// Makes a browser's picture small enough for the documents: at most 256 colours, of which the others look like the nearest one.
// What the browser writes is read back, so it knows only that: eight bits for each of red, green and blue, no interlacing.
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const COLOURS_MAX = 256;
/** Colours that are no farther from each other than this, squared, share one. */
const ALIKE = 40;

interface Pixels {
  width: number;
  height: number;
  /** Red, green, blue, one row after the other. */
  bytes: Buffer;
}

export function smaller(png: Buffer): Buffer {
  const { width, height, bytes } = pixelsOf(png);
  const colourAt = (pixel: number) => bytes.readUIntBE(pixel * 3, 3);
  const counts = new Map<number, number>();
  for (let pixel = 0; pixel < width * height; pixel += 1)
    counts.set(colourAt(pixel), (counts.get(colourAt(pixel)) ?? 0) + 1);
  const palette = paletteOf(counts);
  const places = new Map([...counts.keys()].map((colour) => [colour, nearest(palette, colour).place]));
  // Each row begins with its filter: none.
  const rows = Buffer.alloc((width + 1) * height);
  for (let pixel = 0; pixel < width * height; pixel += 1)
    rows[pixel + Math.floor(pixel / width) + 1] = places.get(colourAt(pixel))!;
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.alloc(palette.length * 3);
  palette.forEach((colour, place) => colours.writeUIntBE(colour, place * 3, 3));
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', head),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The most frequent colours, without those that look like one of them. */
function paletteOf(counts: Map<number, number>): number[] {
  const palette: number[] = [];
  for (const [colour] of [...counts].sort((a, b) => b[1] - a[1])) {
    if (palette.length === COLOURS_MAX) break;
    if (nearest(palette, colour).far > ALIKE) palette.push(colour);
  }
  return palette;
}

function nearest(palette: number[], colour: number): { place: number; far: number } {
  let found = { place: 0, far: Infinity };
  palette.forEach((one, place) => {
    const far = [16, 8, 0].reduce((sum, shift) => sum + (((one >> shift) & 255) - ((colour >> shift) & 255)) ** 2, 0);
    if (far < found.far) found = { place, far };
  });
  return found;
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}

/** Reads as PNG, the specification, says in its section 9. */
function pixelsOf(png: Buffer): Pixels {
  const data: Buffer[] = [];
  let head: Buffer = Buffer.alloc(0);
  for (let at = SIGNATURE.length; at < png.length;) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    const held = png.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') head = held;
    if (type === 'IDAT') data.push(held);
    at += 12 + length;
  }
  if (head[8] !== 8 || head[9] !== 2 || head[12] !== 0)
    throw new Error('a picture of another kind than browsers write');
  const [width, height] = [head.readUInt32BE(0), head.readUInt32BE(4)];
  const filtered = inflateSync(Buffer.concat(data));
  const line = width * 3;
  const bytes = Buffer.alloc(line * height);
  for (let y = 0; y < height; y += 1) {
    const filter = filtered[y * (line + 1)]!;
    for (let x = 0; x < line; x += 1) {
      const at = y * line + x;
      const left = x >= 3 ? bytes[at - 3]! : 0;
      const up = y > 0 ? bytes[at - line]! : 0;
      const corner = x >= 3 && y > 0 ? bytes[at - line - 3]! : 0;
      bytes[at] = filtered[y * (line + 1) + 1 + x]! + predicted(filter, left, up, corner);
    }
  }
  return { width, height, bytes };
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  switch (filter) {
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) >> 1;
    case 4: {
      const [a, b, c] = [left, up, corner].map((one) => Math.abs(left + up - corner - one)) as [number, number, number];
      return a <= b && a <= c ? left : b <= c ? up : corner;
    }
    default:
      return 0;
  }
}
