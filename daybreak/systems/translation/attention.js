// Draws the attention maps that the page carries as JSON. Text of a user's enters the page as text content only.

const { kinds, marks } = JSON.parse(document.getElementById("look").textContent);
const NAMES = {
  cross: { map: "The translation looks at the sentence", columns: "Sentence", rows: "Translation", short: "translation → sentence" },
  encoder: { map: "The sentence looks at itself", columns: "Sentence, looked at", rows: "Sentence, being read", short: "sentence → itself" },
  decoder: { map: "The translation looks at itself", columns: "Translation, read so far", rows: "Translation", short: "translation → itself" },
};
const MEAN = -1;
const LEAST_LINE = 0.02; // weights below this get no line: their width would promise more than they are
const LEAST_TRACE = 0.12; // the same for words already written
const LEAST_TOLD = 0.05; // the same for being named in the sentence below
const FINE = 32; // maps of more tokens than this are smoothed when they are drawn small
const MOST_LABEL = 16; // characters of a label of the matrix
const MOST_BESIDE = 30; // columns of a matrix that has room beside all heads

const $ = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const shade = (weight) => Math.sqrt(weight); // so that a glance can be seen beside a stare

/** What is shown: the map, the word that the animation is at, a word pointed at or clicked ({side, index}). */
const state = { kind: kinds[0], layer: kinds[0].maps.length - 1, head: 0, step: 0, pointed: null, chosen: null };
let timer = 0;
let weights = [];

// ------------------------------------------------------------------ maps

/** The map of a head, or the mean of its layer: rows of shares of 1. */
function mapOf(kind, layer, head) {
  const maps = kind.maps[layer];
  if (head !== MEAN) return maps[head].map((row) => row.map((n) => n / 1000));
  return maps[0].map((row, i) => row.map((_, j) => maps.reduce((sum, map) => sum + map[i][j], 0) / maps.length / 1000));
}

function nameOf({ kind, layer, head }) {
  if (kinds.length === 1 && kind.maps.length === 1 && kind.maps[0].length === 1) return NAMES[kind.name].map;
  const which = head === MEAN ? "mean of all heads" : `head ${head + 1}`;
  return `${NAMES[kind.name].map}: layer ${layer + 1}, ${which}`;
}

/** Paint a map on a canvas, one pixel a cell, in the accent colour. */
function paint(canvas, map) {
  canvas.width = map[0].length;
  canvas.height = map.length;
  const context = canvas.getContext("2d");
  const [red, green, blue] = accent(context);
  const image = context.createImageData(canvas.width, canvas.height);
  map.flat().forEach((weight, i) => image.data.set([red, green, blue, 255 * shade(weight)], 4 * i));
  context.putImageData(image, 0, 0);
  canvas.classList.toggle("fine", Math.max(canvas.width, canvas.height) > FINE);
}

function accent(context) {
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
  return [1, 3, 5].map((i) => parseInt(context.fillStyle.slice(i, i + 2), 16)); // a canvas gives colours as #rrggbb
}

// ------------------------------------------------------------------ tokens

const cut = (text) => ([...text].length > MOST_LABEL ? `${[...text].slice(0, MOST_LABEL - 1).join("")}…` : text);
const isBlank = (token) => /^[\p{Z}\p{Cc}\p{Cf}]*$/u.test(token);
const bare = (token) => (isBlank(token) ? (token ? "␣" : "◌") : token.trim());
const isMark = (tokens, i) => tokens[i] === marks.start || (tokens[i] === marks.end && i === tokens.length - 1);
const begins = (tokens, i) => i === 0 || /^\s/u.test(tokens[i]) || isMark(tokens, i) || isMark(tokens, i - 1);
const joins = (tokens, i) => i > 0 && /^[\p{L}\p{N}\p{M}]/u.test(tokens[i]) && /[\p{L}\p{N}]$/u.test(tokens[i - 1]);

function element(name, text = "", classes = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = classes;
  return made;
}

function token(tokens, i, side) {
  const chip = element("button", bare(tokens[i]));
  chip.type = "button";
  chip.tabIndex = i === 0 ? 0 : -1;
  chip.classList.toggle("begins", begins(tokens, i));
  chip.classList.toggle("ends", i === tokens.length - 1 || begins(tokens, i + 1));
  chip.classList.toggle("mark", isMark(tokens, i) || isBlank(tokens[i]));
  listen(chip, { side, index: i });
  return chip;
}

/** Pointing at something shows its look, leaving goes back, clicking stays there. */
function listen(target, word) {
  target.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && point(word));
  target.addEventListener("pointerleave", () => point(null));
  target.addEventListener("click", () => choose(word));
}

function showTokens() {
  const { rows, columns } = state.kind;
  $("columns").replaceChildren(...columns.map((_, i) => token(columns, i, "columns")));
  $("rows").replaceChildren(...rows.map((_, i) => token(rows, i, "rows")));
  $("name-columns").textContent = NAMES[state.kind.name].columns;
  $("name-rows").textContent = NAMES[state.kind.name].rows;
  $("scrub").max = rows.length;
}

// ------------------------------------------------------------------ one look

const view = () => state.pointed ?? state.chosen ?? { side: "rows", index: state.step };

/** How much the word in view looks at each token of the other side, or how much each of those looks at it. */
function sharesOf({ side, index }) {
  return side === "rows" ? weights[index] : weights.map((row) => row[index]);
}

function showLook(grows = false) {
  const seen = view();
  const shares = sharesOf(seen);
  const other = seen.side === "rows" ? "columns" : "rows";
  [...$(other).children].forEach((chip, i) => light(chip, shares[i], false));
  [...$(seen.side).children].forEach((chip, i) => light(chip, 0, i === seen.index));
  showWritten();
  showLines(seen, shares, grows);
  showReadout(seen, shares);
  showPlace(seen);
}

/** Fade what is not written yet, and in the decoder's look at itself what it has not read yet. */
function showWritten() {
  const fades = { rows: state.kind.name !== "encoder", columns: state.kind.name === "decoder" };
  for (const side of ["rows", "columns"])
    [...$(side).children].forEach((chip, i) => chip.classList.toggle("ahead", fades[side] && i > state.step));
  [...$("rows").children].forEach((chip, i) => (chip.tabIndex = i === state.step ? 0 : -1));
}

function light(chip, share, isHere) {
  chip.style.setProperty("--w", shade(share).toFixed(3));
  chip.classList.toggle("here", isHere);
}

function showLines(seen, shares, grows) {
  const isRow = seen.side === "rows";
  const paths = shares.map((share, i) => line(...(isRow ? [seen.index, i] : [i, seen.index]), share, grows ? "grows" : ""));
  const isOver = isWrapped($("rows")) || isWrapped($("columns"));
  const isTraced = isRow && seen.index === state.step && !isOver;
  const traces = isTraced ? weights.slice(0, state.step).flatMap((row, r) => row.map((share, i) => trace(r, i, share))) : [];
  $("lines").classList.toggle("over", isOver); // of words between
  $("lines").replaceChildren(...[...traces, ...paths].filter(Boolean));
}

const isWrapped = (tokens) => tokens.firstElementChild.offsetTop !== tokens.lastElementChild.offsetTop;
const trace = (row, column, share) => (share < LEAST_TRACE ? null : line(row, column, share * 0.3, "past"));

/** A curve from a token above to one below; its width and its opacity grow with the share. */
function line(row, column, share, classes) {
  if (share < LEAST_LINE) return null;
  const stage = $("stage").getBoundingClientRect();
  const above = $("columns").children[column].getBoundingClientRect();
  const below = $("rows").children[row].getBoundingClientRect();
  const [x1, y1] = [above.left + above.width / 2 - stage.left, above.bottom - stage.top];
  const [x2, y2] = [below.left + below.width / 2 - stage.left, below.top - stage.top];
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const middle = (y1 + y2) / 2;
  path.setAttribute("d", `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`);
  path.setAttribute("pathLength", 1);
  path.setAttribute("stroke-width", 1 + 7 * share);
  path.setAttribute("opacity", shade(share));
  path.setAttribute("class", classes);
  return path;
}

/** The word in view and what it looks at most, in a sentence. */
function showReadout(seen, shares) {
  const isRow = seen.side === "rows";
  const [own, others] = isRow ? [state.kind.rows, state.kind.columns] : [state.kind.columns, state.kind.rows];
  const most = shares.map((share, i) => [share, i]).sort((a, b) => b[0] - a[0]).slice(0, 4);
  const named = most.filter(([share], place) => place === 0 || share >= LEAST_TOLD);
  const told = named.map(([share, i]) => `“${bare(others[i])}” ${percent(share)}`).join(", ");
  const verb = state.kind.name === "encoder" ? "reading" : "writing";
  const word = element("b", bare(own[seen.index]));
  $("readout").replaceChildren(...(isRow ? [`While ${verb} `, word, `, the network looks at ${told}.`] : [word, ` is looked at while ${verb} ${told}.`]));
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;

/** Where we are: on the slider, in the matrix. */
function showPlace(seen) {
  const { rows } = state.kind;
  $("scrub").value = state.step + 1;
  $("scrub").setAttribute("aria-valuetext", `${state.step + 1} of ${rows.length}: ${$("readout").textContent}`);
  $("count").textContent = `${state.step + 1} / ${rows.length}`;
  $("back").disabled = state.step === 0;
  $("forward").disabled = state.step === rows.length - 1;
  for (const side of ["rows", "columns"])
    [...$(`labels-${side}`).children].forEach((label, i) => label.classList.toggle("here", side === seen.side && i === seen.index));
  const [count, along, across, from, size] =
    seen.side === "rows" ? [rows.length, "top", "height", "left", "width"] : [state.kind.columns.length, "left", "width", "top", "height"];
  Object.assign($("marker").style, { [along]: `${(100 * seen.index) / count}%`, [across]: `${100 / count}%`, [from]: 0, [size]: "100%" });
}

// ------------------------------------------------------------------ the matrix

function showMatrix() {
  const { rows, columns } = state.kind;
  const map = element("div");
  map.id = "map";
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", nameOf(state));
  const marker = element("div");
  marker.id = "marker";
  map.append(canvas, marker);
  paint(canvas, weights);
  canvas.classList.remove("fine");
  canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && point(cellAt(canvas, event)));
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("click", (event) => choose(cellAt(canvas, event)));
  $("matrix").style.setProperty("--across", columns.length);
  $("matrix").style.setProperty("--down", rows.length);
  $("matrix").replaceChildren(element("div"), labels("columns", "top"), labels("rows", "left"), map);
  $("map-name").textContent = nameOf(state);
}

function labels(side, place) {
  const tokens = state.kind[side];
  const box = element("div", "", `labels ${place}`);
  box.id = `labels-${side}`;
  const spans = tokens.map((text, i) => {
    const label = element("span", cut(bare(text)), joins(tokens, i) ? "joins" : "");
    label.title = bare(text);
    listen(label, { side, index: i });
    return label;
  });
  box.append(...spans);
  return box;
}

function cellAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const row = Math.floor(((event.clientY - box.top) / box.height) * weights.length);
  return { side: "rows", index: Math.max(0, Math.min(weights.length - 1, row)) };
}

// ------------------------------------------------------------------ every head

function showHeads() {
  $("heads").replaceChildren(...kinds.map(headsOf));
  paint($("scale"), [Array.from({ length: 64 }, (_, i) => i / 63)]);
  showPressed();
}

function headsOf(kind) {
  const box = element("div", "", "maps");
  const heads = kind.maps[0].length;
  const shown = heads > 1 ? [MEAN, ...Array(heads).keys()] : [0];
  box.style.setProperty("--across", shown.length);
  box.append(element("h3", NAMES[kind.name].map), element("span"));
  box.append(...shown.map((head) => element("span", head === MEAN ? "mean" : `${head + 1}`, "head")));
  kind.maps.forEach((_, layer) => {
    box.append(element("span", `${layer + 1}`), ...shown.map((head) => miniature(kind, layer, head)));
  });
  return box;
}

function miniature(kind, layer, head) {
  const button = element("button");
  const canvas = element("canvas");
  paint(canvas, mapOf(kind, layer, head));
  button.type = "button";
  button.append(canvas);
  button.title = nameOf({ kind, layer, head });
  button.setAttribute("aria-label", button.title);
  button.dataset.map = [kind.name, layer, head];
  button.addEventListener("click", () => select(kind, layer, head));
  return button;
}

function showPressed() {
  const here = [state.kind.name, state.layer, state.head].join();
  for (const button of $("heads").querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.map === here);
  for (const [name, value] of [["kind", kinds.indexOf(state.kind)], ["layer", state.layer], ["head", state.head]]) {
    const input = $("choices").querySelector(`input[name=${name}][value="${value}"]`);
    if (input) input.checked = true;
  }
}

// ------------------------------------------------------------------ choosing

function showChoices() {
  const heads = kinds[0].maps[0].length;
  const groups = [
    ["kind", "", kinds.map((kind, i) => [i, NAMES[kind.name].short])],
    ["layer", "Layer", kinds[0].maps.map((_, i) => [i, `${i + 1}`])],
    ["head", "Head", heads > 1 ? [[MEAN, "mean"], ...Array.from({ length: heads }, (_, i) => [i, `${i + 1}`])] : []],
  ];
  $("choices").replaceChildren(...groups.filter(([, , options]) => options.length > 1).map((group) => choice(...group)));
  $("choices").addEventListener("change", () => {
    const chosen = new FormData($("choices"));
    select(kinds[chosen.get("kind") ?? 0], Number(chosen.get("layer") ?? state.layer), Number(chosen.get("head") ?? state.head));
  });
}

function choice(name, title, options) {
  const group = element("fieldset");
  group.append(element("legend", title));
  group.setAttribute("aria-label", title || "What looks at what");
  for (const [value, text] of options) {
    const label = element("label");
    const input = element("input");
    Object.assign(input, { type: "radio", name, value });
    label.append(input, element("span", text));
    group.append(label);
  }
  return group;
}

function select(kind, layer, head) {
  const isOther = kind !== state.kind;
  Object.assign(state, { kind, layer, head, pointed: null, chosen: null });
  if (isOther) {
    state.step = Math.min(state.step, kind.rows.length - 1);
    showTokens();
  }
  showMap();
}

function showMap() {
  weights = mapOf(state.kind, state.layer, state.head);
  showMatrix();
  showPressed();
  showLook();
}

function point(word) {
  state.pointed = word;
  showLook();
}

function choose(word) {
  pause();
  if (word.side === "rows") goTo(word.index);
  else {
    state.chosen = word;
    state.pointed = null;
    showLook();
  }
}

// ------------------------------------------------------------------ playing

function goTo(step) {
  state.step = Math.max(0, Math.min(state.kind.rows.length - 1, step));
  state.pointed = state.chosen = null;
  showLook(true);
}

function play() {
  if (state.step === state.kind.rows.length - 1) goTo(0);
  const pace = Math.max(350, Math.min(1000, 16000 / state.kind.rows.length)); // milliseconds a word
  timer = setInterval(() => {
    if (state.pointed) return; // the reader looks at something: wait
    goTo(state.step + 1);
    if (state.step === state.kind.rows.length - 1) pause();
  }, pace);
  showPlaying();
}

function pause() {
  clearInterval(timer);
  timer = 0;
  showPlaying();
}

function showPlaying() {
  $("play").classList.toggle("playing", timer !== 0);
  $("play").setAttribute("aria-label", timer ? "Pause" : "Play");
  $("readout").setAttribute("aria-live", timer ? "off" : "polite");
}

function step(by) {
  pause();
  goTo(state.step + by);
  if (document.activeElement.parentElement === $("rows")) $("rows").children[state.step].focus();
}

/** Arrow keys walk along the text that has the focus, or else step through the animation. */
function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input")) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const onColumns = event.target.parentElement === $("columns");
  if (by && onColumns) walk(event.target, by);
  else if (by) step(by);
  else if (event.key === " " && !event.target.matches("button")) (timer ? pause : play)();
  else return;
  event.preventDefault();
}

function walk(from, by) {
  const next = by > 0 ? from.nextElementSibling : from.previousElementSibling;
  if (!next) return;
  [from.tabIndex, next.tabIndex] = [-1, 0];
  next.focus();
  choose({ side: "columns", index: [...$("columns").children].indexOf(next) });
}

// ------------------------------------------------------------------ begin

/** What the signs mean that stand for tokens without letters. */
function signs() {
  const tokens = kinds.flatMap((kind) => [...kind.rows, ...kind.columns]);
  const told = [`${marks.end} is the end of a sentence`];
  if (tokens.includes(marks.start)) told.push(`${marks.start} its start`);
  if (tokens.includes("")) told.push("◌ a byte that completes no character yet");
  if (tokens.some((token) => token && isBlank(token))) told.push("␣ a token that cannot be seen");
  return `${told.join(", ")}. A line ties the tokens of one word.`;
}

function begin() {
  const maps = kinds.reduce((sum, kind) => sum + kind.maps.flat().length, 0);
  const isMany = maps > 1;
  $("about").textContent = isMany
    ? `Every attention map of one translation: ${maps} of them, tokens as the network reads them.`
    : "The attention of one translation, word by word, tokens as the network reads them.";
  $("legend").textContent = `Colour grows as the square root of the share. ${signs()}`;
  $("all").hidden = !isMany;
  document.querySelector(".pair").classList.toggle("both", isMany && Math.max(...kinds.map((kind) => kind.columns.length)) <= MOST_BESIDE);
  if (kinds[0].maps[0].length > 1) state.head = MEAN;
  showChoices();
  showTokens();
  showHeads();
  showMap();
  showPlaying();
  $("play").addEventListener("click", () => (timer ? pause() : play()));
  $("back").addEventListener("click", () => step(-1));
  $("forward").addEventListener("click", () => step(1));
  $("scrub").addEventListener("input", () => step($("scrub").value - 1 - state.step));
  document.addEventListener("keydown", onKey);
  new ResizeObserver(() => showLook()).observe($("stage"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (showHeads(), showMap()));
  if (still.matches) goTo(state.kind.rows.length - 1);
  else play();
}

begin();
