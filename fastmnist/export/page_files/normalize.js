// A drawing -> MNIST's form: the way of fastmnist's kernels/picture, under the same names. What only photographs need
// is left out: light, shadows, polarity, ruled lines, printed boxes. The limits are that code's, from the page's data.

const {
  PLAIN_AREA, FULL_AREA, LEAST_SIZE, LEAST_STROKE, // how large a drawing is read
  MIN_CONTRAST, SOFT_EDGE, INSET, // what ink is, and which of it hangs together
  LINE, INNER_SHARE, SPECK, REACH, AS_HIGH, ROW, IN_CORNER, BAR, LONGER, HOLLOW, // which of it is the digit
  SIDE, BOX, CENTRE, CORE, EDGE, THIN, THICK, THICKENED, THINNED, STRAIGHT, DIAGONAL, // where it goes
} = data.limits;
const NOTHING = "nothing drawn"; // a problem
const FOREIGN = -1, PIECE = 0, STROKE = 1; // states of components

// Takes a square drawing, side * side greys, black on white. Returns its digit as `image`, 28 * 28 greys, bright on
// black, or why there is none as `problem`.
function normalize(greys, side) {
  const plain = readAt(greys, side, PLAIN_AREA);
  return plain.image && !plain.isSmall ? plain : readAt(greys, side, FULL_AREA);
}

function readAt(greys, side, area) {
  const { ink, size } = shrinkByBlocks(greys, side, area);
  const { level, depth } = judge(ink);
  if (depth < MIN_CONTRAST) return { problem: NOTHING };
  const { components, owners } = findComponents(ink, size, Math.floor(level + depth / 2));
  const nDigits = chooseStrokes(components, size);
  if (nDigits > 1) return { problem: `${nDigits} digits side by side: draw one` };
  const digit = strokesOf(ink, size, level, depth, components, owners);
  const placed = place(digit);
  if (!placed) return { problem: NOTHING };
  const longest = Math.max(digit.height, digit.width);
  return {
    image: placed.image,
    isSmall: longest < LEAST_SIZE || placed.stroke * longest < LEAST_STROKE * BOX,
  };
}

// shrink.py: the ink in the means of blocks of pixels, at most `area` of them.
function shrinkByBlocks(greys, side, area) {
  let block = 1;
  while (Math.floor(side / block) ** 2 > area) block++;
  const size = Math.floor(side / block), start = (side - size * block) >> 1;
  const ink = new Uint8Array(size * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      let total = 0;
      for (let row = start + y * block; row < start + (y + 1) * block; row++) {
        for (let column = start + x * block; column < start + (x + 1) * block; column++) {
          total += greys[row * side + column];
        }
      }
      ink[y * size + x] = 255 - Math.floor((total + block * block / 2) / (block * block));
    }
  }
  return { ink, size };
}

// ink.py: what tells ink from paper.
function judge(ink) {
  const counts = new Array(256).fill(0);
  for (const grey of ink) counts[grey]++;
  const threshold = thresholdBetween(counts);
  const level = medianOf(counts, 0, threshold);
  return { level, depth: medianOf(counts, threshold + 1, 255) - level };
}

// Otsu's threshold (1979), the first of equal ones.
function thresholdBetween(counts) {
  let n = 0, total = 0;
  counts.forEach((count, grey) => { n += count; total += grey * count; });
  let nBelow = 0, below = 0, best = -1, threshold = 0;
  for (let grey = 0; grey < 256; grey++) {
    nBelow += counts[grey];
    below += grey * counts[grey];
    if (nBelow === 0 || nBelow === n) continue;
    const distance = below / nBelow - (total - below) / (n - nBelow);
    const spread = nBelow * (n - nBelow) * distance * distance;
    if (spread > best) { best = spread; threshold = grey; }
  }
  return threshold;
}

function medianOf(counts, first, last) {
  let n = 0, nBelow = 0;
  for (let grey = first; grey <= last; grey++) n += counts[grey];
  for (let grey = first; grey <= last; grey++) {
    nBelow += counts[grey];
    if (2 * nBelow > n) return grey;
  }
  return 0;
}

// components.py: pieces of ink that hang together, also at corners, and whose each pixel is (-1: nobody's).
function findComponents(ink, size, threshold) {
  const owners = new Int32Array(size * size).fill(-1), components = [], waiting = [];
  const inset = Math.max(1, Math.floor(size / INSET));
  const take = (y, x) => {
    const at = y * size + x;
    if (y < 0 || x < 0 || y >= size || x >= size || owners[at] >= 0 || ink[at] <= threshold) return;
    owners[at] = components.length - 1;
    waiting.push(at);
  };
  for (let start = 0; start < ink.length; start++) {
    if (ink[start] <= threshold || owners[start] >= 0) continue;
    const box = { left: size, top: size, right: 0, bottom: 0, area: 0, inner: 0, state: PIECE };
    components.push(box);
    take(Math.floor(start / size), start % size);
    while (waiting.length) {
      const at = waiting.pop(), y = Math.floor(at / size), x = at % size;
      box.left = Math.min(box.left, x); box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y); box.bottom = Math.max(box.bottom, y + 1);
      box.area++;
      if (Math.min(x, y) >= inset && Math.max(x, y) < size - inset) box.inner++;
      for (let row = y - 1; row <= y + 1; row++) for (let column = x - 1; column <= x + 1; column++) take(row, column);
    }
  }
  return { components, owners };
}

const acrossOf = (box) => box.right - box.left;
const downOf = (box) => box.bottom - box.top;
const longestOf = (box) => Math.max(acrossOf(box), downOf(box));
const isWithin = (inner, outer) => outer.left <= inner.left && inner.right <= outer.right
  && outer.top <= inner.top && inner.bottom <= outer.bottom;

// strokes.py: gives components their states, STROKE to those of the digit; returns how many digits there are.
function chooseStrokes(components, size) {
  leaveMargin(components, size);
  let largest = largestPiece(components);
  if (isCorner(components, largest)) {
    largest.state = FOREIGN;
    largest = largestPiece(components);
  }
  for (const box of components) if (box.state === PIECE && box.area < SPECK * largest.area) box.state = FOREIGN;
  const nDigits = countDigits(components.filter((box) => box.state === PIECE));
  if (nDigits === 1) gather(components, largest);
  return nDigits;
}

// What touches the border is no digit where a larger piece lies inside, or where it is a line, or mostly beyond.
function leaveMargin(components, size) {
  const isInside = (box) => box.left > 0 && box.top > 0 && box.right < size && box.bottom < size;
  const largest = Math.max(0, ...components.filter(isInside).map((box) => box.area));
  for (const box of components) {
    const isLine = longestOf(box) > LINE * Math.min(acrossOf(box), downOf(box));
    const isForeign = box.area < largest || isLine || box.inner < INNER_SHARE * box.area;
    box.state = isForeign && !isInside(box) ? FOREIGN : PIECE;
  }
  if (components.every((box) => box.state === FOREIGN)) for (const box of components) box.state = PIECE;
}

function largestPiece(components) {
  const pieces = components.filter((box) => box.state === PIECE);
  return pieces.reduce((largest, box) => (box.area > largest.area ? box : largest));
}

// Whether a piece is the corner of a frame, with a digit within its box.
function isCorner(components, box) {
  if (box.area >= HOLLOW * acrossOf(box) * downOf(box)) return false;
  return components.some((other) => other !== box && other.state === PIECE && isWithin(other, box)
    && longestOf(other) >= IN_CORNER * longestOf(box));
}

// Several pieces are several digits where each is as high as a digit and their row is wider than high.
function countDigits(pieces) {
  const tallest = Math.max(...pieces.map(downOf));
  const row = pieces.filter((box) => downOf(box) >= AS_HIGH * tallest).sort((one, other) => one.left - other.left);
  const nApart = row.filter((box, i) => i > 0 && row[i - 1].right <= box.left).length;
  return nApart && row.at(-1).right - row[0].left > ROW * tallest ? nApart + 1 : 1;
}

// Makes STROKEs of the largest piece and of all near it, also through another.
function gather(components, largest) {
  for (const box of components) {
    if (box.state === PIECE && box !== largest && isFramePart(box, largest)) box.state = FOREIGN;
  }
  const reach = REACH * longestOf(largest), strokes = [largest];
  largest.state = STROKE;
  for (const stroke of strokes) { // grows on the way
    for (const box of components) {
      if (box.state === PIECE && distance(box, stroke) <= reach) {
        box.state = STROKE;
        strokes.push(box);
      }
    }
  }
}

function distance(one, other) {
  const across = Math.max(0, one.left - other.right, other.left - one.right);
  const down = Math.max(0, one.top - other.bottom, other.top - one.bottom);
  return Math.hypot(across, down);
}

function isFramePart(piece, digit) {
  const across = acrossOf(piece), down = downOf(piece), size = longestOf(digit);
  const spansAcross = piece.left <= digit.left && digit.right <= piece.right;
  const spansDown = piece.top <= digit.top && digit.bottom <= piece.bottom;
  if (spansAcross && spansDown) return piece.area < HOLLOW * across * down;
  const isBesideDown = piece.bottom <= digit.top || digit.bottom <= piece.top;
  const isBesideAcross = piece.right <= digit.left || digit.right <= piece.left;
  if (spansAcross && isBesideDown) return across >= LONGER * size && across >= BAR * down;
  return spansDown && isBesideAcross && down >= LONGER * size && down >= BAR * across;
}

// read.py: the strokes with their soft edge, 0 for paper, about 1 for full ink.
function strokesOf(ink, size, level, depth, components, owners) {
  const strokes = components.filter((box) => box.state === STROKE);
  const left = Math.max(0, Math.min(...strokes.map((box) => box.left)) - SOFT_EDGE);
  const top = Math.max(0, Math.min(...strokes.map((box) => box.top)) - SOFT_EDGE);
  const right = Math.min(size, Math.max(...strokes.map((box) => box.right)) + SOFT_EDGE);
  const bottom = Math.min(size, Math.max(...strokes.map((box) => box.bottom)) + SOFT_EDGE);
  const digit = blank(bottom - top, right - left);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const owner = owners[y * size + x];
      if (owner < 0 || components[owner].state !== STROKE) continue;
      for (let row = Math.max(top, y - SOFT_EDGE); row <= Math.min(bottom - 1, y + SOFT_EDGE); row++) {
        for (let column = Math.max(left, x - SOFT_EDGE); column <= Math.min(right - 1, x + SOFT_EDGE); column++) {
          const above = Math.max(0, ink[row * size + column] - level);
          digit.pixels[(row - top) * digit.width + column - left] = above / depth;
        }
      }
    }
  }
  return digit;
}

const blank = (height, width) => ({ height, width, pixels: new Float32Array(height * width) });

// As NumPy rounds: halves to the even number.
function rint(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

// place.py: the digit's longest side becomes 20 pixels, its centre of mass the middle; null where nothing is left.
function place(strokes) {
  let digit = cut(strokes);
  if (!digit) return null;
  const size = Math.max(digit.height, digit.width);
  const stroke = strokeWidth(digit) * BOX / size;
  if (size >= 2 * BOX && (stroke < THIN || stroke > THICK)) {
    const change = rint(Math.abs((stroke < THIN ? THICKENED : THINNED) - stroke) * size / BOX);
    digit = cut(changeStrokes(digit, change, stroke < THIN));
    if (!digit) return null;
  }
  const scale = BOX / Math.max(digit.height, digit.width);
  const height = Math.max(1, rint(digit.height * scale)), width = Math.max(1, rint(digit.width * scale));
  if (scale < 1) digit = scaleByArea(digit, height, width);
  else if (scale > 1) digit = scaleLinearly(digit, height, width);
  return { image: centred(digit), stroke: Math.max(stroke, 0.01) };
}

// The empty rows and columns cut off. A small digit ends with its last grey pixel, a large one where its edge is half
// as deep as its strokes.
function cut(digit) {
  const core = boundsOf(digit, CORE);
  if (!core) return null;
  const { top, left, bottom, right } = boundsOf(digit, EDGE * Math.max(0, 1 - BOX / longestOf(core)));
  const part = blank(bottom - top, right - left);
  for (let y = top; y < bottom; y++) {
    part.pixels.set(digit.pixels.subarray(y * digit.width + left, y * digit.width + right), (y - top) * part.width);
  }
  return part;
}

function boundsOf({ height, width, pixels }, edge) {
  let top = height, left = width, bottom = 0, right = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[y * width + x] <= edge) continue;
      top = Math.min(top, y); bottom = y + 1;
      left = Math.min(left, x); right = Math.max(right, x + 1);
    }
  }
  return bottom && { top, left, bottom, right };
}

// The mean width of strokes, by distances to their edges (Borgefors 1986): a stroke w wide has pixels w / 4 from it.
function strokeWidth({ height, width, pixels }) {
  const stride = width + 2, distances = new Float32Array((height + 2) * stride);
  let total = 0, n = 0;
  const pass = (y, x, back) => {
    if (pixels[y * width + x] <= CORE) return 0;
    const here = (y + 1) * stride + x + 1;
    const straight = Math.min(distances[here + back * stride], distances[here + back]) + STRAIGHT;
    const diagonal = Math.min(distances[here + back * (stride + 1)], distances[here + back * (stride - 1)]) + DIAGONAL;
    const nearest = Math.min(straight, diagonal);
    distances[here] = back < 0 ? nearest : Math.min(distances[here], nearest);
    return distances[here];
  };
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) pass(y, x, -1);
  for (let y = height - 1; y >= 0; y--) {
    for (let x = width - 1; x >= 0; x--) {
      const nearest = pass(y, x, 1);
      total += nearest;
      n += nearest > 0;
    }
  }
  return 4 * total / Math.max(1, n) - 1;
}

// morphology.py: dilated, or eroded, by an ellipse of change + 1 pixels, with margins.
function changeStrokes({ height, width, pixels }, change, thicken) {
  const size = change + 1, radius = size >> 1, margin = size;
  const out = blank(height + 2 * margin, width + 2 * margin);
  for (let y = 0; y < out.height; y++) {
    for (let x = 0; x < out.width; x++) {
      let found = thicken ? 0 : Infinity;
      for (let down = -radius; down < size - radius; down++) {
        const reach = rint(Math.sqrt(radius * radius - down * down));
        const last = Math.min(size - 1 - radius, reach);
        for (let across = -Math.min(radius, reach); across <= last; across++) {
          const row = y - margin + down, column = x - margin + across;
          const isInside = row >= 0 && row < height && column >= 0 && column < width;
          const value = isInside ? pixels[row * width + column] : 0;
          found = thicken ? Math.max(found, value) : Math.min(found, value);
        }
      }
      out.pixels[y * out.width + x] = found;
    }
  }
  return out;
}

// Which of newN larger pixels each of n pixels begins in, and how much of it lies in that and in the next one.
function sharesOf(n, newN) {
  return Array.from({ length: n }, (_, i) => {
    const start = i * newN / n, end = (i + 1) * newN / n, first = Math.min(Math.floor(start), newN - 1);
    const inFirst = Math.min(end, first + 1) - start;
    return [[first, inFirst], [Math.min(first + 1, newN - 1), Math.max(0, end - first - 1)]];
  });
}

function scaleByArea({ height, width, pixels }, newHeight, newWidth) {
  const out = blank(newHeight, newWidth), columns = sharesOf(width, newWidth);
  sharesOf(height, newHeight).forEach((rowShares, y) => {
    for (let x = 0; x < width; x++) {
      const value = pixels[y * width + x];
      if (value === 0) continue;
      for (const [row, down] of rowShares) {
        for (const [column, across] of columns[x]) out.pixels[row * newWidth + column] += value * down * across;
      }
    }
  });
  return out;
}

function scaleLinearly({ height, width, pixels }, newHeight, newWidth) {
  const out = blank(newHeight, newWidth);
  for (let y = 0; y < newHeight; y++) {
    const [above, below, low] = neighbours(y, height, newHeight);
    for (let x = 0; x < newWidth; x++) {
      const [left, right, far] = neighbours(x, width, newWidth);
      const upper = (1 - far) * pixels[above * width + left] + far * pixels[above * width + right];
      const lower = (1 - far) * pixels[below * width + left] + far * pixels[below * width + right];
      out.pixels[y * newWidth + x] = (1 - low) * upper + low * lower;
    }
  }
  return out;
}

function neighbours(position, size, newSize) {
  const at = Math.max(0, (position + 0.5) * size / newSize - 0.5), first = Math.floor(at);
  return [Math.min(first, size - 1), Math.min(first + 1, size - 1), at - first];
}

// The digit's ink at full range, its centre of mass in the middle: moved by whole pixels, never past the edge.
function centred({ height, width, pixels }) {
  let total = 0, down = 0, across = 0, deepest = 0;
  pixels.forEach((ink, i) => {
    total += ink;
    down += ink * Math.floor(i / width);
    across += ink * (i % width);
    deepest = Math.max(deepest, ink);
  });
  const top = Math.min(Math.max(0, Math.ceil(CENTRE - 0.5 - down / total)), SIDE - height);
  const left = Math.min(Math.max(0, Math.ceil(CENTRE - 0.5 - across / total)), SIDE - width);
  const image = new Uint8Array(SIDE * SIDE);
  pixels.forEach((ink, i) => {
    image[(top + Math.floor(i / width)) * SIDE + left + i % width] = rint(ink * (255 / deepest));
  });
  return image;
}
