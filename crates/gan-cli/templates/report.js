// Without this script, the grids stand side by side. With it, a slider shows one of them at a time.
for (const strip of document.querySelectorAll(".strip")) {
  const figures = [...strip.children];
  if (figures.length < 2) continue;
  const player = document.createElement("div"), button = document.createElement("button"), slider = document.createElement("input");
  player.className = "player";
  button.textContent = "Play";
  Object.assign(slider, { type: "range", min: 0, max: figures.length - 1, value: figures.length - 1 });
  slider.setAttribute("aria-label", strip.getAttribute("aria-label"));
  const show = () => figures.forEach((figure, index) => figure.classList.toggle("shown", index == slider.value));
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  button.onclick = () => {
    if (timer) return stop();
    if (+slider.value == figures.length - 1) slider.value = 0;
    button.textContent = "Stop";
    timer = setInterval(() => {
      slider.value = +slider.value + 1;
      show();
      if (+slider.value == figures.length - 1) stop();
    }, 350);
    show();
  };
  slider.oninput = () => { stop(); show(); };
  player.append(button, slider);
  strip.before(player);
  strip.classList.add("single");
  strip.removeAttribute("tabindex");
  show();
}
