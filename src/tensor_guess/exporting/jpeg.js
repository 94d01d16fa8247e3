// Decode a JPEG (ITU-T T.81) to the very pixels that libjpeg-turbo gives Pillow, also at a smaller
// scale, which no browser offers: pixels that differ by one level here and there can change a score
// by a hundredth. It is based in part on the work of the Independent JPEG Group, whose files are named
// where their arithmetic is followed.

const ZIGZAG = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
  28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61,
  54, 47, 55, 62, 63,
];

// Return the picture's width and height, and `pixels(shrink)`: RGB at 1 / shrink, as libjpeg decodes
// it. Throw Unreadable if it is damaged or of a rare kind.
function jpeg(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const quantisers = [];
  const codes = { 0: [], 1: [] }; // of the first coefficient of a block, and of the others
  let [restart, frame, isJfif, adobe] = [0, null, false, null];
  let at = 2;
  try {
    for (;;) {
      while (data[at] !== 0xff || data[at + 1] === 0xff || data[at + 1] === 0) {
        if (++at >= data.length) throw new RangeError();
      }
      const marker = data[at + 1];
      at += 2;
      if (marker === 0xd9) break; // the end
      if (marker === 1 || (marker >= 0xd0 && marker <= 0xd8)) continue; // without content
      const end = at + view.getUint16(at);
      at += 2;
      if (marker === 0xdb) readQuantisers(view, at, end, quantisers);
      else if (marker === 0xc4) readCodes(data, at, end, codes);
      else if (marker === 0xdd) restart = view.getUint16(at);
      else if (marker === 0xe0) isJfif ||= view.getUint32(at) === 0x4a464946;
      else if (marker === 0xee && view.getUint32(at) === 0x41646f62) adobe = data[at + 11];
      else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xcc) {
        if (frame) throw new RangeError();
        frame = readFrame(view, at, marker);
      } else if (marker === 0xda) {
        at = readScan(data, at, end, frame, quantisers, codes, restart);
        if (!frame.progressive && frame.parts.every((part) => part.quantiser)) break;
        continue;
      }
      at = end;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  if (!frame?.parts.every((part) => part.quantiser)) throw new Unreadable("it is damaged");
  if (frame.unfinished) throw new Unreadable("it is damaged, or cut short");
  const ids = String.fromCharCode(...frame.parts.map((part) => part.id));
  // jdapimin.c
  let isPlain = ids === "RGB";
  if (frame.parts.length === 4) isPlain = adobe !== 2;
  else if (isJfif) isPlain = false;
  else if (adobe !== null) isPlain = adobe === 0;
  return { width: frame.width, height: frame.height, pixels: (shrink) => rendered(frame, isPlain, shrink) };
}

// --- what a file says before its pixels

function readQuantisers(view, at, end, quantisers) {
  while (at < end) {
    const [wide, number] = [view.getUint8(at) >> 4, view.getUint8(at) & 15];
    const table = new Int32Array(64);
    for (let k = 0; k < 64; k++) table[ZIGZAG[k]] = wide ? view.getUint16(at + 1 + 2 * k) : view.getUint8(at + 1 + k);
    quantisers[number] = table;
    at += 1 + (wide ? 128 : 64);
  }
}

// Read tables that give, for 16 bits, the value of the code they begin with, and its length.
function readCodes(data, at, end, codes) {
  while (at < end) {
    const table = new Uint16Array(65536);
    let [next, value] = [0, at + 17];
    for (let length = 1; length <= 16; length++) {
      for (let count = data[at + length]; count > 0; count--, value++) {
        const step = 1 << (16 - length);
        if (next + step > 65536) throw new RangeError();
        table.fill((data[value] << 8) | length, next, next + step);
        next += step;
      }
    }
    codes[data[at] >> 4 ? 1 : 0][data[at] & 15] = table;
    at = value;
  }
}

function readFrame(view, at, marker) {
  if (marker > 0xc2 || view.getUint8(at) !== 8) throw new Unreadable("it is a rare kind of JPEG; save it again");
  const [height, width, count] = [view.getUint16(at + 1), view.getUint16(at + 3), view.getUint8(at + 5)];
  if (!width || !height || ![1, 3, 4].includes(count)) throw new RangeError();
  checkSize(width, height);
  const parts = Array.from({ length: count }, (_, i) => {
    const [id, factors, quantiser] = [0, 1, 2].map((j) => view.getUint8(at + 6 + 3 * i + j));
    return { id, across: factors >> 4, down: factors & 15, number: quantiser };
  });
  const most = { across: Math.max(...parts.map((part) => part.across)), down: Math.max(...parts.map((part) => part.down)) };
  const units = { across: Math.ceil(width / (8 * most.across)), down: Math.ceil(height / (8 * most.down)) };
  for (const part of parts) {
    if (!part.across || !part.down || part.across > 4 || part.down > 4) throw new RangeError();
    part.width = Math.ceil((width * part.across) / most.across);
    part.height = Math.ceil((height * part.down) / most.down);
    part.stride = units.across * part.across; // blocks in a row
    part.values = new Int16Array(64 * part.stride * units.down * part.down);
  }
  return { width, height, parts, most, units, progressive: marker === 0xc2, unfinished: false };
}

// --- a scan: some coefficients of some parts

// Read the scan whose header begins at `at`, and return where it ends.
function readScan(data, at, end, frame, quantisers, codes, restart) {
  if (!frame) throw new RangeError();
  const parts = Array.from({ length: data[at] }, (_, i) => {
    const [id, tables] = [data[at + 1 + 2 * i], data[at + 2 + 2 * i]];
    const part = frame.parts.find((each) => each.id === id);
    if (!part || !(part.quantiser ??= quantisers[part.number])) throw new RangeError();
    part.codes = [codes[0][tables >> 4], codes[1][tables & 15]];
    part.before = 0;
    return part;
  });
  const [first, last, places] = [data[end - 3], data[end - 2], data[end - 1]];
  const [high, low] = [places >> 4, places & 15];
  if (!parts.length || last > 63 || first > last) throw new RangeError();
  at = end;
  frame.unfinished = true;

  let [bits, count, isOver, beyond, run] = [0, 0, false, 0, 0];
  function fill() {
    while (count <= 16) {
      let octet = 0;
      if (at >= data.length) {
        // The last code may end before as many bits as are looked at.
        if (++beyond > 4) throw new RangeError();
      } else if (!isOver) {
        octet = data[at];
        if (octet !== 0xff) at++;
        else if (data[at + 1] === 0) at += 2;
        else {
          // A marker: libjpeg goes on with zeros.
          isOver = true;
          octet = 0;
        }
      }
      bits = (bits << 8) | octet;
      count += 8;
    }
  }
  function take(length) {
    if (count < length) fill();
    count -= length;
    return (bits >>> count) & ((1 << length) - 1);
  }
  function value(table) {
    if (count < 17) fill();
    // For what is no code, libjpeg passes over 17 bits and takes 0.
    const found = table[(bits >>> (count - 16)) & 0xffff] || 17;
    count -= found & 255;
    return found >> 8;
  }
  function number(length) {
    const found = take(length);
    return found < 1 << (length - 1) ? found - (1 << length) + 1 : found;
  }
  function difference(part) {
    const length = value(part.codes[0]);
    return length ? number(Math.min(length, 16)) : 0;
  }

  function sequential(part, block) {
    const { values, codes } = part;
    values[block] = part.before += difference(part);
    for (let k = 1; k < 64; k++) {
      const code = value(codes[1]);
      const length = code & 15;
      k += code >> 4;
      if (length && k < 64) values[block + ZIGZAG[k]] = number(length);
      else if (code !== 0xf0) break;
    }
  }
  function firstDirect(part, block) {
    part.values[block] = (part.before += difference(part)) << low;
  }
  function refinedDirect(part, block) {
    if (take(1)) part.values[block] |= 1 << low;
  }
  function firstOthers({ values, codes }, block) {
    if (run > 0) {
      run--;
      return;
    }
    for (let k = first; k <= last; k++) {
      const code = value(codes[1]);
      const [zeros, length] = [code >> 4, code & 15];
      if (length) {
        k += zeros;
        if (k < 64) values[block + ZIGZAG[k]] = number(length) * (1 << low);
      } else if (zeros === 15) k += 15;
      else {
        run = (1 << zeros) + (zeros ? take(zeros) : 0) - 1;
        return;
      }
    }
  }
  function refinedOthers({ values, codes }, block) {
    const one = 1 << low;
    let k = first;
    // Refine what is not zero, up to the place after so many zeros.
    const pass = (zeros) => {
      for (; k <= last; k++) {
        const place = block + ZIGZAG[k];
        const now = values[place];
        if (now) {
          if (take(1) && !(Math.abs(now) & one)) values[place] += now > 0 ? one : -one;
        } else if (zeros-- === 0) return;
      }
    };
    if (run === 0)
      for (; k <= last; k++) {
        const code = value(codes[1]);
        const zeros = code >> 4;
        let fresh = 0;
        if (code & 15) fresh = take(1) ? one : -one;
        else if (zeros < 15) {
          run = (1 << zeros) + (zeros ? take(zeros) : 0);
          break;
        }
        pass(zeros);
        if (fresh && k <= last) values[block + ZIGZAG[k]] = fresh;
      }
    if (run > 0) {
      pass(64);
      run--;
    }
  }
  let decode = sequential;
  if (frame.progressive && first === 0) decode = high ? refinedDirect : firstDirect;
  else if (frame.progressive) decode = high ? refinedOthers : firstOthers;
  for (const { codes } of parts)
    if ((first === 0 && !high && !codes[0]) || (last > 0 && !codes[1])) throw new RangeError();

  const alone = parts.length === 1;
  const units = alone
    ? { across: Math.ceil(parts[0].width / 8), down: Math.ceil(parts[0].height / 8) }
    : frame.units;
  for (let unit = 0; unit < units.across * units.down; unit++) {
    if (restart && unit && unit % restart === 0) {
      while (at + 1 < data.length && !(data[at] === 0xff && data[at + 1] >= 0xd0 && data[at + 1] <= 0xd7)) {
        if (data[at] === 0xff && data[at + 1] !== 0 && data[at + 1] !== 0xff) throw new RangeError();
        at++;
      }
      at += 2;
      [bits, count, isOver, run] = [0, 0, false, 0];
      for (const part of parts) part.before = 0;
    }
    const [row, column] = [Math.floor(unit / units.across), unit % units.across];
    if (alone) decode(parts[0], 64 * (row * parts[0].stride + column));
    else
      for (const part of parts)
        for (let y = 0; y < part.down; y++)
          for (let x = 0; x < part.across; x++)
            decode(part, 64 * ((row * part.down + y) * part.stride + column * part.across + x));
  }
  frame.unfinished = false;
  return at;
}

// --- from coefficients to pixels

function rendered(frame, isPlain, shrink) {
  const [width, height, least] = [Math.ceil(frame.width / shrink), Math.ceil(frame.height / shrink), 8 / shrink];
  const planes = frame.parts.map((part) => {
    // Colours that pixels share are shrunk less instead of being spread (jdmaster.c).
    let size = least;
    while (
      size < 8 &&
      (frame.most.across * least) % (part.across * size * 2) === 0 &&
      (frame.most.down * least) % (part.down * size * 2) === 0
    )
      size *= 2;
    const across = (frame.most.across * least) / (part.across * size);
    const down = (frame.most.down * least) / (part.down * size);
    return spread(plane(part, size), across, down, width, height, least > 1);
  });
  const data = new Uint8ClampedArray(3 * width * height);
  const [one, two, three, black] = planes;
  for (let p = 0, o = 0; p < width * height; p++, o += 3) {
    if (planes.length === 1) data[o] = data[o + 1] = data[o + 2] = one[p];
    else if (isPlain) [data[o], data[o + 1], data[o + 2]] = [one[p], two[p], three[p]];
    else {
      // jdcolor.c, in 1 / 65536
      const [blue, red] = [two[p] - 128, three[p] - 128];
      data[o] = one[p] + ((91881 * red + 32768) >> 16);
      data[o + 1] = one[p] + ((-22554 * blue - 46802 * red + 32768) >> 16);
      data[o + 2] = one[p] + ((116130 * blue + 32768) >> 16);
    }
    if (black)
      for (let c = o; c < o + 3; c++) {
        // Adobe stores ink inverted; the rest is Pillow's Convert.c.
        const ink = (isPlain ? 255 - data[c] : data[c]) * black[p] + 128;
        data[c] = black[p] - (((ink >> 8) + ink) >> 8);
      }
  }
  return { data, width, height };
}

// Return the part at size / 8 of its size.
function plane(part, size) {
  const [stride, transform] = [part.stride * size, TRANSFORMS[size]];
  const width = Math.ceil((part.width * size) / 8);
  const height = Math.ceil((part.height * size) / 8);
  const data = new Uint8ClampedArray(stride * (part.values.length / (64 * part.stride)) * size);
  const [values, passed] = [new Int32Array(64), new Int32Array(64)];
  for (let block = 0; block < part.values.length / 64; block++) {
    for (let k = 0; k < 64; k++) values[k] = part.values[64 * block + k] * part.quantiser[k];
    const row = Math.floor(block / part.stride);
    transform(values, passed, data, (row * stride + (block % part.stride)) * size, stride);
  }
  return { data, stride, width, height };
}

// The inverse transforms to size x size, in whole numbers of 1 / 8192 (jidctint.c, jidctred.c). Each
// takes columns first and then rows, which differ in how many bits are dropped.
const TRANSFORMS = {
  1(values, _, out, at) {
    out[at] = ((values[0] + 4) >> 3) + 128;
  },
  2(values, passed, out, at, stride) {
    const both = (from, i, step, to, j, leap, drop, more) => {
      const even = from[i] * 32768 + 2 ** (drop - 1);
      const odd =
        -5906 * from[i + 7 * step] + 6967 * from[i + 5 * step] - 10426 * from[i + 3 * step] + 29692 * from[i + step];
      to[j] = ((even + odd) >> drop) + more;
      to[j + leap] = ((even - odd) >> drop) + more;
    };
    for (const i of [0, 1, 3, 5, 7]) both(values, i, 8, passed, i, 8, 13, 0);
    for (let y = 0; y < 2; y++) both(passed, 8 * y, 1, out, at + y * stride, 1, 20, 128);
  },
  4(values, passed, out, at, stride) {
    const all = (from, i, step, to, j, leap, drop, more) => {
      const middle = from[i] * 16384 + 2 ** (drop - 1);
      const even = 15137 * from[i + 2 * step] - 6270 * from[i + 6 * step];
      const [a, b, c, d] = [from[i + 7 * step], from[i + 5 * step], from[i + 3 * step], from[i + step]];
      const inner = -1730 * a + 11893 * b - 17799 * c + 8697 * d;
      const outer = -4176 * a - 4926 * b + 7373 * c + 20995 * d;
      to[j] = ((middle + even + outer) >> drop) + more;
      to[j + 3 * leap] = ((middle + even - outer) >> drop) + more;
      to[j + leap] = ((middle - even + inner) >> drop) + more;
      to[j + 2 * leap] = ((middle - even - inner) >> drop) + more;
    };
    for (const i of [0, 1, 2, 3, 5, 6, 7]) all(values, i, 8, passed, i, 8, 12, 0);
    for (let y = 0; y < 4; y++) all(passed, 8 * y, 1, out, at + y * stride, 1, 19, 128);
  },
  8(values, passed, out, at, stride) {
    const all = (from, i, step, to, j, leap, drop, more) => {
      const half = 2 ** (drop - 1);
      const z = 4433 * (from[i + 2 * step] + from[i + 6 * step]);
      const [e2, e3] = [z - 15137 * from[i + 6 * step], z + 6270 * from[i + 2 * step]];
      const e0 = (from[i] + from[i + 4 * step]) * 8192 + half;
      const e1 = (from[i] - from[i + 4 * step]) * 8192 + half;
      const [a, b, c, d] = [from[i + 7 * step], from[i + 5 * step], from[i + 3 * step], from[i + step]];
      const [z1, z2] = [-7373 * (a + d), -20995 * (b + c)];
      const z5 = 9633 * (a + c + b + d);
      const [z3, z4] = [z5 - 16069 * (a + c), z5 - 3196 * (b + d)];
      const odd = [12299 * d + z1 + z4, 25172 * c + z2 + z3, 16819 * b + z2 + z4, 2446 * a + z1 + z3];
      [e0 + e3, e1 + e2, e1 - e2, e0 - e3].forEach((even, k) => {
        to[j + k * leap] = ((even + odd[k]) >> drop) + more;
        to[j + (7 - k) * leap] = ((even - odd[k]) >> drop) + more;
      });
    };
    for (let i = 0; i < 8; i++) all(values, i, 8, passed, i, 8, 11, 0);
    for (let y = 0; y < 8; y++) all(passed, 8 * y, 1, out, at + y * stride, 1, 18, 128);
  },
};

// Return width x height levels of a part each of which is shared by across x down pixels: if smooth,
// mixed with its neighbours' (jdsample.c).
function spread({ data, stride, width: narrow, height: low }, across, down, width, height, smooth) {
  const found = new Uint8ClampedArray(width * height);
  const mixed = smooth && across <= 2 && down <= 2 && (across === 1 || narrow > 2);
  const sums = new Int32Array(narrow);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / down);
    const here = stride * row;
    const out = width * y;
    if (!mixed || across * down === 1) {
      for (let x = 0; x < width; x++) found[out + x] = data[here + Math.floor(x / across)];
      continue;
    }
    // The upper of two pixels has a share of the level above it, the lower of that below.
    const beyond = stride * Math.min(low - 1, Math.max(0, row + (y % 2 ? 1 : -1)));
    for (let x = 0; x < narrow; x++) sums[x] = down === 1 ? data[here + x] : 3 * data[here + x] + data[beyond + x];
    if (across === 1) for (let x = 0; x < width; x++) found[out + x] = (sums[x] + 1 + (y % 2)) >> 2;
    else {
      const [bits, left, right] = down === 1 ? [2, 1, 2] : [4, 8, 7];
      for (let x = 0; x < width; x++) {
        const column = x >> 1;
        const beside = Math.min(narrow - 1, Math.max(0, column + (x % 2 ? 1 : -1)));
        found[out + x] = (3 * sums[column] + sums[beside] + (x % 2 ? right : left)) >> bits;
      }
    }
  }
  return found;
}
