// The page: what is drawn is noted at once, and shown at the next frame, with what the network makes of it.

const PAPER = 128, PEN = 10, STEP = 4; // pixels of the drawing: its side, the pen's width, a step of the keyboard
const COLUMNS = 64, INK = [53, 132, 228]; // squares in a row of hidden units, and their colour

const byId = (id) => document.getElementById(id);
const paper = byId("paper"), penMark = byId("pen");
const drawing = Object.assign(document.createElement("canvas"), { width: PAPER, height: PAPER })
  .getContext("2d", { willReadFrequently: true });

// --- from strokes to an answer ---

const strokes = []; // each a list of points [x, y]

// The strokes as a path of SVG; the last step makes a dot of a single point.
const pathOf = (strokes) => strokes.map((points) => `M${points.map((point) => point.join()).join("L")}l.01,0`).join("");

// The strokes as a picture: PAPER * PAPER greys, black on white.
function greysOf(strokes) {
  const style = { fillStyle: "#fff", strokeStyle: "#000", lineWidth: PEN, lineCap: "round", lineJoin: "round" };
  Object.assign(drawing, style);
  drawing.fillRect(0, 0, PAPER, PAPER);
  drawing.stroke(new Path2D(pathOf(strokes)));
  return Uint8Array.from(new Uint32Array(drawing.getImageData(0, 0, PAPER, PAPER).data.buffer)); // the low byte is red
}

// What the network sees of a picture, `image`, and says: `hidden`, `probabilities`, and `best`, the most probable
// output; or the `problem`.
function recognize(greys) {
  const seen = data.normalizes ? normalize(greys, PAPER) : shrunk(greys);
  if (seen.problem) return seen;
  const said = predict(layers, data.temperature, seen.image);
  return { image: seen.image, ...said, best: said.probabilities.indexOf(Math.max(...said.probabilities)) };
}

// For models of pictures that are taken as they are: all of the paper.
function shrunk(greys) {
  const pixels = Float32Array.from(greys, (grey) => 255 - grey);
  if (pixels.every((ink) => ink === 0)) return { problem: NOTHING };
  return { image: Uint8Array.from(scaleByArea({ height: PAPER, width: PAPER, pixels }, SIDE, SIDE).pixels, rint) };
}

// --- showing it ---

const thousands = (number) => number.toLocaleString("en");
const percent = (share) => `${(100 * share).toFixed(1)} %`;

function element(name, text, ...children) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

const bars = data.outputs.map((name) => {
  const header = Object.assign(element("th", name), { scope: "row" }), fill = element("div", "");
  const bar = element("div", "", fill), share = element("td", "");
  bar.className = "bar";
  const row = element("tr", "", header, Object.assign(element("td", "", bar), { ariaHidden: "true" }), share);
  byId("bars").tBodies[0].append(row);
  return { row, fill, share };
});

const hiddenLayers = data.layerSizes.slice(1, -1).map((size) => {
  const columns = Math.min(COLUMNS, size);
  const squares = Object.assign(element("canvas", ""), {
    width: columns, height: Math.ceil(size / columns), ariaHidden: "true",
  });
  const caption = element("figcaption", "");
  byId("hidden").append(element("figure", "", squares, caption));
  return { size, squares, caption };
});

// Paints a pixel for each value: its colour, and how opaque it is, 0 to 1.
function paint(canvas, values, [red, green, blue]) {
  const image = new ImageData(canvas.width, canvas.height);
  values.forEach((value, i) => image.data.set([red, green, blue, 255 * value], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function show({ image, hidden, probabilities, best, problem }) {
  const name = problem ? (strokes.length ? problem : "") : data.outputs[best];
  byId("strokes").setAttribute("d", pathOf(strokes));
  byId("hint").hidden = strokes.length > 0;
  byId("undo").disabled = byId("clear").disabled = strokes.length === 0;
  byId("label").textContent = name;
  byId("label").classList.toggle("words", name.length > 2);
  byId("sure").textContent = problem ? "" : percent(probabilities[best]);
  paint(byId("seen"), image ? Float32Array.from(image, (grey) => grey / 255) : [], [255, 255, 255]);
  bars.forEach(({ row, fill, share }, i) => {
    row.classList.toggle("first", i === best);
    fill.style.width = problem ? 0 : percent(probabilities[i]).replace(" ", "");
    share.textContent = problem ? "" : percent(probabilities[i]);
  });
  hiddenLayers.forEach(({ size, squares, caption }, i) => {
    const values = problem ? [] : hidden[i], most = Math.max(...values, Number.MIN_VALUE);
    paint(squares, values.map((value) => Math.sqrt(value / most)), INK); // as if by light: weak ones show too
    const nActive = values.filter((value) => value > 0).length;
    caption.textContent = `Layer ${i + 1}: ${thousands(nActive)} of ${thousands(size)} units active`;
  });
  return problem ? name : `${name}, ${percent(probabilities[best])}`;
}

let isWaiting = false, news = null; // whether an update is coming, and what to tell with it

function update() {
  isWaiting = false;
  const told = show(recognize(greysOf(strokes)));
  if (news === null) return;
  byId("status").textContent = [news, told].filter(Boolean).join(": ");
  news = null;
}

function changed(tell = news) {
  news = tell;
  if (!isWaiting) requestAnimationFrame(update);
  isWaiting = true;
}

// --- drawing: pointers, keys, buttons ---

const pen = { x: PAPER / 2, y: PAPER / 2, isDown: false };

function movePen(x, y) {
  pen.x = Math.min(PAPER, Math.max(0, Math.round(100 * x) / 100));
  pen.y = Math.min(PAPER, Math.max(0, Math.round(100 * y) / 100));
  if (pen.isDown) strokes.at(-1).push([pen.x, pen.y]);
  penMark.setAttribute("transform", `translate(${pen.x} ${pen.y})`);
  changed();
}

function setPen(isDown) {
  pen.isDown = isDown;
  penMark.classList.toggle("down", isDown);
  if (isDown) strokes.push([[pen.x, pen.y]]);
  changed(isDown ? "Pen down" : "Pen up");
}

function undo() {
  if (pen.isDown) setPen(false);
  strokes.pop();
  changed("Stroke undone");
}

function clear() {
  if (pen.isDown) setPen(false);
  strokes.length = 0;
  changed("Cleared");
}

let pointer = null; // the id of the one that draws

function follow(event) {
  const { left, top, width, height } = paper.getBoundingClientRect();
  movePen((event.clientX - left) / width * PAPER, (event.clientY - top) / height * PAPER);
}

paper.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  pointer = event.pointerId;
  paper.setPointerCapture(pointer);
  penMark.classList.remove("used");
  if (pen.isDown) setPen(false);
  follow(event);
  setPen(true);
});
paper.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const all = event.getCoalescedEvents?.() ?? [];
  for (const each of all.length ? all : [event]) follow(each);
});
paper.addEventListener("lostpointercapture", (event) => {
  if (event.pointerId !== pointer) return;
  pointer = null;
  if (pen.isDown) setPen(false);
});

const MOVES = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  Home: [-1, -1], PageUp: [1, -1], End: [-1, 1], PageDown: [1, 1],
};
const KEYS = { " ": () => setPen(!pen.isDown), Backspace: undo, Delete: clear };

paper.addEventListener("keydown", (event) => {
  const move = MOVES[event.key], act = KEYS[event.key];
  if (!(move || act) || pointer !== null || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  penMark.classList.add("used");
  if (move) movePen(pen.x + STEP * move[0], pen.y + STEP * move[1]);
  else act();
});
byId("undo").addEventListener("click", undo);
byId("clear").addEventListener("click", clear);

byId("sizes").textContent = data.layerSizes.join("–");
penMark.setAttribute("transform", `translate(${pen.x} ${pen.y})`);
update();
