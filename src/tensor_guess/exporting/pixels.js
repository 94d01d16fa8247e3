// From a picture's file to the pixels that the network expects: what images/decoding.py does, in a
// browser. The browser decodes; resizing is Pillow's arithmetic (src/libImaging/Resample.c).

const ONE = 2 ** 22; // weights are whole numbers of 1 / 2^22
const MOST_PIXELS = 89_478_485; // as in images/decoding.py
const ROWS = 256; // how many are taken from the browser at a time: phones have small canvases

class Unreadable extends Error {}

// Return RGB pixels of the square that the network is shown, upright: Uint8Array [S, S, 3]. Throw
// Unreadable, which says why, if there are none.
async function pixels(file, scaling) {
  const data = await bytesOf(file);
  if (data[0] === 0xff && data[1] === 0xd8) {
    const picture = jpeg(data);
    const shown = shownAs(picture.width, picture.height, scaling);
    const small = squared(picture.pixels(draft(picture, shown)), shown, scaling);
    return turned(small, scaling.size, jpegOrientation(data));
  }
  const { orientation, plain } = unturned(data);
  const picture = await decoded(new Blob([plain], { type: file.type }));
  try {
    const shown = shownAs(picture.width, picture.height, scaling);
    return turned(squared(whole(picture), shown, scaling), scaling.size, orientation);
  } finally {
    picture.close();
  }
}

async function bytesOf(file) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Unreadable("it is a folder, or cannot be read");
  }
}

function checkSize(width, height) {
  if (width * height > MOST_PIXELS) throw new Unreadable(`it has more than ${Math.floor(MOST_PIXELS / 1e6)} megapixels`);
}

// --- how a picture is turned

function jpegOrientation(data) {
  const view = new DataView(data.buffer);
  for (let at = 2; at + 10 <= data.length && data[at] === 0xff && data[at + 1] !== 0xda; ) {
    if (data[at + 1] === 0xff) at += 1; // it fills up
    else {
      if (data[at + 1] === 0xe1 && text(data, at + 4, 4) === "Exif") return tiffOrientation(view, at + 10).orientation;
      at += 2 + view.getUint16(at + 2);
    }
  }
  return 1;
}

// Return how EXIF says to turn a picture that is no JPEG (1 to 8), and the same file without that:
// then every browser shows the pixels as they are stored.
function unturned(data) {
  const view = new DataView(data.buffer);
  if (text(data, 0, 4) === "\x89PNG") return unturnedPng(data, view);
  if (text(data, 0, 4) === "RIFF" && text(data, 8, 4) === "WEBP")
    for (let at = 12; at + 8 <= data.length; ) {
      const size = view.getUint32(at + 4, true);
      if (text(data, at, 4) === "EXIF") {
        const { orientation, place } = tiffOrientation(view, at + (text(data, at + 8, 4) === "Exif" ? 14 : 8));
        if (place) view.setUint16(place, 0);
        return { orientation, plain: data };
      }
      at += 8 + size + (size % 2);
    }
  return { orientation: 1, plain: data };
}

function unturnedPng(data, view) {
  if (data[24] === 16 && (data[25] === 0 || data[25] === 4))
    throw new Unreadable("it is grey in 16 bits; save it in 8 bits");
  for (let at = 8; at + 12 <= data.length; ) {
    const end = at + 12 + view.getUint32(at);
    if (text(data, at + 4, 4) === "eXIf") {
      const { orientation } = tiffOrientation(view, at + 8);
      return { orientation, plain: new Blob([data.subarray(0, at), data.subarray(end)]) };
    }
    at = end;
  }
  return { orientation: 1, plain: data };
}

// Return what the TIFF structure that begins at `start` says (EXIF 2.32, its first directory), and
// the place where it does.
function tiffOrientation(view, start) {
  try {
    const little = view.getUint8(start) === 0x49;
    const directory = start + view.getUint32(start + 4, little);
    const count = view.getUint16(directory, little);
    for (let entry = directory + 2; entry < directory + 2 + 12 * count; entry += 12) {
      if (view.getUint16(entry, little) !== 0x0112) continue;
      const orientation = view.getUint16(entry + 8, little);
      if (orientation >= 1 && orientation <= 8) return { orientation, place: entry + 8 };
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // EXIF may be damaged while the picture is fine
  }
  return { orientation: 1, place: 0 };
}

function text(data, at, length) {
  return String.fromCharCode(...data.subarray(at, at + length));
}

async function decoded(file) {
  let picture;
  try {
    // Colour profiles are not applied in training either.
    picture = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Unreadable("this browser cannot read it as a picture");
  }
  checkSize(picture.width, picture.height);
  return picture;
}

// --- the pixels

// Return how many times smaller a JPEG is decoded, as Pillow's `draft` does.
function draft({ width, height }, [wide, high]) {
  const factor = Math.min(Math.floor(width / (2 * wide)), Math.floor(height / (2 * high)));
  return [8, 4, 2].find((shrink) => factor >= shrink) ?? 1;
}

// Return the picture's pixels, as stored and on white: a few rows at a time, as phones have small
// canvases.
function whole(picture) {
  const { width, height } = picture;
  const found = new Uint8Array(3 * width * height);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, Math.min(ROWS, height)];
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  if (!context) throw new Unreadable("it is too large for this browser");
  context.fillStyle = "#fff";
  for (let top = 0, o = 0; top < height; top += ROWS) {
    const rows = Math.min(ROWS, height - top);
    context.fillRect(0, 0, width, rows);
    context.drawImage(picture, 0, top, width, rows, 0, 0, width, rows);
    const { data } = context.getImageData(0, 0, width, rows);
    for (let i = 0; i < data.length; i += 4) {
      found[o++] = data[i];
      found[o++] = data[i + 1];
      found[o++] = data[i + 2];
    }
  }
  return { data: found, width, height };
}

// Return the width and height that a picture gets on the square (images/scaling.py).
function shownAs(width, height, { size, fit }) {
  if (fit !== "pad") return [size, size];
  const longest = Math.max(width, height);
  const of = (side) => {
    const border = Math.floor((size * (longest - side) + longest) / (2 * longest));
    return size - 2 * Math.min(border, Math.floor((size - 1) / 2));
  };
  return [of(width), of(height)];
}

function squared({ data, width, height }, [wide, high], { size, fit, border }) {
  const part = (side) => (fit === "crop" ? Math.min(width, height) : side);
  const across = weights(width, part(width), wide);
  const down = weights(height, part(height), high);
  let small;
  // Pillow resizes vertically first if that is far less work.
  if (height > high && height - high > 2 * (width - wide))
    small = horizontally(vertically(data, width, down), width, across);
  else small = vertically(horizontally(data, width, across), wide, down);
  if (wide === size && high === size) return small;
  const square = new Uint8Array(3 * size * size).fill(border);
  const [left, top] = [(size - wide) / 2, (size - high) / 2];
  for (let y = 0; y < high; y++)
    square.set(small.subarray(3 * wide * y, 3 * wide * (y + 1)), 3 * (size * (top + y) + left));
  return square;
}

// Return, for each of `size` new pixels, the first of the `length` that count, and how much each
// does; the new ones show the middle `part`.
function weights(length, part, size) {
  const scale = part / size;
  const reach = Math.max(scale, 1);
  return Array.from({ length: size }, (_, i) => {
    const centre = (length - part) / 2 + (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(length, Math.floor(centre + reach + 0.5));
    const near = Array.from({ length: end - first }, (_, j) =>
      Math.max(0, 1 - Math.abs((first + j - centre + 0.5) * (1 / reach))));
    const sum = near.reduce((one, other) => one + other, 0);
    return { first, each: Float64Array.from(near, (weight) => Math.floor((weight / sum) * ONE + 0.5)) };
  });
}

function horizontally(data, width, across) {
  const rows = data.length / (3 * width);
  const found = new Uint8Array(3 * rows * across.length);
  for (let y = 0, o = 0; y < rows; y++)
    for (const { first, each } of across) {
      let [red, green, blue] = [ONE / 2, ONE / 2, ONE / 2];
      for (let j = 0, i = 3 * (y * width + first); j < each.length; j++, i += 3) {
        red += data[i] * each[j];
        green += data[i + 1] * each[j];
        blue += data[i + 2] * each[j];
      }
      found[o++] = level(red);
      found[o++] = level(green);
      found[o++] = level(blue);
    }
  return found;
}

function vertically(data, width, down) {
  const row = 3 * width;
  const found = new Uint8Array(row * down.length);
  const sums = new Float64Array(row);
  down.forEach(({ first, each }, y) => {
    sums.fill(ONE / 2);
    each.forEach((weight, j) => {
      for (let x = 0, i = row * (first + j); x < row; x++) sums[x] += data[i + x] * weight;
    });
    for (let x = 0; x < row; x++) found[row * y + x] = level(sums[x]);
  });
  return found;
}

function level(sum) {
  return Math.min(255, Math.floor(sum / ONE));
}

// Return the square turned as EXIF's orientation says.
function turned(square, size, orientation) {
  if (orientation === 1) return square;
  const found = new Uint8Array(square.length);
  const last = size - 1;
  for (let y = 0, o = 0; y < size; y++)
    for (let x = 0; x < size; x++, o += 3) {
      let [row, column] = [y, x];
      if ([3, 4, 7, 8].includes(orientation)) row = last - row;
      if ([2, 3, 6, 7].includes(orientation)) column = last - column;
      if (orientation >= 5) [row, column] = [column, row];
      const i = 3 * (size * row + column);
      found.set(square.subarray(i, i + 3), o);
    }
  return found;
}
