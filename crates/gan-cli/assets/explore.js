// The explorer. `view` is all that the reader has chosen, and the address of the page holds it.
import { at, element, nearness, newest, paint } from "./panels.js";

const run = document.body.dataset.run;
const noTruncation = 3, shownDirections = 6, stepsOfPath = 9;
const view = {
  weights: "", seed: 0, count: 64, truncation: noTruncation, class: -1, second: -1, share: 0,
  moves: [], directions: shownDirections, locked: {}, chosen: -1, picks: [], path: 0.5,
};
let model = null;

const fail = (message) => { at("problem").textContent = message; };

async function ask(address, body) {
  const options = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(address, options).catch(() => null);
  if (response?.ok) return response;
  throw new Error(response ? await response.text() : "The program that serves this page does not answer.");
}

// What the server needs to know.
const latent = (index) => view.locked[index] ?? [view.seed, index];
const classes = () => {
  if (view.class < 0) return [];
  return view.second < 0 ? [[view.class, 1]] : [[view.class, 1 - view.share], [view.second, view.share]];
};
const image = (parts) => ({ of: parts, classes: classes() });
const single = ([seed, index]) => image([[seed, index, 1]]);
const all = () => Array.from({ length: view.count }, (_, index) => single(latent(index)));
const request = (images, columns) => ({
  run, images, columns, weights: view.weights, moves: view.moves,
  truncation: view.truncation < noTruncation ? view.truncation : null,
});
const draw = async (images) => {
  const response = await ask("/api/draw", request(images));
  return { model, bytes: new Uint8Array(await response.arrayBuffer()) };
};
const link = (address, images, columns) => `${address}?view=${encodeURIComponent(JSON.stringify(request(images, columns)))}`;

/** The mixture of all picked images, by their shares. */
function mixture() {
  const weighs = view.picks.some((pick) => pick.share > 0);
  return image(view.picks.map((pick) => [...pick.at, weighs ? pick.share : 1]));
}

/** The mixture at a place of the path through the picked images. */
function onPath(place) {
  const picks = view.picks, last = picks.length - 1, exact = place * last;
  const before = Math.min(Math.floor(exact), last - 1), share = exact - before;
  return image([[...picks[before].at, 1 - share], [...picks[before + 1].at, share]]);
}

const drawGrid = newest(async () => {
  const start = performance.now();
  try {
    const answer = await draw(all());
    const cells = [...at("grid").children];
    cells.forEach((cell, index) => paint(cell.firstChild, answer, index));
    if (view.chosen >= 0) paint(at("large"), answer, view.chosen);
    at("time").textContent = `${view.count} images in ${Math.round(performance.now() - start)} ms`;
    document.body.dataset.drawn = +(document.body.dataset.drawn ?? 0) + 1;
    fail("");
  } catch (error) { fail(error.message); }
});

const drawPicks = newest(async () => {
  if (!view.picks.length) return;
  try {
    const images = view.picks.map((pick) => single(pick.at)), count = images.length;
    if (count > 1) {
      const places = Array.from({ length: stepsOfPath }, (_, step) => step / (stepsOfPath - 1));
      images.push(mixture(), onPath(view.path), ...places.map(onPath));
    }
    const answer = await draw(images);
    at("picks").querySelectorAll("canvas").forEach((canvas, index) => paint(canvas, answer, index));
    if (count > 1) {
      paint(at("mixture"), answer, count);
      paint(at("between"), answer, count + 1);
      [...at("steps").children].forEach((canvas, index) => paint(canvas, answer, count + 2 + index));
    }
    document.body.dataset.mixed = +(document.body.dataset.mixed ?? 0) + 1;
  } catch (error) { fail(error.message); }
});

/** After a change of the view: the address, the controls and the pictures. */
function changed() {
  // The nearest pictures are those of another image now.
  at("near").replaceChildren();
  history.replaceState(null, "", "#" + encodeURIComponent(JSON.stringify(view)));
  show();
  drawGrid();
  drawPicks();
}

function show() {
  const values = { weights: view.weights, seed: view.seed, count: view.count, truncation: view.truncation, class: view.class, second: view.second, share: view.share, path: view.path };
  for (const [id, value] of Object.entries(values)) if (document.activeElement != at(id)) at(id).value = value;
  at("truncation-value").textContent = view.truncation < noTruncation ? view.truncation : "none";
  at("share-value").textContent = Math.round(view.share * 100) + "%";
  at("path-value").textContent = Math.round(view.path * 100) + "%";
  at("second").disabled = view.class < 0;
  at("share").disabled = view.class < 0 || view.second < 0;
  showGrid();
  showDirections();
  showChosen();
  showPicks();
  const columns = Math.sqrt(view.count);
  at("save-png").href = link("/draw.png", all(), columns);
  at("save-npy").href = link("/latents.npy", all());
}

const isAt = ([seed, index], [otherSeed, otherIndex]) => seed == otherSeed && index == otherIndex;
const isPicked = (index) => view.picks.some((pick) => isAt(pick.at, latent(index)));

function choose(index) {
  view.chosen = view.chosen == index ? -1 : index;
  changed();
  // On a narrow screen, the large image is below the grid.
  if (view.chosen >= 0) at("chosen").scrollIntoView({ block: "nearest" });
}

function showGrid() {
  const grid = at("grid"), columns = Math.sqrt(view.count);
  if (grid.children.length != view.count) {
    const cells = Array.from({ length: view.count }, (_, index) => {
      const cell = element("button", { type: "button", className: "cell" }, element("canvas"));
      cell.onclick = () => { choose(index); };
      return cell;
    });
    grid.replaceChildren(...cells);
  }
  grid.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  const inTabOrder = Math.max(view.chosen, 0);
  [...grid.children].forEach((cell, index) => {
    const [seed, number] = latent(index), isLocked = index in view.locked;
    cell.tabIndex = index == inTabOrder ? 0 : -1;
    cell.setAttribute("aria-pressed", index == view.chosen);
    cell.setAttribute("aria-label", `image ${number} of seed ${seed}${isLocked ? ", locked" : ""}${isPicked(index) ? ", picked" : ""}`);
    cell.classList.toggle("locked", isLocked);
    cell.classList.toggle("picked", isPicked(index));
  });
}

at("grid").onkeydown = (event) => {
  const columns = Math.sqrt(view.count), cells = [...at("grid").children];
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  const next = cells[cells.indexOf(document.activeElement) + (by ?? NaN)];
  if (!next) return;
  event.preventDefault();
  cells.forEach((cell) => { cell.tabIndex = cell == next ? 0 : -1; });
  next.focus();
};

function showDirections() {
  const most = Math.min(view.directions, model.directions), box = at("directions");
  while (box.children.length > most) box.lastChild.remove();
  while (box.children.length < most) {
    const index = box.children.length, id = `direction-${index + 1}`;
    const slider = element("input", { type: "range", id, min: -6, max: 6, step: 0.1 });
    slider.oninput = () => { view.moves[index] = +slider.value; for (let i = 0; i < index; i++) view.moves[i] ??= 0; changed(); };
    box.append(element("div", { className: "field" }, element("label", { htmlFor: id }, `Direction ${index + 1}: `, element("output")), slider));
  }
  [...box.querySelectorAll("input")].forEach((slider, index) => {
    slider.value = view.moves[index] ?? 0;
    slider.previousSibling.lastChild.textContent = view.moves[index] ?? 0;
  });
  at("more").disabled = most >= model.directions;
}

function showChosen() {
  at("chosen").hidden = view.chosen < 0;
  if (view.chosen < 0) return;
  const [seed, number] = latent(view.chosen), one = [single([seed, number])];
  at("chosen-name").textContent = `${number} of seed ${seed}`;
  at("pick").textContent = isPicked(view.chosen) ? "Do not pick" : "Pick";
  at("lock").textContent = view.chosen in view.locked ? "Unlock" : "Lock";
  at("lock").title = "A locked image stays while the seed changes.";
  at("one-png").href = link("/draw.png", one, 1);
  at("one-npy").href = link("/latents.npy", one);
}

function showPicks() {
  at("picked").hidden = !view.picks.length;
  at("mixed").hidden = view.picks.length < 2;
  const list = at("picks"), key = JSON.stringify(view.picks.map((pick) => pick.at));
  if (list.dataset.of != key) {
    list.dataset.of = key;
    list.replaceChildren(...view.picks.map((pick) => {
      const name = `image ${pick.at[1]} of seed ${pick.at[0]}`;
      const share = element("input", { type: "range", min: 0, max: 1, step: 0.01, value: pick.share, "aria-label": `share of ${name}` });
      share.oninput = () => { pick.share = +share.value; changed(); };
      const remove = element("button", { type: "button", "aria-label": `remove ${name}` }, "Remove");
      remove.onclick = () => { view.picks = view.picks.filter((other) => other != pick); changed(); };
      return element("li", {}, element("canvas"), share, remove);
    }));
  }
  if (view.picks.length > 1) {
    const weighs = view.picks.some((pick) => pick.share > 0);
    const whole = view.picks.reduce((sum, pick) => sum + pick.share, 0);
    const shares = view.picks.map((pick) => Math.round(pick.share / whole * 100) + "%").join(", ");
    at("mixture-note").textContent = weighs ? `Shares: ${shares}.` : "All shares are 0, so all images count equally.";
    for (const [id, shown] of [["mixture", mixture()], ["between", onPath(view.path)]]) {
      at(`${id}-png`).href = link("/draw.png", [shown], 1);
      at(`${id}-npy`).href = link("/latents.npy", [shown]);
    }
  }
  if (at("steps").children.length == 0) at("steps").append(...Array.from({ length: stepsOfPath }, () => element("canvas")));
}

function follow(id, key, read = Number) {
  at(id).addEventListener("input", () => {
    const value = read(at(id).value);
    if (typeof value == "number" && !Number.isFinite(value)) return;
    view[key] = value;
    changed();
  });
}
follow("weights", "weights", String);
at("seed").oninput = () => {
  const seed = at("seed").value === "" ? NaN : +at("seed").value;
  if (!Number.isSafeInteger(seed) || seed < 0) return fail(`A seed is a whole number from 0 to ${Number.MAX_SAFE_INTEGER}: these are still the images of ${view.seed}.`);
  fail("");
  view.seed = seed;
  changed();
};
for (const id of ["truncation", "class", "second", "share", "path"]) follow(id, id);
at("count").oninput = () => { view.count = +at("count").value; if (view.chosen >= view.count) view.chosen = -1; changed(); };
at("another").onclick = () => { view.seed = Math.floor(Math.random() * 1e6); changed(); };
at("more").onclick = () => { view.directions += shownDirections; changed(); };
at("copy-link").onclick = async () => {
  // Without a secure address, browsers have no clipboard.
  try { await navigator.clipboard.writeText(location.href); at("copy-link").textContent = "Copied"; }
  catch { fail("The browser does not let the page copy. The link is in its address bar."); }
  setTimeout(() => { at("copy-link").textContent = "Copy a link to this view"; }, 2000);
};
at("reset").onclick = () => { view.moves = []; changed(); };
at("lock").onclick = () => {
  if (view.chosen in view.locked) delete view.locked[view.chosen];
  else view.locked[view.chosen] = latent(view.chosen);
  changed();
};
at("pick").onclick = () => {
  const here = latent(view.chosen);
  if (isPicked(view.chosen)) view.picks = view.picks.filter((pick) => !isAt(pick.at, here));
  else if (view.picks.length < 8) view.picks.push({ at: here, share: 1 });
  else return fail("A mixture has at most 8 images.");
  changed();
};
at("copies").onclick = async () => {
  const near = at("near");
  near.textContent = "Reading the training pictures ...";
  try {
    const { usual, nearest } = await (await ask("/api/nearest", request([single(latent(view.chosen))]))).json();
    const figures = nearest.map(({ distance, mirrored, pixels }) => {
      const canvas = element("canvas"), bytes = Uint8Array.from(atob(pixels), (c) => c.charCodeAt(0));
      paint(canvas, { model, bytes }, 0);
      return element("figure", {}, canvas, element("figcaption", {}, distance.toFixed(1) + (mirrored ? ", mirrored" : "")));
    });
    const note = `${nearness(nearest[0].distance, usual)} The numbers are distances of pixels from 0 to 255. Between a training picture and its nearest other one, ${usual.toFixed(1)} is usual.`;
    near.replaceChildren(element("h3", {}, "Nearest training pictures"), element("div", { className: "nearest" }, ...figures), element("p", { className: "note" }, note));
  } catch (error) { near.replaceChildren(element("p", { className: "problem" }, error.message)); }
};

async function start() {
  try {
    model = await (await ask(`/api/generators?run=${encodeURIComponent(run)}`)).json();
  } catch (error) { return fail(error.message); }
  at("weights").append(...model.weights.map((name) => element("option", { value: name }, name)));
  view.weights = model.weights[0];
  if (model.classes) {
    const names = Array.from({ length: model.classes }, (_, index) => element("option", { value: index }, model.classNames[index] ?? index));
    at("class").append(element("option", { value: -1 }, "all in turn"), ...names);
    at("second").append(element("option", { value: -1 }, "none"), ...names.map((name) => name.cloneNode(true)));
    at("of-classes").hidden = false;
  }
  try {
    if (location.hash) Object.assign(view, JSON.parse(decodeURIComponent(location.hash.slice(1))));
  } catch { fail("The address holds no view: these are the first images."); }
  if (!model.weights.includes(view.weights)) {
    fail(`There are no weights called ${view.weights} (any more): these are others.`);
    view.weights = model.weights[0];
  }
  changed();
}
addEventListener("hashchange", () => location.reload());
start();
