"use strict";
// The model: facts as JSON, and its weights in base64, layer by layer: weights (n_in, n_out), then biases (n_out). Those of
// integers: all weights in steps, then layer by layer the sizes of the steps, one for each output, and the biases.

const data = JSON.parse(document.getElementById("data").textContent);
const layers = readLayers(data.layerSizes, document.getElementById("weights").textContent, data.storedAs);

function readLayers(sizes, base64, storedAs) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  if (storedAs === "int8") return integerLayers(sizes, bytes.buffer);
  const numbers = storedAs === "float16" ? widened(new Uint16Array(bytes.buffer)) : new Float32Array(bytes.buffer);
  let start = 0;
  const next = (n) => numbers.subarray(start, start += n);
  return sizes.slice(1).map((nOut, layer) => ({ weights: next(sizes[layer] * nOut), biases: next(nOut) }));
}

function integerLayers(sizes, buffer) {
  let start = 0;
  const next = (Kind, n) => new Kind(buffer.slice(start, start += n * Kind.BYTES_PER_ELEMENT));
  const inSteps = sizes.slice(1).map((nOut, layer) => next(Int8Array, sizes[layer] * nOut));
  return inSteps.map((steps, layer) => {
    const nOut = sizes[layer + 1], stepSizes = next(Float32Array, nOut), biases = next(Float32Array, nOut);
    return { weights: Float32Array.from(steps, (step, i) => step * stepSizes[i % nOut]), biases };
  });
}

// float16 as float32, by a table: older browsers have no Float16Array.
function widened(halves) {
  const table = Float32Array.from({ length: 1 << 16 }, (_, bits) => {
    const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
  });
  return Float32Array.from(halves, (bits) => table[bits]);
}

// Takes 28 * 28 greys; returns what each hidden layer passes on, and the probability of each output. Of integers, what is
// passed on is a whole number of steps, 255 at most.
function predict(layers, temperature, image) {
  const hidden = [];
  let values = Float32Array.from(image, (grey) => grey / 255);
  layers.forEach(({ weights, biases }, layer) => {
    const sums = Float64Array.from(biases), n = sums.length;
    values.forEach((value, i) => {
      if (value === 0) return; // most pixels, and half of the hidden units
      const row = i * n;
      for (let j = 0; j < n; j++) sums[j] += value * weights[row + j];
    });
    values = sums;
    if (layer === layers.length - 1) return;
    const step = data.activationSteps[layer];
    values = sums.map((sum) => Math.max(0, sum)); // ReLU
    if (step) values = values.map((value) => Math.min(255, rint(value / step)) * step);
    hidden.push(values);
  });
  return { hidden, probabilities: softmax(values.map((logit) => logit / temperature)) };
}

function softmax(logits) {
  const largest = Math.max(...logits), powers = logits.map((logit) => Math.exp(logit - largest));
  const total = powers.reduce((sum, power) => sum + power);
  return powers.map((power) => power / total);
}
