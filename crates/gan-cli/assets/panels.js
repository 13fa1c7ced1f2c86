// Pictures on the page: images as bytes [N, C, H, W] become canvases.

/** Draws one of the images of an answer. */
export function paint(canvas, answer, index) {
  const { channels, height, width } = answer.model, plane = height * width;
  const from = index * channels * plane, bytes = answer.bytes;
  canvas.width = width;
  canvas.height = height;
  const picture = new ImageData(width, height);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) picture.data[4 * i + c] = bytes[from + (channels == 3 ? c * plane : 0) + i];
    picture.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** A new element. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/**
 * Runs a task so that a slider does not pile up requests: while one runs, only the newest waits.
 */
export function newest(task) {
  let running = false, again = false;
  const run = async () => {
    if (running) { again = true; return; }
    running = true;
    do {
      again = false;
      await task();
    } while (again);
    running = false;
  };
  return run;
}

/** Words for how near the nearest training picture is. */
export function nearness(distance, usual) {
  if (distance == 0) return "It is a copy of a training picture.";
  const share = distance / usual;
  if (share < 0.5) return "Probably a copy: it is much nearer to a training picture than usual.";
  if (share < 0.8) return "Perhaps a copy: it is nearer to a training picture than usual.";
  if (share < 1.5) return "Not a copy: its nearest training picture is about as far as usual.";
  return "Not a copy: it is far from every training picture.";
}
