// Without this script, the grids stand side by side. With it, a slider shows one of them at a time.
for (const strip of document.querySelectorAll(".strip")) {
  const player = document.createElement("div"), button = document.createElement("button"), slider = document.createElement("input");
  player.className = "player";
  button.type = "button";
  button.textContent = "Play";
  slider.type = "range";
  slider.min = 0;
  slider.setAttribute("aria-label", strip.getAttribute("aria-label"));
  const last = () => strip.children.length - 1;
  const show = () => {
    [...strip.children].forEach((figure, index) => figure.classList.toggle("shown", index == slider.value));
    slider.setAttribute("aria-valuetext", strip.children[slider.value]?.textContent.trim() ?? "");
  };
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  const step = () => {
    slider.value = +slider.value + 1;
    show();
    if (+slider.value >= last()) stop();
  };
  button.onclick = () => {
    if (timer) return stop();
    if (+slider.value >= last()) slider.value = 0;
    button.textContent = "Stop";
    timer = setInterval(step, 350);
    show();
  };
  slider.oninput = () => { stop(); show(); };
  // The page of a run that trains replaces the figures, and names the one to show.
  const fit = (shown) => {
    player.hidden = last() < 1;
    slider.max = Math.max(last(), 0);
    slider.value = shown ?? last();
    strip.classList.toggle("single", last() > 0);
    show();
  };
  strip.addEventListener("renewed", (event) => fit(event.detail));
  player.append(button, slider);
  strip.before(player);
  strip.removeAttribute("tabindex");
  fit();
}
